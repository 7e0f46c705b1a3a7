-- What an open write of a worker holds up, and where the heartbeats go.
--
-- A fenced write takes its worker's row FOR KEY SHARE, the lock that only a change of the row's key waits for. So
-- everything else that is done to a worker (a stop, a report, stale detection) passes it, and a busy tenant starves
-- nobody. A new generation must not pass it (I2). This constraint is why it does not: it makes the generation a part of
-- the row's key, and Postgres then gives every update of it, however it is written, the lock that waits.
alter table worker_processes add constraint worker_processes_generation unique (tenant_id, generation);

-- When each worker was last seen: a table of its own, narrow, because every heartbeat writes a new version of each row,
-- and every pass of the controller reads all of worker_processes. No index has the time, and more than
-- half of each page is free: a new version lies beside the old one, no index is touched, and the next version takes the
-- old one's place.
create table worker_heartbeats (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    last_seen_at timestamptz
) with (fillfactor = 40);
insert into worker_heartbeats (tenant_id, last_seen_at) select tenant_id, last_seen_at from worker_processes;
alter table worker_processes drop column last_seen_at;
