-- The initial schema: a tenant with its session, its worker, its message queues and its message log.
-- Why here: Postgres is the home of every fact that must outlive the cluster (invariant I3). Everything hangs on
-- the tenant's row and goes with it. `worker_processes.generation` is the fencing token: every write made on behalf of a
-- worker compares it in the same transaction (I2).
--
-- Order of locks, the same in every statement, so that none waits for another in a circle: controller_term, then
-- worker_processes in the order of tenant_id, then anything else of those tenants. Hence the "C" collation of ids:
-- one order for every server, index and program.

create type tenant_status as enum ('NEW', 'QR_PENDING', 'ACTIVE', 'PAUSED', 'ERROR');
create type template_kind as enum ('BOOKING', 'ECOMMERCE', 'SUPPORT');
create type language_code as enum ('EN', 'SW');
create type session_status as enum ('DISCONNECTED', 'QR_READY', 'CONNECTED');
create type worker_status as enum ('RUNNING', 'STOPPED', 'ERROR');
create type desired_state as enum ('RUNNING', 'STOPPED');
create type restart_mode as enum ('GRACEFUL', 'FORCE', 'FORCE_WIPE', 'LOGOUT');
create type message_direction as enum ('IN', 'OUT');
create type inbound_state as enum ('PENDING', 'DONE', 'DEAD');
create type outbound_state as enum ('PENDING', 'SENT', 'DEAD');

-- One sequence for every change that a node or the controller must learn of, so that a reader can ask what is new.
create sequence spec_revisions as bigint;
-- One sequence for all tenants: a tenant deleted and made again under the same id starts above every generation its
-- predecessor had, so that a worker left over from then is refused like any other old one.
create sequence generations as bigint;

create table tenants (
    id text collate "C" primary key check (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    -- Names the tenant's profile and snapshots, so that a tenant made again under the same id never meets old ones.
    uid uuid not null default gen_random_uuid(),
    display_name text not null,
    phone text not null constraint tenants_phone_key unique,
    template template_kind not null default 'SUPPORT',
    language language_code not null default 'EN',
    status tenant_status not null default 'NEW',
    -- {"greeting", "fallback", "limit_warning", "menu": [{"title", "reply", "keywords"}]}; see store::tenants::Texts
    texts jsonb not null default '{}',
    -- replies in any 60 s; 0 lifts the limit
    reply_limit_per_minute integer not null default 10 check (reply_limit_per_minute between 0 and 10000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table whatsapp_sessions (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    status session_status not null default 'DISCONNECTED',
    qr_text text,
    qr_data_uri text,
    qr_expires_at timestamptz,
    connected_at timestamptz,
    -- The newest snapshot: its manifest in the object store, named by generation and sequence. There is none when
    -- the manifest is null.
    snapshot_manifest text,
    snapshot_generation bigint,
    snapshot_sequence bigint,
    snapshot_clean boolean,
    snapshot_at timestamptz,
    -- An operator asked for the session to be forgotten and no owner has done so yet; outlives the owner that was asked.
    forget boolean not null default false,
    updated_at timestamptz not null default now()
) with (fillfactor = 70);

create table worker_processes (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    name text not null generated always as ('roost-worker-' || tenant_id) stored,
    status worker_status not null default 'STOPPED',
    desired desired_state not null default 'STOPPED',
    -- The owner by the controller's last decision; null while placed nowhere.
    node text collate "C",
    generation bigint not null default nextval('generations'),
    -- Set from spec_revisions whenever the owner must look again: tenant, desired state or restart changed.
    spec_revision bigint not null default nextval('spec_revisions'),
    -- Grows with each restart that an operator asked for; the owner compares it with the one it has done.
    restart_seq bigint not null default 0,
    restart_mode restart_mode not null default 'GRACEFUL',
    restarts bigint not null default 0,
    last_error text not null default '',
    last_seen_at timestamptz,
    -- Stale detection counts from here when last_seen_at is older: the last start, restart or placement.
    expected_since timestamptz not null default now(),
    -- The status is ERROR only because the worker was not seen; the next heartbeat takes that back.
    stale boolean not null default false,
    updated_at timestamptz not null default now()
) with (fillfactor = 70);
create index worker_processes_node on worker_processes (node);

create table message_logs (
    id bigint generated always as identity primary key,
    tenant_id text collate "C" not null references tenants on delete cascade,
    direction message_direction not null,
    chat_id text not null,
    body text not null,
    whatsapp_id text not null,
    created_at timestamptz not null default now()
);
create index message_logs_by_tenant on message_logs (tenant_id, id desc);
create index message_logs_by_chat on message_logs (tenant_id, chat_id, id desc);

create table bm_in (
    id bigint generated always as identity primary key,
    tenant_id text collate "C" not null references tenants on delete cascade,
    -- Deduplication and durability in one step (I6).
    whatsapp_id text not null,
    chat_id text not null,
    sender text not null,
    body text not null,
    -- Nothing was received in its chat before it.
    first_in_chat boolean not null,
    state inbound_state not null default 'PENDING',
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    last_error text not null default '',
    received_at timestamptz not null default now(),
    done_at timestamptz,
    constraint bm_in_once unique (tenant_id, whatsapp_id)
);
create index bm_in_pending on bm_in (tenant_id, id) where state = 'PENDING';
-- Whether a message is the first of its chat.
create index bm_in_by_chat on bm_in (tenant_id, chat_id, id);

create table bm_out (
    id bigint generated always as identity primary key,
    tenant_id text collate "C" not null references tenants on delete cascade,
    -- The message in bm_in that this answers. Not a foreign key: both go with their tenant, and the check would cost
    -- every reply a lock on a row that its own statement writes.
    inbound_id bigint not null,
    -- Position among the replies to one inbound message.
    seq integer not null default 0,
    -- Chosen before the first send, so that a resend after a crash is the same message (I6).
    whatsapp_id text not null,
    chat_id text not null,
    body text not null,
    -- Counted by the reply limit; the warning itself is not.
    counted boolean not null default true,
    state outbound_state not null default 'PENDING',
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    last_error text not null default '',
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    constraint bm_out_once unique (tenant_id, whatsapp_id)
);
create index bm_out_pending on bm_out (tenant_id, id) where state = 'PENDING';
-- The sliding window of the reply limit is read from here, so that it survives a failover.
create index bm_out_window on bm_out (tenant_id, created_at) where counted;

-- One row each time the reply limit was reached: when the warning was given, and how many replies it stands for.
create table reply_windows (
    tenant_id text collate "C" not null references tenants on delete cascade,
    started_at timestamptz not null,
    suppressed bigint not null default 0,
    primary key (tenant_id, started_at)
);

-- When the last warning of the reply limit was given, if that is less than 60 s ago.
create function open_reply_window(tenant text) returns timestamptz
language sql stable
return (
    select max(started_at) from reply_windows
    where tenant_id = tenant and started_at > now() - interval '60 seconds'
);

-- The fencing token of the controller: one row. A term is given once per leader key of etcd, and every placement names it.
create table controller_term (
    singleton boolean primary key default true check (singleton),
    term bigint not null,
    holder text not null,
    -- The etcd cluster and the leader key's create_revision that the term was given for.
    etcd_cluster text not null,
    leader_revision bigint not null,
    begun_at timestamptz not null default now()
);
insert into controller_term (term, holder, etcd_cluster, leader_revision) values (0, '', '', 0);

-- Outlives the tenant: what nodes still have to remove from their disks and from the object store. Swept again and
-- again for an hour, for an upload may have been under way when the tenant went.
create table tenant_removals (
    uid uuid primary key,
    tenant_id text collate "C" not null,
    removed_at timestamptz not null default now()
);

-- What a tenant is while its worker runs: linked, or waiting for a phone.
create function running_tenant_status(session whatsapp_sessions) returns tenant_status
language sql immutable
return case
    when session.status = 'CONNECTED' or session.snapshot_manifest is not null then 'ACTIVE'::tenant_status
    else 'QR_PENDING'::tenant_status
end;

-- Listeners are notified of every change by triggers, so that no statement can forget it. Heartbeats and messages
-- notify nobody: a notification takes a lock that is shared by all commits.
create function notify_change() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', tg_argv[0] || ':' || coalesce(new.tenant_id, old.tenant_id));
    return null;
end
$$;

-- Triggers of one event fire by name: the spec of a deleted row is told before its worker, which is the last word.
create trigger notify_spec_of_row after insert or delete on worker_processes
    for each row execute function notify_change('spec');
create trigger notify_spec after update on worker_processes
    for each row when (old.spec_revision <> new.spec_revision)
    execute function notify_change('spec');
create trigger notify_worker after update on worker_processes
    for each row when (
        (old.status, old.desired, old.node, old.generation, old.restarts, old.last_error)
            is distinct from (new.status, new.desired, new.node, new.generation, new.restarts, new.last_error))
    execute function notify_change('worker');
create trigger notify_worker_deleted after delete on worker_processes
    for each row execute function notify_change('worker');
create trigger notify_session after update on whatsapp_sessions
    for each row when (
        (old.status, old.qr_text, old.connected_at) is distinct from (new.status, new.qr_text, new.connected_at))
    execute function notify_change('session');
