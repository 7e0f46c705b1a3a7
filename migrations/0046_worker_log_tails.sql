-- The end of what a worker has logged, kept where it survives the machine: of the owners that a tenant had last, a row each. The
-- lines are compressed (zstd), so they are stored as they are. A row is of one generation and written by its owner alone.
create table worker_log_tails (
    tenant_id text collate "C" not null references worker_processes on delete cascade,
    generation bigint not null,
    node text collate "C" not null,
    saved_at timestamptz not null default now(),
    lines bytea not null,
    primary key (tenant_id, generation)
);
alter table worker_log_tails alter column lines set storage external;
