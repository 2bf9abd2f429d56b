-- The reference service writes on while one replaces the other, and again on the way back: what its statements
-- leave out is filled in. Its tables may lack the defaults of columns that ours leave out.

ALTER TABLE jobs
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN provider SET DEFAULT 'github',
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE workers
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN provider SET DEFAULT 'github',
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE installation_events ALTER COLUMN received_at SET DEFAULT now();

-- As in the step that adopted the rows: the canonical text of a label set.
CREATE FUNCTION label_key(labels jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(string_agg(
        replace(replace(label, '\', '\\'), ',', '\,'), ',' ORDER BY label COLLATE "C"), '')
    FROM (SELECT DISTINCT lower(btrim(label)) AS label FROM jsonb_array_elements_text(labels) label) parts
$$;

-- The id of a repository and whether it is private, as far as the latest jobs tell: else a number beyond any that
-- GitHub assigns, and private.
CREATE FUNCTION repository_named(entity bigint, name text, OUT id bigint, OUT private boolean)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(known.repo_id, (hashtextextended(lower(name), 0) & ((1::bigint << 61) - 1)) | (1::bigint << 62)),
           coalesce(known.repo_private, true)
    FROM (SELECT) nothing LEFT JOIN (
        SELECT repo_id, repo_private
        FROM (SELECT * FROM jobs ORDER BY job_id DESC LIMIT 10000) latest
        WHERE entity_id = entity AND lower(repo_full_name) = lower(name)
        ORDER BY job_id DESC LIMIT 1
    ) known ON true
$$;

CREATE FUNCTION fill_job() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    repository record;
BEGIN
    SELECT * INTO repository FROM repository_named(NEW.entity_id, NEW.repo_full_name);
    NEW.repo_id := coalesce(NEW.repo_id, repository.id);
    NEW.repo_private := coalesce(NEW.repo_private, repository.private);
    NEW.pool_key := coalesce(NEW.pool_key, CASE NEW.entity_type::text
        WHEN 'Organization' THEN format('org:%s|', NEW.entity_id)
        ELSE format('repo:%s/%s|', NEW.entity_id, NEW.repo_id)
    END || label_key(NEW.job_labels));
    NEW.job_created_at := coalesce(NEW.job_created_at, NEW.created_at, now());
    RETURN NEW;
END
$$;

CREATE FUNCTION fill_worker() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.repo_full_name IS NOT NULL THEN
        NEW.repo_id := coalesce(NEW.repo_id, (repository_named(NEW.entity_id, NEW.repo_full_name)).id);
    END IF;
    NEW.pool_key := CASE NEW.entity_type::text
        WHEN 'Organization' THEN format('org:%s|', NEW.entity_id)
        ELSE format('repo:%s/%s|', NEW.entity_id, coalesce(NEW.repo_id, 0))
    END || label_key(NEW.job_labels);
    RETURN NEW;
END
$$;

-- Its `k8s_pod` of a job is our `runner_name`.
CREATE FUNCTION name_runner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.runner_name := NEW.k8s_pod;
    RETURN NEW;
END
$$;

CREATE TRIGGER fill_in BEFORE INSERT ON jobs FOR EACH ROW
    WHEN (NEW.pool_key IS NULL OR NEW.repo_id IS NULL OR NEW.repo_private IS NULL OR NEW.job_created_at IS NULL)
    EXECUTE FUNCTION fill_job();
CREATE TRIGGER fill_in BEFORE INSERT ON workers FOR EACH ROW
    WHEN (NEW.pool_key IS NULL) EXECUTE FUNCTION fill_worker();
CREATE TRIGGER name_runner BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.runner_name IS NULL AND NEW.k8s_pod IS NOT NULL) EXECUTE FUNCTION name_runner();
