-- What is written in the log of a tenant's worker: a level that holds until it is changed, and one that holds for a time in its place and
-- ends by itself. Read with the tenant, never searched; one whose time is over stays until the next order and says nothing.
create type log_level as enum ('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR');

alter table tenants
    add column log_level log_level,
    add column temporary_log_level log_level,
    add column temporary_log_level_until timestamptz,
    add constraint tenants_temporary_log_level check (
        num_nulls(temporary_log_level, temporary_log_level_until) in (0, 2));
