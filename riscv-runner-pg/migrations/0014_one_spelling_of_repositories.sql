-- GitHub compares the names of repositories without regard to case: a pause holds in any spelling, and is taken
-- back in any.
DELETE FROM controls c WHERE target_kind = 'repository' AND EXISTS (
    SELECT FROM controls other WHERE other.action = c.action AND other.target_kind = c.target_kind
        AND lower(other.target_name COLLATE "C") = lower(c.target_name COLLATE "C")
        AND (other.since, other.target_name) > (c.since, c.target_name));
UPDATE controls SET target_name = lower(target_name COLLATE "C") WHERE target_kind = 'repository';
