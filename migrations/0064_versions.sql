-- WhatsApp Web's page and the library that drives it, as versions. Their content is kept here, where every node finds what a browser is
-- to open: chosen for the fleet (cluster_policy) or for a tenant (its browser's settings), and given to a share of the tenants first by
-- an operation, a rollout.
--
-- No statement of this migration may name the new value, for it is not committed yet: a rollout is known by what it rolls out.
alter type operation_kind add value 'ROLLOUT';
create type version_kind as enum ('PAGE', 'LIBRARY');

create table versions (
    name text collate "C" primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$'),
    -- Of this content: a name may come again with another one, a number does not.
    id bigint generated always as identity unique,
    kind version_kind not null,
    -- PAGE: its document. LIBRARY: the library's script.
    content text not null check (octet_length(content) between 1 and 3145728),
    -- From then on WhatsApp may turn it away.
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    created_by text not null
);

alter table cluster_policy
    -- Of every tenant that has none of its own; null: what the site gives, and what came with the node.
    add column page_version text collate "C" references versions,
    add column library_version text collate "C" references versions;

-- Who has one of its own. What is written of a tenant otherwise touches neither.
create index tenants_page_version on tenants ((browser ->> 'page_version')) where browser ? 'page_version';
create index tenants_library_version on tenants ((browser ->> 'library_version')) where browser ? 'library_version';

-- What a tenant's browser is to be given: its own, else the fleet's, each by its number and its name.
create function chosen_versions(tenant tenants) returns jsonb
language sql stable as $$
    select coalesce(jsonb_object_agg(lower(v.kind::text), jsonb_build_object('id', v.id, 'name', v.name)), '{}')
    from cluster_policy p join versions v on v.name = case v.kind
        when 'PAGE' then coalesce(tenant.browser ->> 'page_version', p.page_version)
        else coalesce(tenant.browser ->> 'library_version', p.library_version) end
$$;

-- As a foreign key would: the version is there, of this kind, and stays until the end of the transaction.
create function check_versions() returns trigger
language plpgsql as $$
declare
    field text;
begin
    foreach field in array array['page_version', 'library_version'] loop
        if new.browser ? field and new.browser -> field is distinct from old.browser -> field then
            perform from versions where name = new.browser ->> field and kind = upper(split_part(field, '_', 1))::version_kind for key share;
            if not found then
                raise exception 'there is no % %', replace(field, '_', ' '), new.browser ->> field
                    using errcode = 'check_violation', constraint = 'tenants_' || field;
            end if;
        end if;
    end loop;
    return new;
end
$$;
create trigger check_versions before insert or update of browser on tenants
    for each row execute function check_versions();

-- Who has it of their own, or is given it by the rollout that runs: none may be left without it.
create function keep_version() returns trigger
language plpgsql as $$
begin
    if exists (select from tenants where browser ->> 'page_version' = old.name and browser ? 'page_version')
        or exists (select from tenants where browser ->> 'library_version' = old.name and browser ? 'library_version')
        or exists (select from operations where state = 'RUNNING' and rollout ->> 'version' = old.name) then
        raise exception 'the version % is in use', old.name using errcode = 'foreign_key_violation', constraint = 'versions_in_use';
    end if;
    return old;
end
$$;
create trigger keep_version before delete on versions for each row execute function keep_version();

alter table operations
    -- ROLLOUT: {version, kind, selector, watch_s, give_up_s, least, max_concurrent}; see store::operations::rollout.
    add column rollout jsonb,
    drop constraint operations_node,
    add constraint operations_node check (case
        when rollout is not null then node is null
        when selector is null then (node is null) = (kind = 'REBALANCE')
        else node is null or action::text = 'MOVE' end),
    drop constraint operations_selector,
    add constraint operations_selector
        check ((selector is null) = (kind in ('DRAIN', 'REBALANCE', 'MOVE') or rollout is not null)),
    add constraint operations_rollout check (rollout is null or selector is null);
-- One at a time: of two at once neither could say whose fault it is.
create unique index operations_one_rollout on operations (state) where state = 'RUNNING' and rollout is not null;

create type rollout_state as enum ('WAITING', 'GIVEN', 'GONE');

-- While it runs: the tenants that are given the version, and as many that keep what they have, to be compared with.
create table rollout_members (
    operation_id bigint not null references operations on delete cascade,
    position integer not null,
    -- Not a foreign key, as in operation_members.
    tenant_id text collate "C" not null,
    is_control boolean not null,
    -- GONE: it was given something else by somebody else, deleted or stopped.
    state rollout_state not null default 'WAITING',
    given_at timestamptz,
    primary key (operation_id, position)
);

create or replace function operation_title(operation operations) returns text
language sql immutable as $$
    select case
        when operation.undoes is not null then format('the undoing of operation %s', operation.undoes)
        when operation.rollout is not null then format('the rollout of %s', operation.rollout ->> 'version')
        when operation.selector is not null then
            format('the %s of ', worker_action_title(operation.action))
            || case when operation.selector = '' then 'all workers' else format('the workers of %s', operation.selector) end
            || coalesce(' to node ' || operation.node, '')
        when operation.kind = 'DRAIN' then format('the drain of node %s', operation.node)
        when operation.kind = 'MOVE' then format('the move of tenant %s to node %s', operation.tenant_id, operation.node)
        else 'the rebalance'
    end
$$;

-- As before, and the versions that there have to be.
create or replace function settings_problem(tenant tenants) returns text
language sql stable as $$
    select case
        when not (tenant.memory_limit_bytes = 0 or tenant.memory_request_bytes <= tenant.memory_limit_bytes) then format(
            'memory_request_bytes would be %s, over its memory_limit_bytes of %s', tenant.memory_request_bytes, tenant.memory_limit_bytes)
        when not timing_fits(tenant.timing) then
            'its timing would not fit together: stale_after takes 17s more than twice probe_every, reconnect_delay_max not less than reconnect_delay'
        when octet_length(tenant.labels::text) > 16384 then 'with what it has already its labels would be too large'
        when octet_length(tenant.metadata::text) > 65536 then 'with what it has already its metadata would be too large'
        else (
            select format('there is no %s version %s', lower(wanted.kind), wanted.name)
            from (values ('PAGE', tenant.browser ->> 'page_version'), ('LIBRARY', tenant.browser ->> 'library_version')) as wanted(kind, name)
            where wanted.name is not null
                and not exists (select from versions v where v.name = wanted.name and v.kind::text = wanted.kind)
            limit 1
        )
    end
$$;

-- The entry of a tenant's settings that a rollout writes.
create function rollout_path(rollout jsonb) returns text
language sql immutable
return 'browser.' || lower(rollout ->> 'kind') || '_version';

-- The end of a rollout, whatever it is: its tenants have no version of their own any more. Of one that is sound it is the fleet's now,
-- so that nothing else changes for them; of every other they start anew on what they had. The caller holds the rows of their workers,
-- and that of cluster_policy.
create function end_rollout(operation bigint, outcome operation_state, told text, tenants_done integer, by text, why text) returns void
language plpgsql as $$
declare
    ended operations;
    path text;
    given text[];
    member text;
begin
    update operations o set state = outcome, ended_at = now(), message = told, done = tenants_done
    where o.id = operation and o.state = 'RUNNING' and o.rollout is not null returning o.* into ended;
    if not found then
        return;
    end if;
    path := rollout_path(ended.rollout);
    if outcome = 'DONE' then
        update cluster_policy set
            page_version = case when path = 'browser.page_version' then ended.rollout ->> 'version' else page_version end,
            library_version = case when path = 'browser.library_version' then ended.rollout ->> 'version' else library_version end;
    end if;
    select coalesce(array_agg(m.tenant_id order by m.tenant_id), '{}') into given from rollout_members m
    where m.operation_id = operation and m.state = 'GIVEN' and not m.is_control;
    foreach member in array given loop
        perform change_settings(member, jsonb_build_object(path, null), jsonb_build_object(path, ended.rollout -> 'version'));
    end loop;
    if outcome <> 'DONE' then
        -- Who is to be stopped stays so.
        perform tell_workers(array(
            select w.tenant_id from worker_processes w where w.tenant_id = any(given) and w.desired = 'RUNNING'), 'RESTART');
    end if;
    delete from rollout_members m where m.operation_id = operation;
    update cluster_policy set orders_revision = orders_revision + 1;
    insert into cluster_events (kind, operation_id, text, requested_by, reason)
    values ('OPERATION_ENDED', operation, operation_summary(ended), by, why);
end
$$;

alter table worker_heartbeats
    -- Of the browser that it had when it was last seen: which versions it was given, and how many of its sends WhatsApp has acknowledged,
    -- and how many it has not, since it started.
    add column page_version text,
    add column library_version text,
    add column acknowledged bigint,
    add column unacknowledged bigint;
