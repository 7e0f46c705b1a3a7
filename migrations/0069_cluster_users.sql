-- Users of the cluster, who use the console: a role in the whole of it, beside the businesses that they may be of.
alter table users
    add column cluster_role access_role check (cluster_role in ('ADMIN', 'OPERATOR', 'VIEWER')),
    add column cluster_role_at timestamptz,
    add column cluster_role_by text,
    add constraint users_cluster_role check (
        (cluster_role is null) = (cluster_role_at is null) and (cluster_role is null) = (cluster_role_by is null));

-- Whoever has a role in the cluster stays without a business.
create or replace function leave_with_last_membership() returns trigger
language plpgsql as $$
begin
    delete from users u
    where u.id = old.user_id and u.cluster_role is null and not exists(select from memberships m where m.user_id = u.id);
    return null;
end
$$;

-- What a user proves himself with beside the password: a secret from which his phone makes codes (RFC 6238).
create table second_factors (
    user_id bigint primary key references users on delete cascade,
    -- Sealed under a key that is not in the database.
    secret bytea not null,
    created_at timestamptz not null default now(),
    -- Null until a right code was given: nobody is locked out by a secret that his phone never took.
    confirmed_at timestamptz,
    -- That of the last code which counted: no code counts twice, nor one from before it.
    last_step bigint not null default 0
);

-- By an invitation its bearer comes into the cluster, once; by one that resets he comes in anew, with another password and second factor.
create table user_invitations (
    digest bytea primary key check (octet_length(digest) = 32),
    -- A new one makes the one before it worthless.
    email text collate "C" not null unique check (email = lower(email) and email ~ '^[^@[:space:]]{1,64}@[^@[:space:]]{1,189}$'),
    role access_role not null check (role in ('ADMIN', 'OPERATOR', 'VIEWER')),
    resets boolean not null,
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz not null
);

-- How far a browser has come. The first two count for nothing but the next step.
create type web_session_stage as enum ('AWAITS_CODE', 'ENROLS', 'PASSWORD', 'CODE');
alter table web_sessions add column stage web_session_stage not null default 'PASSWORD';
