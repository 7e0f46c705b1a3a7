-- By which somebody signs in at a provider of OpenID Connect: whoever the provider says that it is, by its own name for him and never by his
-- address, which others may get there.
create table user_identities (
    id bigint generated always as identity primary key,
    issuer text collate "C" not null check (octet_length(issuer) between 1 and 2000),
    subject text collate "C" not null check (octet_length(subject) between 1 and 255),
    user_id bigint not null references users on delete cascade,
    created_at timestamptz not null default now(),
    constraint user_identities_of_one unique (issuer, subject),
    constraint user_identities_one unique (user_id, issuer)
);

-- Signed in by an identity alone, which is enough for everybody.
alter type web_session_stage add value 'IDENTITY';

-- With an identity go the browsers that were signed in by it, also one that is signed in at that moment.
alter table web_sessions add column identity_id bigint references user_identities on delete cascade;
create index web_sessions_identity on web_sessions (identity_id) where identity_id is not null;

-- Browsers that have been sent to the provider, by the digest of what they bring back. Each comes back once.
create table identity_sign_ins (
    digest bytea primary key check (octet_length(digest) = 32),
    -- The link that is used up by it, of a business or of the cluster.
    link bytea check (octet_length(link) = 32),
    -- The browser whose user takes the identity.
    session bytea references web_sessions on delete cascade,
    expires_at timestamptz not null,
    constraint identity_sign_ins_purpose check (link is null or session is null)
);
create index identity_sign_ins_end on identity_sign_ins (expires_at);
create index identity_sign_ins_session on identity_sign_ins (session) where session is not null;
