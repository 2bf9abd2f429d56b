-- Workers that operators want gone, and the memory of everything that operators ordered.

-- A row counts while its worker is live; a later order removes those that are over.
CREATE TABLE revocations (
    worker text PRIMARY KEY,
    force boolean NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE control_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    verb text NOT NULL,
    target_kind text NOT NULL,
    target_name text NOT NULL DEFAULT '',
    -- Of a limit: the number of workers, or null for no limit.
    max_workers bigint CHECK (max_workers BETWEEN 0 AND 4294967295),
    -- Of a revocation: whether it overrides GitHub.
    force boolean NOT NULL DEFAULT false,
    reason text NOT NULL,
    actor text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX control_audit_ordered ON control_audit (ordered_at);

CREATE FUNCTION control_audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of control_audit are never changed';
END
$$;
CREATE TRIGGER is_final BEFORE UPDATE ON control_audit
    FOR EACH STATEMENT EXECUTE FUNCTION control_audit_is_final();
