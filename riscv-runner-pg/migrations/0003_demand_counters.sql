-- Demand per pool key, counted as it changes: reading it must not cost more because more is waiting.
-- Writers append what they changed (no row that they could contend for); readers add it up and fold
-- it into the totals now and then.

CREATE TABLE pool_demand (
    pool_key text NOT NULL,
    k8s_pool text NOT NULL,
    pending bigint NOT NULL,
    running bigint NOT NULL,
    PRIMARY KEY (pool_key, k8s_pool)
) WITH (fillfactor = 70);

CREATE TABLE pool_demand_deltas (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool_key text NOT NULL,
    k8s_pool text NOT NULL,
    pending bigint NOT NULL,
    running bigint NOT NULL
);

-- The path is fixed so that the triggers also work for an operator whose session has another one.
CREATE FUNCTION jobs_inserted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO pool_demand_deltas (pool_key, k8s_pool, pending, running)
    SELECT pool_key, coalesce(k8s_pool, ''),
           count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'running')
    FROM new_rows WHERE status IN ('pending', 'running')
    GROUP BY 1, 2;
    RETURN NULL;
END
$$;

CREATE FUNCTION jobs_deleted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO pool_demand_deltas (pool_key, k8s_pool, pending, running)
    SELECT pool_key, coalesce(k8s_pool, ''),
           -count(*) FILTER (WHERE status = 'pending'), -count(*) FILTER (WHERE status = 'running')
    FROM old_rows WHERE status IN ('pending', 'running')
    GROUP BY 1, 2;
    RETURN NULL;
END
$$;

CREATE FUNCTION jobs_updated() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO pool_demand_deltas (pool_key, k8s_pool, pending, running)
    SELECT pool_key, k8s_pool, sum(pending), sum(running)
    FROM (
        SELECT pool_key, coalesce(k8s_pool, '') AS k8s_pool,
               (status = 'pending')::integer AS pending, (status = 'running')::integer AS running
        FROM new_rows
        UNION ALL
        SELECT pool_key, coalesce(k8s_pool, ''),
               -(status = 'pending')::integer, -(status = 'running')::integer
        FROM old_rows
    ) changed
    GROUP BY 1, 2
    HAVING sum(pending) <> 0 OR sum(running) <> 0;
    RETURN NULL;
END
$$;

CREATE FUNCTION jobs_truncated() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    TRUNCATE pool_demand, pool_demand_deltas;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_inserted AFTER INSERT ON jobs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION jobs_inserted();
CREATE TRIGGER count_deleted AFTER DELETE ON jobs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION jobs_deleted();
CREATE TRIGGER count_updated AFTER UPDATE ON jobs
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_updated();
CREATE TRIGGER count_truncated AFTER TRUNCATE ON jobs
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_truncated();

INSERT INTO pool_demand (pool_key, k8s_pool, pending, running)
SELECT pool_key, coalesce(k8s_pool, ''),
       count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'running')
FROM jobs WHERE status IN ('pending', 'running')
GROUP BY 1, 2;
