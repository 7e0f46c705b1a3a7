-- People who use the portal: each with a password, of one business or of several.
create table users (
    id bigint generated always as identity primary key,
    -- In lower case: who signs in types it as he likes.
    email text collate "C" not null unique check (email = lower(email) and email ~ '^[^@[:space:]]{1,64}@[^@[:space:]]{1,189}$'),
    -- Argon2id, in the form of the PHC.
    password text not null,
    created_at timestamptz not null default now()
);

create table memberships (
    user_id bigint not null references users on delete cascade,
    tenant_id text collate "C" not null references tenants on delete cascade,
    role access_role not null check (role in ('OWNER', 'STAFF')),
    created_at timestamptz not null default now(),
    invited_by text not null,
    primary key (user_id, tenant_id)
);
create index memberships_tenant on memberships (tenant_id);

-- Nobody is a user for nothing: with the last business the user goes, and every browser is signed out.
create function leave_with_last_membership() returns trigger
language plpgsql as $$
begin
    delete from users u where u.id = old.user_id and not exists(select from memberships m where m.user_id = u.id);
    return null;
end
$$;
create trigger leave_with_last_membership after delete on memberships
    for each row execute function leave_with_last_membership();

-- By an invitation its bearer becomes a member of one business, once. Whoever invites gives nobody's password away by it: a user who is there
-- already joins with the password that he has.
create table invitations (
    digest bytea primary key check (octet_length(digest) = 32),
    tenant_id text collate "C" not null references tenants on delete cascade,
    email text collate "C" not null check (email = lower(email) and email ~ '^[^@[:space:]]{1,64}@[^@[:space:]]{1,189}$'),
    role access_role not null check (role in ('OWNER', 'STAFF')),
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz not null,
    -- A new one makes the one before it worthless.
    constraint invitations_one unique (tenant_id, email)
);

-- By a reset its bearer sets the password of a user anew, once.
create table password_resets (
    digest bytea primary key check (octet_length(digest) = 32),
    user_id bigint not null unique references users on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);

-- Browsers that are signed in, by the digest of what they send.
create table web_sessions (
    digest bytea primary key check (octet_length(digest) = 32),
    user_id bigint not null references users on delete cascade,
    created_at timestamptz not null default now(),
    -- To five minutes, so that an open page is no write per request.
    seen_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index web_sessions_user on web_sessions (user_id);
create index web_sessions_end on web_sessions (expires_at);
