-- Who follows all workers reads what has changed since, by an index, as the controller reads what is desired (0014).

alter table worker_processes
    -- The transaction that last changed what callers are shown; see store::worker_changes.
    add column shown_by xid8 not null default pg_current_xact_id();
create index worker_processes_shown on worker_processes (shown_by);

create function note_shown_by() returns trigger
language plpgsql as $$
begin
    new.shown_by := pg_current_xact_id();
    return new;
end
$$;
create trigger note_shown_by before update on worker_processes
    for each row when (
        (old.status, old.desired, old.node, old.pin, old.generation, old.restarts, old.conflicts, old.resends,
            old.last_error, old.stale, old.condition, old.condition_reason, old.condition_since)
            is distinct from (new.status, new.desired, new.node, new.pin, new.generation, new.restarts, new.conflicts,
                new.resends, new.last_error, new.stale, new.condition, new.condition_reason, new.condition_since))
    execute function note_shown_by();

-- A worker is shown with the status of its session.
alter table whatsapp_sessions add column shown_by xid8 not null default pg_current_xact_id();
create index whatsapp_sessions_shown on whatsapp_sessions (shown_by);
create trigger note_shown_by before update on whatsapp_sessions
    for each row when (old.status is distinct from new.status)
    execute function note_shown_by();
