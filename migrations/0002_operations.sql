-- What operators order of the cluster, and what became of it: cordons, pins, restart windows, drains, rebalances,
-- moves, policy, and the history that they are explained from.
-- Why in Postgres: an etcd that has lost its data must not uncordon a broken machine (I3); one unique index refuses
-- two operations at once; and the controller reads Postgres in every pass anyway and can place nothing without it.
--
-- Order of locks, continued from 0001: controller_term, then worker_processes in the order of tenant_id, then the row
-- of cluster_policy, then anything else. Whoever writes to a table below holds that row until its commit: orders are
-- rare, and one at a time can neither wait for each other in a circle nor commit their events out of order.

create type operation_kind as enum ('DRAIN', 'REBALANCE', 'MOVE');
create type operation_state as enum ('RUNNING', 'DONE', 'FAILED', 'CANCELLED');

-- What the controller does by itself: one row. It is also the lock that puts orders one after the other.
create table cluster_policy (
    singleton boolean primary key default true check (singleton),
    -- Grows with each order of an operator, so that the controller is notified of it, and not of its own notes.
    orders_revision bigint not null default 0,
    -- Why the tenants of a lost node wait; null while they do not. `by` is empty when the failover breaker did it.
    failover_paused text,
    failover_paused_by text not null default '',
    failover_paused_at timestamptz,
    failover_resumed_at timestamptz,
    -- Whether the loss of many nodes at once pauses failover.
    failover_breaker boolean not null default true,
    auto_rebalance boolean not null default false
);
insert into cluster_policy default values;

-- Nodes about which something is, or was lately, ordered. Not: which nodes there are; etcd knows that.
create table node_orders (
    node text collate "C" primary key check (node ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    cordoned boolean not null default false,
    cordoned_by text not null default '',
    cordon_reason text not null default '',
    cordoned_at timestamptz,
    -- Whether it was cordoned when its last drain began: what a cancelled one goes back to.
    cordoned_before boolean not null default false,
    -- The life that is to end in this window; both or neither.
    window_incarnation bigint,
    window_until timestamptz,
    suspect_until timestamptz,
    check ((window_incarnation is null) = (window_until is null))
);

create table operations (
    id bigint generated always as identity primary key,
    kind operation_kind not null,
    -- DRAIN: the node that is emptied. MOVE: the node that the tenant goes to.
    node text collate "C",
    -- MOVE. Not a foreign key: the history outlives the tenant.
    tenant_id text collate "C",
    -- DRAIN: neither prepared nor paced; with a deadline, only from then on.
    force boolean not null default false,
    deadline timestamptz,
    max_concurrent integer check (max_concurrent >= 1),
    max_unavailable_percent integer check (max_unavailable_percent between 1 and 100),
    state operation_state not null default 'RUNNING',
    -- In tenants, as the controller last noted.
    total integer not null default 0,
    done integer not null default 0,
    -- Why it failed or who cancelled it.
    message text not null default '',
    -- Empty when the policy started it.
    requested_by text not null,
    reason text not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    check ((state = 'RUNNING') = (ended_at is null)),
    check ((node is null) = (kind = 'REBALANCE')),
    check ((tenant_id is null) = (kind <> 'MOVE')),
    check ((max_concurrent is null) = (kind <> 'REBALANCE')),
    check ((max_unavailable_percent is null) = (kind <> 'REBALANCE'))
);
-- Two at once are refused here, whoever starts them.
create unique index operations_one_drain on operations (node) where state = 'RUNNING' and kind = 'DRAIN';
create unique index operations_one_move on operations (tenant_id) where state = 'RUNNING' and kind = 'MOVE';
create unique index operations_one_rebalance on operations (kind) where state = 'RUNNING' and kind = 'REBALANCE';

-- Where each tenant was placed and why, for `explain` and for the history of operations; the newest 50 of each.
create table placements (
    tenant_id text collate "C" not null references tenants on delete cascade,
    -- Counts the tenant's placements, so that the one that is too old has a name.
    seq bigint not null,
    -- Where the placement before this one was.
    from_node text collate "C",
    to_node text collate "C" not null,
    reason text not null,
    operation_id bigint,
    at timestamptz not null default now(),
    primary key (tenant_id, seq)
);
create index placements_by_operation on placements (operation_id, at) where operation_id is not null;

-- What happened, for people; the newest 10,000.
create table cluster_events (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    -- A roost_cluster::ledger::EventKind, in capitals.
    kind text not null,
    node text collate "C",
    tenant_id text collate "C",
    operation_id bigint,
    text text not null,
    -- Empty when it was the controller or a node.
    requested_by text not null default '',
    reason text not null default ''
);

alter table worker_processes
    -- The only node that may have it.
    add column pin text collate "C",
    -- How often its owner took the session back from a newer connection.
    add column conflicts bigint not null default 0;

-- The beginning of a sentence about an operation.
create function operation_title(operation operations) returns text
language sql immutable
return case operation.kind
    when 'DRAIN' then format('the drain of node %s', operation.node)
    when 'MOVE' then format('the move of tenant %s to node %s', operation.tenant_id, operation.node)
    else 'the rebalance'
end;

-- How it ended, or that it has begun: a whole sentence.
create function operation_summary(operation operations) returns text
language sql immutable
return operation_title(operation) || case operation.state
    when 'RUNNING' then ' has started'
    when 'DONE' then format(' is done (%s of %s tenants)', operation.done, operation.total)
    when 'FAILED' then format(' has failed (%s of %s tenants): %s', operation.done, operation.total, operation.message)
    else format(' was cancelled (%s of %s tenants)', operation.done, operation.total)
end;

-- Listeners are notified, as in 0001.
create function notify_orders() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', 'orders');
    return null;
end
$$;
create trigger notify_orders after update on cluster_policy
    for each row when (old.orders_revision <> new.orders_revision)
    execute function notify_orders();

create function notify_operation() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', 'operation:' || new.id);
    return null;
end
$$;
create trigger notify_operation_started after insert on operations
    for each row execute function notify_operation();
create trigger notify_operation after update on operations
    for each row when (old.* is distinct from new.*)
    execute function notify_operation();

-- Listeners are notified and the table is kept bounded: no statement that writes events can forget either. Ids have gaps, so it may keep a few less.
create function notify_and_trim_events() returns trigger
language plpgsql as $$
begin
    if exists(select from fresh) then
        delete from cluster_events where id <= (select max(id) from fresh) - 10000;
        perform pg_notify('roost_changes', 'event');
    end if;
    return null;
end
$$;
create trigger notify_and_trim_events after insert on cluster_events
    referencing new table as fresh for each statement execute function notify_and_trim_events();

create or replace trigger notify_worker after update on worker_processes
    for each row when (
        (old.status, old.desired, old.node, old.generation, old.restarts, old.last_error, old.pin, old.conflicts)
            is distinct from (new.status, new.desired, new.node, new.generation, new.restarts, new.last_error,
                new.pin, new.conflicts))
    execute function notify_change('worker');
