-- The three tables that operators' runbooks know. A database of the reference service has them
-- already; whatever it lacks is added.

DO $$
BEGIN
    IF to_regtype('status_enum') IS NULL THEN
        CREATE TYPE status_enum AS ENUM ('pending', 'running', 'completed', 'failed');
    END IF;
    IF to_regtype('provider_enum') IS NULL THEN
        CREATE TYPE provider_enum AS ENUM ('github', 'gitlab', 'azdo');
    END IF;
    IF to_regtype('entity_type_enum') IS NULL THEN
        CREATE TYPE entity_type_enum AS ENUM ('Organization', 'User');
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS jobs (
    job_id bigint PRIMARY KEY,
    status status_enum NOT NULL DEFAULT 'pending',
    failure_info jsonb,
    provider provider_enum NOT NULL DEFAULT 'github',
    entity_id bigint NOT NULL,
    entity_name text NOT NULL,
    entity_type text NOT NULL,
    repo_full_name text NOT NULL,
    installation_id bigint NOT NULL,
    job_labels jsonb NOT NULL,
    k8s_pool text,
    k8s_image text,
    k8s_pod text,
    html_url text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS job_name text,
    ADD COLUMN IF NOT EXISTS job_conclusion text,
    ADD COLUMN IF NOT EXISTS job_created_at timestamptz,
    ADD COLUMN IF NOT EXISTS job_started_at timestamptz,
    ADD COLUMN IF NOT EXISTS job_completed_at timestamptz;

CREATE TABLE IF NOT EXISTS workers (
    pod_name text PRIMARY KEY,
    provider provider_enum NOT NULL DEFAULT 'github',
    entity_id bigint NOT NULL,
    entity_name text NOT NULL,
    entity_type entity_type_enum NOT NULL,
    installation_id bigint NOT NULL,
    repo_full_name text,
    job_labels jsonb NOT NULL,
    k8s_pool text,
    k8s_image text,
    k8s_node text,
    status status_enum NOT NULL DEFAULT 'pending',
    failure_info jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    running_at timestamptz,
    completed_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS installation_events (
    id bigserial PRIMARY KEY,
    source text NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL,
    installation_id bigint,
    app_id bigint,
    entity_type entity_type_enum,
    entity_id bigint,
    entity_name text,
    payload jsonb,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS installation_events_installation_entity
    ON installation_events (installation_id, entity_id);
CREATE INDEX IF NOT EXISTS installation_events_entity_received
    ON installation_events (entity_id, received_at DESC);
