-- What a tenant's browser says that it is, as far as that is not its node's to say: a time zone, languages, a user agent. Read
-- with the tenant, never searched.
alter table tenants add column browser jsonb not null default '{}';
