-- How the failover breaker stands, so that a hold and its ramp outlive the controller that began them; and who says that it is
-- cut off from etcd, so that a partition is waited for and not answered.
--
-- Order of locks as in 0002: whoever writes to failover_breaker holds the row of cluster_policy.

-- One row while it is open or half open, none while it is closed.
create table failover_breaker (
    singleton boolean primary key default true check (singleton),
    lost text[] not null,
    opened_at timestamptz not null,
    held_until timestamptz not null,
    -- How many tenants may be starting at once; 0 while failover is held.
    ramp integer not null check (ramp >= 0),
    survivors_lost integer not null
);

-- Written by a node that has no lease and reaches Postgres, twice in a TTL. A row for each node that ever was.
create table cut_off_nodes (
    node text collate "C" primary key,
    seen_at timestamptz not null default now()
) with (fillfactor = 70);
