-- What somebody asks for in the portal: that a business is set up.
create type setup_request_state as enum ('SUBMITTED', 'REVIEWING', 'APPROVED', 'ACTIVE', 'REJECTED');

create table setup_requests (
    id bigint generated always as identity primary key,
    user_id bigint not null references users on delete cascade,
    state setup_request_state not null default 'SUBMITTED',
    display_name text not null,
    phone text not null,
    template template_kind not null,
    language language_code not null,
    texts jsonb not null,
    submitted_at timestamptz not null default now(),
    -- When and by whom it was last looked at, approved or rejected.
    reviewed_at timestamptz,
    reviewed_by text,
    -- Of a rejection, for whoever has asked.
    reason text not null default '',
    -- Of an approval: the business that was set up. It takes what was asked for with it when it is deleted.
    tenant_id text collate "C" references tenants on delete cascade,
    constraint setup_requests_reviewed check ((reviewed_at is null) = (reviewed_by is null)),
    constraint setup_requests_set_up check ((tenant_id is not null) = (state in ('APPROVED', 'ACTIVE')))
);
-- One at a time of each person, and for each number.
create unique index setup_requests_open on setup_requests (user_id) where state in ('SUBMITTED', 'REVIEWING');
create unique index setup_requests_phone on setup_requests (phone) where state in ('SUBMITTED', 'REVIEWING');
create unique index setup_requests_tenant on setup_requests (tenant_id) where tenant_id is not null;
create index setup_requests_of_user on setup_requests (user_id, id desc);
create index setup_requests_by_state on setup_requests (state, id desc);

-- The first time that its phone is connected a business is active.
create function activate_setup_request() returns trigger
language plpgsql as $$
begin
    update setup_requests set state = 'ACTIVE' where tenant_id = new.tenant_id and state = 'APPROVED';
    return null;
end
$$;
create trigger activate_setup_request after update of status on whatsapp_sessions
    for each row when (new.status = 'CONNECTED' and old.status is distinct from new.status)
    execute function activate_setup_request();

create function notify_setup_request() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', 'setup_request:' || new.id);
    return null;
end
$$;
create trigger notify_setup_request after insert or update on setup_requests
    for each row execute function notify_setup_request();

-- Somebody may be invited to ask, who is to be a member of nothing yet.
alter table invitations alter column tenant_id drop not null, alter column role drop not null,
    add constraint invitations_role check ((tenant_id is null) = (role is null)),
    drop constraint invitations_one,
    add constraint invitations_one unique nulls not distinct (tenant_id, email);
