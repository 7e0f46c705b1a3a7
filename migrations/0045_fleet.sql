-- One order on many workers, as an operation: whom it has chosen is written down when it starts, and the controller takes them
-- in order, a few at a time.
--
-- No statement of this migration may name the new value, for it is not committed yet: an operation of this kind is known by its selector.
alter type operation_kind add value 'FLEET';
create type worker_action as enum ('START', 'STOP', 'RESTART', 'FORCE_RESTART', 'RELINK');

alter table operations
    -- FLEET: by which the workers were chosen, for people; empty when it was all of them.
    add column selector text,
    -- FLEET: what they are told.
    add column action worker_action,
    -- FLEET: it pauses when more than these have failed; null when it does not.
    add column pauses_after integer check (pauses_after >= 0),
    drop constraint operations_check1,
    drop constraint operations_check3,
    drop constraint operations_check4,
    add constraint operations_node check ((node is null) = (kind = 'REBALANCE' or selector is not null)),
    add constraint operations_concurrent
        check ((max_concurrent is not null) = (kind = 'REBALANCE' or selector is not null)),
    add constraint operations_unavailable
        check ((max_unavailable_percent is not null) = (kind = 'REBALANCE' or selector is not null)),
    add constraint operations_selector check ((selector is null) = (kind in ('DRAIN', 'REBALANCE', 'MOVE'))),
    add constraint operations_action check ((action is null) = (selector is null)),
    add constraint operations_pauses check (pauses_after is null or selector is not null);
-- One at a time: of two at once neither could keep to its share of workers that are away.
create unique index operations_one_fleet on operations (state) where state = 'RUNNING' and selector is not null;

-- GONE: deleted, or ordered otherwise, before its turn was over, so there was nothing to do.
create type member_state as enum ('WAITING', 'UNDER_WAY', 'DONE', 'FAILED', 'GONE');

-- While the operation runs, all of them; afterwards those that failed.
create table operation_members (
    operation_id bigint not null references operations on delete cascade,
    -- The order in which they are taken.
    position integer not null,
    -- Not a foreign key: the history outlives the tenant.
    tenant_id text collate "C" not null,
    state member_state not null default 'WAITING',
    -- It was connected when it was chosen: a restart takes something away.
    answered boolean not null,
    -- When it was told.
    ordered_at timestamptz,
    -- Why it failed.
    error text not null default '',
    -- No index has the state, so that a change of it touches none.
    primary key (operation_id, position)
) with (fillfactor = 70);

create function forget_operation_members() returns trigger
language plpgsql as $$
begin
    delete from operation_members where operation_id = new.id and state <> 'FAILED';
    return null;
end
$$;
create trigger forget_operation_members after update on operations
    for each row when (old.state = 'RUNNING' and new.state <> 'RUNNING' and new.selector is not null)
    execute function forget_operation_members();

create function worker_action_title(action worker_action) returns text
language sql immutable
return case action
    when 'START' then 'start' when 'STOP' then 'stop' when 'RESTART' then 'restart'
    when 'FORCE_RESTART' then 'forced restart' when 'RELINK' then 'relinking'
end;

create or replace function operation_title(operation operations) returns text
language sql immutable
return case
    when operation.selector = '' then format('the %s of all workers', worker_action_title(operation.action))
    when operation.selector is not null
        then format('the %s of the workers of %s', worker_action_title(operation.action), operation.selector)
    when operation.kind = 'DRAIN' then format('the drain of node %s', operation.node)
    when operation.kind = 'MOVE' then format('the move of tenant %s to node %s', operation.tenant_id, operation.node)
    else 'the rebalance'
end;

-- Start and every kind of restart, of one worker or of many: asks for them to run, and says of each that there is whether anything was
-- asked. `in_any_case`: also of those that run already. A plain restart does not cover up that a session is still to be forgotten: it
-- keeps the mode that says how.
create function ask_to_run(tenants text[], mode restart_mode, in_any_case boolean)
returns table (tenant_id text, was_asked boolean)
language sql volatile
begin atomic
    with held as materialized (
        select w.tenant_id, w.desired, w.status from worker_processes w
        where w.tenant_id = any(tenants) order by w.tenant_id for no key update
    ), asked as (
        update worker_processes w set
            desired = 'RUNNING', status = 'RUNNING', last_error = '', stale = false, expected_since = now(),
            condition = 'STARTING', condition_reason = '', condition_since = now(),
            spec_revision = nextval('spec_revisions'), restart_seq = w.restart_seq + 1,
            restart_mode = case when s.forget and mode = 'GRACEFUL' then w.restart_mode else mode end,
            restarts = w.restarts + in_any_case::int, updated_at = now()
        from held join whatsapp_sessions s on s.tenant_id = held.tenant_id
        where w.tenant_id = held.tenant_id
            and (in_any_case or held.desired <> 'RUNNING' or held.status <> 'RUNNING')
        returning w.tenant_id
    ), session as (
        update whatsapp_sessions s set
            status = 'DISCONNECTED', qr_text = null, qr_data_uri = null, qr_expires_at = null,
            forget = s.forget or mode = 'FORCE_WIPE',
            restore_generation = case when mode <> 'FORCE_WIPE' then s.restore_generation end,
            snapshot_manifest = case when mode <> 'FORCE_WIPE' then s.snapshot_manifest end,
            snapshot_generation = case when mode <> 'FORCE_WIPE' then s.snapshot_generation end,
            updated_at = now()
        from asked where s.tenant_id = asked.tenant_id and mode in ('FORCE', 'FORCE_WIPE')
    ), tenant as (
        update tenants t set updated_at = now(), status = case
            when mode in ('FORCE', 'FORCE_WIPE') then 'QR_PENDING'
            when t.status = 'NEW' then 'NEW'
            else running_tenant_status(s)
        end
        from asked join whatsapp_sessions s on s.tenant_id = asked.tenant_id where t.id = asked.tenant_id
    )
    select held.tenant_id, exists(select from asked where asked.tenant_id = held.tenant_id) from held;
end;

-- Of one worker or of many; says which there are. They keep their sessions.
create function ask_to_stop(tenants text[]) returns setof text
language sql volatile
begin atomic
    with held as materialized (
        select w.tenant_id from worker_processes w
        where w.tenant_id = any(tenants) order by w.tenant_id for no key update
    ), stopped as (
        update worker_processes w set
            desired = 'STOPPED', status = 'STOPPED', last_error = '', stale = false,
            condition = 'NONE', condition_reason = '', condition_since = now(),
            spec_revision = nextval('spec_revisions'), updated_at = now()
        from held where w.tenant_id = held.tenant_id
        returning w.tenant_id
    ), tenant as (
        update tenants t set status = 'PAUSED', updated_at = now() from stopped where t.id = stopped.tenant_id
    )
    select stopped.tenant_id from stopped;
end;

-- Whether there is anything to do for a worker. One in ERROR can be started again.
create function worker_action_applies(action worker_action, worker worker_processes) returns boolean
language sql immutable
return case when action = 'START' then worker.desired = 'STOPPED' or worker.status = 'ERROR' else worker.desired = 'RUNNING' end;

-- Gives these workers an order; says which there are.
create function tell_workers(tenants text[], action worker_action) returns setof text
language sql volatile
begin atomic
    select stopped from ask_to_stop(case when action = 'STOP' then tenants end) as stopped
    union all
    select told.tenant_id from ask_to_run(
        case when action <> 'STOP' then tenants end,
        case action when 'FORCE_RESTART' then 'FORCE'::restart_mode when 'RELINK' then 'FORCE_WIPE' else 'GRACEFUL' end,
        action <> 'START') as told;
end;
