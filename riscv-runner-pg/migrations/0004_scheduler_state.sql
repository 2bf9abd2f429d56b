-- What the scheduler keeps beside demand and supply.

-- Leadership: one row. The epoch only rises, and every write of a leader is checked against it.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What operators hold back.
CREATE TABLE controls (
    action text NOT NULL CHECK (action IN ('pause', 'drain', 'limit', 'ban')),
    target_kind text NOT NULL CHECK (target_kind IN ('everything', 'entity', 'repository', 'pool', 'board')),
    target_name text NOT NULL DEFAULT '',
    -- Of a limit: the number of workers, or null for no limit.
    max_workers bigint CHECK (max_workers BETWEEN 0 AND 4294967295),
    reason text NOT NULL,
    actor text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (action, target_kind, target_name)
);

CREATE TABLE pool_backoffs (
    pool_key text PRIMARY KEY,
    failures bigint NOT NULL,
    until timestamptz NOT NULL
);

CREATE TABLE board_quarantines (
    node text PRIMARY KEY,
    strikes bigint NOT NULL,
    times bigint NOT NULL,
    until timestamptz
);

CREATE TABLE refused_images (
    image text PRIMARY KEY,
    since timestamptz NOT NULL
);

-- How far sweeps over outside logs have come.
CREATE TABLE sweeps (
    name text PRIMARY KEY,
    swept_until timestamptz NOT NULL
);
