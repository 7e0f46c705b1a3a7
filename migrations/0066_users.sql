-- People of a business, who use the portal: with a password of their own, each of one business or of several.
create table users (
    id bigint generated always as identity primary key,
    -- In lower case: who signs in types it as he likes.
    email text collate "C" not null unique check (email = lower(email) and email ~ '^[^@[:space:]]{1,64}@[^@[:space:]]{1,189}$'),
    display_name text not null check (char_length(display_name) <= 100),
    -- Argon2id, in the form of the PHC; null until its owner has set one.
    password text,
    created_at timestamptz not null default now(),
    created_by text not null,
    -- Since then nobody is let in by it.
    disabled_at timestamptz
);

create table memberships (
    user_id bigint not null references users on delete cascade,
    tenant_id text collate "C" not null references tenants on delete cascade,
    role access_role not null check (role in ('OWNER', 'STAFF')),
    created_at timestamptz not null default now(),
    created_by text not null,
    primary key (user_id, tenant_id)
);
create index memberships_tenant on memberships (tenant_id);

-- A link by which somebody sets a password, once. A new one makes those before it worthless.
create table sign_in_links (
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
