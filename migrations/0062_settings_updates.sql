-- One change of settings on many tenants, as an operation, and its undoing. What is to be given, and what was there before, is kept as
-- the columns hold it: one comparison decides who is unchanged, who has been changed since, and what is put back.
--
-- No statement of this migration may name the new value, for it is not committed yet: a function that has to know it compares text.
-- Bodies of functions that take a row are text: see 0063.
alter type worker_action add value 'UPDATE_SETTINGS';

alter table operations
    -- UPDATE_SETTINGS: values by their paths: a column, or an entry of one as labels.NAME; null removes the entry.
    add column settings jsonb,
    -- UPDATE_SETTINGS: the operation that it undoes, instead; each member has what it is given.
    add column undoes bigint,
    add constraint operations_settings
        check (num_nonnulls(settings, undoes) = (coalesce(action::text, '') = 'UPDATE_SETTINGS')::int);

alter table operation_members
    -- UPDATE_SETTINGS: the values that were changed, written with the tenant's. Of one that is to be undone they are there before its
    -- turn: what it has to have still, and what it is given.
    add column settings_before jsonb,
    add column settings_after jsonb;
-- Only of those that were changed, for the end of a tenant.
create index operation_members_changed on operation_members (tenant_id) where settings_after is not null;

-- What an undoing needs stays as long as the operation, but for a proxy's credentials in the order itself.
create or replace function forget_operation_members() returns trigger
language plpgsql as $$
begin
    delete from operation_members
    where operation_id = new.id and state <> 'FAILED' and (state <> 'DONE' or settings_after is null);
    update operations set settings = settings - '{proxy_user,proxy_password}'::text[]
    where id = new.id and settings ? 'proxy_password';
    return null;
end
$$;

-- Another tenant may come to have the id.
create function forget_settings_of_tenant() returns trigger
language plpgsql as $$
begin
    update operation_members set settings_before = null, settings_after = null
    where tenant_id = new.id and settings_after is not null;
    return null;
end
$$;
create trigger forget_settings_of_tenant after update of deleting_since on tenants
    for each row when (old.deleting_since is null and new.deleting_since is not null)
    execute function forget_settings_of_tenant();

create or replace function worker_action_title(action worker_action) returns text
language sql immutable
return case action
    when 'START' then 'start' when 'STOP' then 'stop' when 'RESTART' then 'restart'
    when 'FORCE_RESTART' then 'forced restart' when 'RELINK' then 'relinking' when 'MOVE' then 'move' else 'update of settings'
end;

create or replace function operation_title(operation operations) returns text
language sql immutable as $$
    select case
        when operation.undoes is not null then format('the undoing of operation %s', operation.undoes)
        when operation.selector is not null then
            format('the %s of ', worker_action_title(operation.action))
            || case when operation.selector = '' then 'all workers' else format('the workers of %s', operation.selector) end
            || coalesce(' to node ' || operation.node, '')
        when operation.kind = 'DRAIN' then format('the drain of node %s', operation.node)
        when operation.kind = 'MOVE' then format('the move of tenant %s to node %s', operation.tenant_id, operation.node)
        else 'the rebalance'
    end
$$;

-- Whether there is anything to do for a worker. One in ERROR can be started again; settings are every tenant's.
create or replace function worker_action_applies(action worker_action, worker worker_processes) returns boolean
language sql immutable as $$
    select case
        when action::text = 'UPDATE_SETTINGS' then true
        when action = 'START' then worker.desired = 'STOPPED' or worker.status = 'ERROR'
        else worker.desired = 'RUNNING'
    end
$$;

-- What the tenant has at these paths; null where there is nothing.
create function settings_at(tenant tenants, paths jsonb) returns jsonb
language sql immutable as $$
    select coalesce(jsonb_object_agg(path, case
        when strpos(path, '.') = 0 then to_jsonb(tenant) -> path
        else to_jsonb(tenant) -> split_part(path, '.', 1) -> substr(path, strpos(path, '.') + 1)
    end), '{}')
    from jsonb_object_keys(paths) as path
$$;

-- Of what is given that which the tenant has not.
create function settings_lacking(tenant tenants, given jsonb) returns jsonb
language sql immutable as $$
    select jsonb_object_agg(value.key, value.value)
    from jsonb_each(given) as value, settings_at(tenant, given) as present
    where value.value <> present -> value.key
$$;

-- What is wrong with a tenant that lacks these values, which it was given.
create function settings_changed_since(lacking jsonb) returns text
language sql immutable
return 'changed by somebody else since: ' || (
    select string_agg(path, ', ' order by path) from (
        select distinct case when path in ('proxy_user', 'proxy_password') then 'proxy' else path end as path
        from jsonb_object_keys(lacking) as path
    ) as told
);

-- The tenant as it would be.
create function with_settings(tenant tenants, given jsonb) returns tenants
language sql immutable as $$
    with entries as (
        select split_part(key, '.', 1) as field, substr(key, strpos(key, '.') + 1) as name, value
        from jsonb_each(given) where strpos(key, '.') > 0
    ), fields as (
        select field, (to_jsonb(tenant) -> field) - coalesce(array_agg(name) filter (where value = 'null'), '{}')
            || coalesce(jsonb_object_agg(name, value) filter (where value <> 'null'), '{}') as value
        from entries group by field
    )
    select jsonb_populate_record(tenant,
        coalesce((select jsonb_object_agg(key, value) from jsonb_each(given) where strpos(key, '.') = 0), '{}')
        || coalesce((select jsonb_object_agg(field, value) from fields), '{}'))
$$;

create function span_of(span jsonb) returns interval
language sql immutable
return make_interval(secs => (span ->> 'secs')::float8 + (span ->> 'nanos')::float8 / 1e9);

-- As the model has it: what is set of two that belong together fits.
create function timing_fits(timing jsonb) returns boolean
language sql immutable
return coalesce(span_of(timing -> 'stale_after') >= interval '17 s' + 2 * span_of(timing -> 'probe_every'), true)
    and coalesce(span_of(timing -> 'reconnect_delay_max') >= span_of(timing -> 'reconnect_delay'), true);
-- An entry that is changed alone meets those that the tenant has. Not looked for in what there is: all of it was checked.
alter table tenants add constraint tenants_timing check (timing_fits(timing)) not valid;

-- Why the tenant cannot be so, by the constraint that it would violate; null when it can.
create function settings_problem(tenant tenants) returns text
language sql immutable as $$
    select case
        when not (tenant.memory_limit_bytes = 0 or tenant.memory_request_bytes <= tenant.memory_limit_bytes) then format(
            'memory_request_bytes would be %s, over its memory_limit_bytes of %s', tenant.memory_request_bytes, tenant.memory_limit_bytes)
        when not timing_fits(tenant.timing) then
            'its timing would not fit together: stale_after takes 17s more than twice probe_every, reconnect_delay_max not less than reconnect_delay'
        when octet_length(tenant.labels::text) > 16384 then 'with what it has already its labels would be too large'
        when octet_length(tenant.metadata::text) > 65536 then 'with what it has already its metadata would be too large'
    end
$$;

create type settings_change as (state member_state, before jsonb, after jsonb, error text);

-- Gives one tenant settings, and tells its worker; says what it had before. One that has them already is left alone, one that has not
-- what is expected of it was changed by somebody else, and one that cannot have them stays as it is. The caller holds its worker's row.
create function change_settings(tenant text, given jsonb, expected jsonb) returns settings_change
language plpgsql as $$
declare
    present tenants;
    wanted tenants;
    after jsonb;
    others jsonb;
    violated text;
begin
    select * into present from tenants t where t.id = tenant and t.deleting_since is null for no key update;
    if not found then
        return ('GONE', null, null, '')::settings_change;
    end if;
    others := settings_lacking(present, expected);
    if others is not null then
        return ('FAILED', null, null, settings_changed_since(others))::settings_change;
    end if;
    after := settings_lacking(present, given);
    if after is null then
        return ('DONE', null, null, '')::settings_change;
    end if;
    wanted := with_settings(present, after);
    begin
        update worker_processes set spec_revision = nextval('spec_revisions'), updated_at = now() where tenant_id = tenant;
        update tenants t set
            display_name = wanted.display_name, template = wanted.template, language = wanted.language, texts = wanted.texts,
            reply_limit_per_minute = wanted.reply_limit_per_minute, answer_within_s = wanted.answer_within_s,
            resend_policy = wanted.resend_policy, restart_cron = wanted.restart_cron, restart_time_zone = wanted.restart_time_zone,
            restart_jitter_s = wanted.restart_jitter_s, qr_rotations = wanted.qr_rotations,
            memory_request_bytes = wanted.memory_request_bytes, memory_limit_bytes = wanted.memory_limit_bytes,
            cpu_limit_millicores = wanted.cpu_limit_millicores, process_limit = wanted.process_limit, browser = wanted.browser,
            proxy = wanted.proxy, proxy_user = wanted.proxy_user, proxy_password = wanted.proxy_password, timing = wanted.timing,
            log_level = wanted.log_level, labels = wanted.labels, metadata = wanted.metadata, updated_at = now()
        where t.id = tenant;
    exception when check_violation then
        get stacked diagnostics violated = constraint_name;
        return ('FAILED', null, null, coalesce(settings_problem(wanted), 'its settings would violate ' || violated))::settings_change;
    end;
    return ('DONE', settings_at(present, after), after, '')::settings_change;
end
$$;
