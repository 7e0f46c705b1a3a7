-- Linking a phone: codes that nobody scans are not shown for ever.
--
-- No statement of this migration may use the new value, for it is not committed yet.
alter type worker_condition add value 'SCAN_PAUSED';

alter table tenants
    -- Codes that are shown in a row without a scan; 0: without an end; null: as its node says.
    add column qr_rotations integer,
    add constraint tenants_qr_rotations check (qr_rotations between 0 and 10000);

alter table whatsapp_sessions
    -- Since when no more codes are shown, and no browser runs, for nobody has scanned them. Whoever owns the worker keeps to it.
    add column scan_paused_at timestamptz;

-- Whatever starts the worker anew shows codes again, who asked for it and whoever owns it.
create function resume_scan() returns trigger
language plpgsql as $$
begin
    if exists(select from whatsapp_sessions where tenant_id = new.tenant_id and scan_paused_at is not null) then
        perform from cluster_policy for no key update;
        update whatsapp_sessions set scan_paused_at = null, updated_at = now() where tenant_id = new.tenant_id;
        insert into cluster_events (kind, node, tenant_id, text)
        values ('SCAN_RESUMED', new.node, new.tenant_id, 'QR codes are shown again, for its worker is started anew');
    end if;
    return null;
end
$$;
create trigger resume_scan after update on worker_processes
    for each row when (old.restart_seq < new.restart_seq)
    execute function resume_scan();

-- A page is to ask WhatsApp for a code that is typed on the phone. What it answers is here until the caller's coordinator takes it away, which
-- is at once; in no log of the server and no backup, hence unlogged.
create unlogged table pairing_requests (
    tenant_id text collate "C" primary key references tenants on delete cascade,
    id uuid not null,
    phone text not null,
    asked_at timestamptz not null default now(),
    code text,
    expires_at timestamptz,
    -- Why there is no code.
    refusal text
);
create trigger notify_pairing after update on pairing_requests
    for each row when (new.code is not null or new.refusal is not null)
    execute function notify_change('session');

alter table whatsapp_sessions
    -- Whose account is linked, as the page tells it: the digits of the number, the name that the phone's owner has given it, the phone's
    -- system. Null until a page has told.
    add column account_number text,
    add column account_push_name text,
    add column account_platform text,
    add column account_linked_at timestamptz;
-- Of those linked before, as near as is known: when the last code was shown.
update whatsapp_sessions set account_linked_at = coalesce(linked_at, connected_at)
where status = 'CONNECTED' or snapshot_manifest is not null;

create or replace trigger notify_session after update on whatsapp_sessions
    for each row when (
        (old.status, old.qr_text, old.connected_at, old.scan_paused_at, old.account_number, old.account_push_name,
            old.account_platform)
            is distinct from (new.status, new.qr_text, new.connected_at, new.scan_paused_at, new.account_number,
                new.account_push_name, new.account_platform))
    execute function notify_change('session');
