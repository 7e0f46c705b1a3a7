-- PostgreSQL 15.20 and its like add no column with a default to a table whose row a function in SQL takes. One in PL/pgSQL may take it.
-- Also run before migration 15, the first that adds such a column: `store/src/migrations.rs`.
create or replace function running_tenant_status(session whatsapp_sessions) returns tenant_status
language plpgsql immutable as $$
begin
    return case
        when session.status = 'CONNECTED' or session.snapshot_manifest is not null then 'ACTIVE'
        else 'QR_PENDING'
    end;
end
$$;
