-- A tenant's deletion is one short transaction, and what hung on it goes afterwards, in batches.
--
-- The short transaction takes the worker, the session and all that names the tenant, so that nobody has it or reads it from
-- then on. What is left of the row in `tenants` keeps the id from a new tenant, whose messages would be removed with the old
-- one's, and goes with the last batch.

alter table tenants
    add column deleting_since timestamptz,
    drop constraint tenants_phone_key;
-- A tenant that is being deleted has no phone any more.
create unique index tenants_phone_key on tenants (phone) where deleting_since is null;
create index tenants_deleting on tenants (deleting_since) where deleting_since is not null;
-- Nodes ask which tenants their profiles belong to.
create unique index tenants_uid on tenants (uid);

create function notify_deletion() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', 'deletion');
    return null;
end
$$;
create trigger notify_deletion after update on tenants
    for each row when (old.deleting_since is null and new.deleting_since is not null)
    execute function notify_deletion();

-- What a pass of the controller reads costs what has changed since the last one, not what there is.

alter table worker_processes
    -- The transaction that last changed what the controller reads; see store::ledger::demands.
    add column changed_by xid8 not null default pg_current_xact_id(),
    -- The worker was seen then, or later; see store::ledger::stale.
    add column known_seen_at timestamptz not null default now();
create index worker_processes_changed on worker_processes (changed_by);
create index worker_processes_seen on worker_processes (known_seen_at) where desired = 'RUNNING' and status = 'RUNNING';
-- How many of those placed lately are starting.
create index worker_processes_expected on worker_processes (expected_since);

create function note_changed_by() returns trigger
language plpgsql as $$
begin
    new.changed_by := pg_current_xact_id();
    return new;
end
$$;
create trigger note_changed_by before update on worker_processes
    for each row when (
        (old.desired, old.generation, old.node, old.pin, old.outrun_by, old.spec_revision)
            is distinct from (new.desired, new.generation, new.node, new.pin, new.outrun_by, new.spec_revision))
    execute function note_changed_by();

alter table tenant_removals add column removed_by xid8 not null default pg_current_xact_id();
create index tenant_removals_changed on tenant_removals (removed_by);
-- Read by every node once in a minute.
create index tenant_removals_by_time on tenant_removals (removed_at);

-- When a statement reads: the server, by since when it runs and which database it is, and the oldest transaction that the
-- statement may not see because it is open.
create view reading_horizon as
select concat(pg_postmaster_start_time(), ' ', (select oid from pg_database where datname = current_database())) as server,
    pg_snapshot_xmin(pg_current_snapshot())::text as horizon;

-- Where the next purge of a queue goes on.
create table purge_cursors (
    queue text primary key,
    after_tenant text collate "C" not null
);

-- Snapshots in the object store whose tenants the database neither knows nor has deleted, as the last sweep found them.
create table snapshot_orphans (
    uid uuid primary key,
    first_seen_at timestamptz not null default now(),
    -- By the last sweep.
    seen_at timestamptz not null default now(),
    -- An operator's order; null while there is none.
    removal_ordered_by text,
    -- A node is about to remove it.
    claimed_at timestamptz
);
-- One row: when the last sweep was begun. Who sets it first takes it.
create table snapshot_sweep (
    singleton boolean primary key default true check (singleton),
    swept_at timestamptz not null default '-infinity'
);
insert into snapshot_sweep default values;
