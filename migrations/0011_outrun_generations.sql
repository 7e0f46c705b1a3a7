-- A database that was restored from a backup, or lost its last writes in a failover, gives generations again that it gave
-- before. The owner of one that finds a session of a later generation says so here, and gets a later one.
alter table worker_processes add column outrun_by bigint;
