-- Many workers are moved by one order: to a node, or away from where each one is.
--
-- No statement of this migration may name the new value, for it is not committed yet: a function that has to know it compares text.
alter type worker_action add value 'MOVE';

alter table operations
    drop constraint operations_node,
    -- FLEET: where the workers are moved to; none when it is anywhere else, or when they are told something else.
    add constraint operations_node
        check (case when selector is null then (node is null) = (kind = 'REBALANCE') else node is null or action::text = 'MOVE' end);

alter table operation_members
    -- Where it was when its turn came; written with that.
    add column from_node text collate "C";

create or replace function worker_action_title(action worker_action) returns text
language sql immutable
return case action
    when 'START' then 'start' when 'STOP' then 'stop' when 'RESTART' then 'restart'
    when 'FORCE_RESTART' then 'forced restart' when 'RELINK' then 'relinking' else 'move'
end;

create or replace function operation_title(operation operations) returns text
language sql immutable
return case
    when operation.selector is not null then
        format('the %s of ', worker_action_title(operation.action))
        || case when operation.selector = '' then 'all workers' else format('the workers of %s', operation.selector) end
        || coalesce(' to node ' || operation.node, '')
    when operation.kind = 'DRAIN' then format('the drain of node %s', operation.node)
    when operation.kind = 'MOVE' then format('the move of tenant %s to node %s', operation.tenant_id, operation.node)
    else 'the rebalance'
end;

-- Gives these workers an order; says which there are. A move is the controller's to make: they are told nothing.
create or replace function tell_workers(tenants text[], action worker_action) returns setof text
language sql volatile
begin atomic
    select stopped from ask_to_stop(case when action = 'STOP' then tenants end) as stopped
    union all
    select told.tenant_id from ask_to_run(
        case when action in ('START', 'RESTART', 'FORCE_RESTART', 'RELINK') then tenants end,
        case action when 'FORCE_RESTART' then 'FORCE'::restart_mode when 'RELINK' then 'FORCE_WIPE' else 'GRACEFUL' end,
        action <> 'START') as told;
end;
