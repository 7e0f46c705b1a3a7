-- PostgreSQL 15.20 and its like add no column with a default to a table as long as a function takes its row whose body was parsed when it
-- was made (`return ...`). A body that is kept as text is no hindrance, and is inlined as well.
-- Also run before migration 15, the first that adds such a column: `store/src/migrations.rs`.
create or replace function running_tenant_status(session whatsapp_sessions) returns tenant_status
language sql immutable as $$
    select case
        when session.status = 'CONNECTED' or session.snapshot_manifest is not null then 'ACTIVE'::tenant_status
        else 'QR_PENDING'::tenant_status
    end
$$;

create or replace function operation_summary(operation operations) returns text
language sql immutable as $$
    select operation_title(operation) || case operation.state
        when 'RUNNING' then ' has started'
        when 'DONE' then format(' is done (%s of %s tenants)', operation.done, operation.total)
        when 'FAILED' then format(' has failed (%s of %s tenants): %s', operation.done, operation.total, operation.message)
        else format(' was cancelled (%s of %s tenants)', operation.done, operation.total)
    end
$$;
