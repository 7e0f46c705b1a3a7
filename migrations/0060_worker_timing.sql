-- What of a worker's life is not its node's to say: how often its page is asked, when a deaf one is healed, attempts and delays, when it is
-- given up. Read with the tenant, never searched, hence one column; what it lacks is the node's own.
alter table tenants add column timing jsonb not null default '{}';
