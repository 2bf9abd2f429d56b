-- What we know beyond the reference service, filled in for its rows.

ALTER TABLE jobs
    ADD COLUMN run_id bigint,
    ADD COLUMN repo_id bigint,
    ADD COLUMN repo_private boolean,
    ADD COLUMN attempt integer NOT NULL DEFAULT 1,
    ADD COLUMN runner_name text,
    ADD COLUMN former_runners text[] NOT NULL DEFAULT '{}',
    ADD COLUMN pool_key text,
    ADD COLUMN pinned boolean NOT NULL DEFAULT false;

ALTER TABLE workers
    ADD COLUMN repo_id bigint,
    ADD COLUMN pool_key text,
    ADD COLUMN pod_uid text,
    ADD COLUMN runner_id bigint,
    ADD COLUMN online_at timestamptz,
    ADD COLUMN gone_at timestamptz,
    ADD COLUMN failure_reason text,
    ADD COLUMN pinned boolean NOT NULL DEFAULT false;

ALTER TABLE installation_events
    ADD COLUMN delivery_guid text,
    ADD COLUMN pinned boolean NOT NULL DEFAULT false;

-- Repositories by name, as far as the log remembers their ids.
CREATE TEMPORARY TABLE known_repositories ON COMMIT DROP AS
SELECT DISTINCT ON (name) name, id, private
FROM (
    SELECT payload #>> '{repository,full_name}' AS name,
           CASE WHEN jsonb_typeof(payload #> '{repository,id}') = 'number'
                THEN (payload #>> '{repository,id}')::bigint END AS id,
           payload #>> '{repository,private}' = 'true' AS private,
           received_at
    FROM installation_events
) seen
WHERE name IS NOT NULL AND id > 0
ORDER BY name, received_at DESC;

-- A repository that nobody remembers gets a number of its own, beyond any that GitHub assigns:
-- jobs of different repositories must not share a key, and GitHub addresses it by name anyway.
CREATE FUNCTION pg_temp.unknown_repository(name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashtextextended(lower(name), 0) & ((1::bigint << 61) - 1)) | (1::bigint << 62)
$$;

UPDATE jobs
SET repo_id = coalesce(known.id, pg_temp.unknown_repository(jobs.repo_full_name)),
    repo_private = coalesce(known.private, true)
FROM jobs AS same LEFT JOIN known_repositories known ON known.name = same.repo_full_name
WHERE same.job_id = jobs.job_id;

UPDATE workers
SET repo_id = coalesce(known.id, pg_temp.unknown_repository(workers.repo_full_name))
FROM workers AS same LEFT JOIN known_repositories known ON known.name = same.repo_full_name
WHERE same.pod_name = workers.pod_name AND workers.repo_full_name IS NOT NULL;

-- The canonical text of a label set: lower case, distinct, in the order of bytes, joined by commas,
-- with commas and backslashes inside labels escaped.
CREATE FUNCTION pg_temp.label_key(labels jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(string_agg(
        replace(replace(label, '\', '\\'), ',', '\,'), ',' ORDER BY label COLLATE "C"), '')
    FROM (SELECT DISTINCT lower(btrim(label)) AS label FROM jsonb_array_elements_text(labels) label) parts
$$;

UPDATE jobs
SET pool_key = CASE entity_type::text
        WHEN 'Organization' THEN format('org:%s|', entity_id)
        ELSE format('repo:%s/%s|', entity_id, repo_id)
    END || pg_temp.label_key(job_labels),
    job_created_at = coalesce(job_created_at, created_at);

UPDATE workers
SET pool_key = CASE entity_type::text
        WHEN 'Organization' THEN format('org:%s|', entity_id)
        ELSE format('repo:%s/%s|', entity_id, coalesce(repo_id, 0))
    END || pg_temp.label_key(job_labels),
    failure_reason = failure_info ->> 'reason';

ALTER TABLE jobs
    ALTER COLUMN repo_id SET NOT NULL,
    ALTER COLUMN repo_private SET NOT NULL,
    ALTER COLUMN pool_key SET NOT NULL,
    ALTER COLUMN job_created_at SET DEFAULT now(),
    ALTER COLUMN job_created_at SET NOT NULL;
ALTER TABLE workers ALTER COLUMN pool_key SET NOT NULL;

-- The head of each queue.
CREATE INDEX jobs_waiting ON jobs (pool_key, job_created_at, job_id) WHERE status = 'pending';
CREATE INDEX jobs_busy ON jobs (pool_key) WHERE status = 'running';
-- Doubtful jobs, and those of an installation.
CREATE INDEX jobs_unchanged ON jobs (updated_at, job_id) WHERE status IN ('pending', 'running');
CREATE INDEX jobs_of_installation ON jobs (installation_id, job_id) WHERE status IN ('pending', 'running');
-- From a worker to the job that names it.
CREATE INDEX jobs_by_runner ON jobs (runner_name) WHERE runner_name IS NOT NULL;
CREATE INDEX jobs_newest ON jobs (created_at DESC, job_id DESC);

CREATE INDEX jobs_lately ON jobs (job_created_at);

CREATE INDEX workers_live ON workers (pool_key) WHERE status IN ('pending', 'running');
CREATE INDEX workers_newest ON workers (created_at DESC, pod_name DESC);
CREATE INDEX workers_ended ON workers (completed_at DESC) WHERE completed_at IS NOT NULL;

CREATE UNIQUE INDEX installation_events_guid ON installation_events (delivery_guid)
    WHERE delivery_guid IS NOT NULL;
CREATE INDEX installation_events_received ON installation_events (received_at);

-- The payload dominates the cost of a delivery; lz4 is several times cheaper than the default where
-- the server offers it (from PostgreSQL 14, as it was built).
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 140000 THEN
        EXECUTE 'ALTER TABLE installation_events ALTER COLUMN payload SET COMPRESSION lz4';
    END IF;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END
$$;
