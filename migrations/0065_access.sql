-- Who may call the API, and what was called by whom.
create type access_role as enum ('ADMIN', 'OPERATOR', 'VIEWER', 'OWNER', 'STAFF', 'PROCESSOR');

create table access_tokens (
    id bigint generated always as identity primary key,
    -- For people. Of those that count no two have the same.
    name text collate "C" not null check (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    -- SHA-256 of the token, of which 32 bytes are random: it cannot be guessed from this, nor this be looked up without it.
    digest bytea not null unique check (octet_length(digest) = 32),
    role access_role not null,
    -- The only one of which its bearer sees anything.
    tenant_id text collate "C" references tenants on delete cascade,
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by text,
    -- To the hour, so that a busy caller is no write per call.
    last_used_at timestamptz,
    constraint access_tokens_tenant check ((tenant_id is null) = (role in ('ADMIN', 'OPERATOR', 'VIEWER'))),
    constraint access_tokens_revoked check ((revoked_at is null) = (revoked_by is null))
);
create unique index access_tokens_name on access_tokens (name) where revoked_at is null;
create index access_tokens_of_tenant on access_tokens (tenant_id) where tenant_id is not null;

-- What was ordered, and what was refused to callers who are known. Of messages, codes and screenshots that operators look at as well.
create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    -- As the API names it; a token that is gone keeps its name here.
    caller text not null,
    role access_role not null,
    call text not null,
    -- Not foreign keys: what is gone was there.
    tenant_id text collate "C",
    node_id text collate "C",
    origin text not null,
    result text not null,
    -- The caller's own words.
    requested_by text not null,
    reason text not null
);
create index audit_log_tenant on audit_log (tenant_id, id) where tenant_id is not null;
create index audit_log_caller on audit_log (caller, id);

create function keep_audit() returns trigger
language plpgsql as $$
begin
    raise exception 'the audit is added to and never changed' using errcode = 'insufficient_privilege';
end
$$;
create trigger keep_audit before update or delete or truncate on audit_log
    for each statement execute function keep_audit();
