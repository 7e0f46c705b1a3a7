-- When codes that are typed on the phone were asked for lately, of which there are so many an hour. Lost in a crash of the server, as those
-- codes are.
create unlogged table pairing_quotas (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    asked timestamptz[] not null
);

-- A link by which somebody scans the tenant's code who has no other way to see it: the newest of each, known by its digest alone. It is void once
-- a phone is linked.
create table scan_links (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    digest bytea not null unique check (length(digest) = 32),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
