-- A tenant's deletion is one short transaction, and what hung on it goes afterwards, in batches.
--
-- The short transaction takes the worker, the session and all that names the tenant, so that nobody has it or reads it from
-- then on. What is left of the row in `tenants` keeps the id from a new tenant, whose messages would be removed with the old
-- one's, and goes with the last batch.

alter table tenants
    add column deleting_since timestamptz,
    drop constraint tenants_phone_key;
-- A tenant that is being deleted has no phone any more.
create unique index tenants_phone_key on tenants (phone) where deleting_since is null;
create index tenants_deleting on tenants (deleting_since) where deleting_since is not null;
-- Nodes ask which tenants their profiles belong to.
create unique index tenants_uid on tenants (uid);

create function notify_deletion() returns trigger
language plpgsql as $$
begin
    perform pg_notify('roost_changes', 'deletion');
    return null;
end
$$;
create trigger notify_deletion after update on tenants
    for each row when (old.deleting_since is null and new.deleting_since is not null)
    execute function notify_deletion();
