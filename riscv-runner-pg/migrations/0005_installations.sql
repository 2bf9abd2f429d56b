-- The installation to act through for each account and App: a join of everything that deliveries told,
-- kept beside the log in the same transaction.

CREATE TABLE installations (
    entity_id bigint NOT NULL,
    -- The kind of account that the App serves; not always the kind of the account that installed it.
    app_kind text NOT NULL,
    installation_id bigint NOT NULL,
    gone_at timestamptz,
    returned_at timestamptz,
    -- When any of this was news to us.
    learned_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity_id, app_kind)
);
CREATE INDEX installations_learned ON installations (learned_at);

INSERT INTO installations (entity_id, app_kind, installation_id, gone_at)
SELECT entity_id, app_kind, installation_id,
       (SELECT min(received_at) FROM installation_events gone
        WHERE gone.event = 'installation.deleted' AND gone.installation_id = newest.installation_id
              AND gone.entity_id = newest.entity_id)
FROM (
    SELECT entity_id, app_kind, max(installation_id) AS installation_id
    FROM (
        SELECT entity_id, entity_type::text AS app_kind, installation_id FROM jobs
        UNION ALL
        SELECT entity_id, entity_type::text, installation_id FROM workers
    ) told
    GROUP BY entity_id, app_kind
) newest;

-- Nobody asks for the jobs of one installation: an account keeps its jobs when it has a new one.
DROP INDEX jobs_of_installation;

-- When the first of the failures was, so that a job that waits can be told since when.
ALTER TABLE pool_backoffs ADD COLUMN since timestamptz NOT NULL DEFAULT now();
