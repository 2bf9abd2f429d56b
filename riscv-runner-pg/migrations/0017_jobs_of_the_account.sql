-- As before, but a worker is spent by a job of its own account alone: another account may give a runner of its own the
-- same name.
CREATE OR REPLACE FUNCTION reserve_workers(
    leader_epoch bigint, names text[], entity_ids bigint[], logins text[], kinds text[], installation_ids bigint[],
    repo_ids bigint[], repos text[], labels text[], pool_keys text[], pools text[], images text[],
    reserved_at timestamptz[], entity_caps bigint[], pool_caps bigint[], warm bigint[]
) RETURNS text[] LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    results text[] := '{}';
    taken text[];
    entity_used jsonb;
    pool_used jsonb;
    supply jsonb;
    demand jsonb;
    entity_n bigint;
    pool_n bigint;
    supply_n bigint;
    result text;
BEGIN
    PERFORM FROM leases WHERE name = 'leader' AND epoch = leader_epoch FOR SHARE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('riscv-runner reserves ' || current_schema(), 0));

    taken := ARRAY(SELECT pod_name FROM workers WHERE pod_name = ANY (names));
    SELECT coalesce(jsonb_object_agg(entity_id, n), '{}') INTO entity_used
    FROM (SELECT entity_id, count(*) AS n FROM workers
          WHERE status IN ('pending', 'running') AND entity_id = ANY (entity_ids) GROUP BY entity_id) used;
    SELECT coalesce(jsonb_object_agg(k8s_pool, n), '{}') INTO pool_used
    FROM (SELECT k8s_pool, count(*) AS n FROM workers
          WHERE status IN ('pending', 'running') AND k8s_pool = ANY (pools) GROUP BY k8s_pool) used;
    SELECT coalesce(jsonb_object_agg(pool_key, n), '{}') INTO supply
    FROM (SELECT w.pool_key, count(*) AS n
          FROM workers w LEFT JOIN LATERAL (
              SELECT j.status FROM jobs j WHERE j.runner_name = w.pod_name AND j.entity_id = w.entity_id
              ORDER BY (j.status = 'running') DESC, j.job_id DESC LIMIT 1
          ) known ON true
          WHERE w.status IN ('pending', 'running') AND w.pool_key = ANY (pool_keys) AND w.gone_at IS NULL
                AND (known.status IS NULL OR known.status IN ('pending', 'running'))
          GROUP BY w.pool_key) used;
    SELECT coalesce(jsonb_object_agg(pool_key, n), '{}') INTO demand
    FROM (SELECT pool_key, sum(pending + running) AS n
          FROM (SELECT pool_key, pending, running FROM pool_demand WHERE pool_key = ANY (pool_keys)
                UNION ALL
                SELECT pool_key, pending, running FROM pool_demand_deltas WHERE pool_key = ANY (pool_keys)) parts
          GROUP BY pool_key) wanted;

    FOR i IN 1 .. cardinality(names) LOOP
        entity_n := coalesce((entity_used ->> entity_ids[i]::text)::bigint, 0);
        pool_n := coalesce((pool_used ->> pools[i])::bigint, 0);
        supply_n := coalesce((supply ->> pool_keys[i])::bigint, 0);
        IF names[i] = ANY (taken) THEN
            result := 'name_taken';
        ELSIF entity_n >= entity_caps[i] THEN
            result := 'entity_at_cap';
        ELSIF pool_n >= pool_caps[i] THEN
            result := 'pool_at_cap';
        ELSIF supply_n >= coalesce((demand ->> pool_keys[i])::bigint, 0) + warm[i] THEN
            result := 'demand_met';
        ELSE
            INSERT INTO workers (pod_name, entity_id, entity_name, entity_type, installation_id, repo_id,
                repo_full_name, job_labels, pool_key, k8s_pool, k8s_image, status, created_at)
            VALUES (names[i], entity_ids[i], logins[i], kinds[i]::entity_type_enum, installation_ids[i], repo_ids[i],
                repos[i], labels[i]::jsonb, pool_keys[i], pools[i], images[i], 'pending', reserved_at[i])
            ON CONFLICT (pod_name) DO NOTHING;
            -- A pod of that name may have been adopted since we looked.
            IF FOUND THEN
                result := 'reserved';
                entity_used := entity_used || jsonb_build_object(entity_ids[i]::text, entity_n + 1);
                pool_used := pool_used || jsonb_build_object(pools[i], pool_n + 1);
                supply := supply || jsonb_build_object(pool_keys[i], supply_n + 1);
            ELSE
                result := 'name_taken';
            END IF;
        END IF;
        results := results || result;
    END LOOP;
    RETURN results;
END
$$;
