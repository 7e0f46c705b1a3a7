-- Which database this is, and which registry it belongs to. Two clusters on one database would depose each other for ever,
-- and one cluster on two databases would give a tenant two owners: so each of the two stores names the other, and who
-- finds another name places nothing.

-- A restored backup is the same database. Whoever copies a database to make another of it gives the copy a new id.
create table database_identity (
    singleton boolean primary key default true check (singleton),
    id uuid not null default gen_random_uuid()
);
insert into database_identity default values;

alter table controller_term
    -- The mark of the registry's store; empty until a controller has taken the database into use.
    add column store text not null default '',
    add column cluster text not null default '',
    add column lease_ttl_ms bigint not null default 0,
    -- The last sign of a controller of that store, given about once in a TTL.
    add column seen_at timestamptz not null default now();
