-- What is shown of a worker: ANSWERING on fresh evidence alone, and why there is no session. Of each change it is kept when it
-- was, on which node, and why.
--
-- No statement of this migration may use the new values, for they are not committed yet.
alter type worker_condition add value 'ANSWERING';
alter type worker_condition add value 'NEEDS_UPDATE';
alter type worker_condition add value 'UNLINKED';
alter type worker_condition add value 'SESSION_REFUSED';

-- What the last heartbeat is good for; written with it, in the row that it writes anyway.
alter table worker_heartbeats
    -- Since when there was no gap in the evidence that the worker's page works.
    add column evident_since timestamptz,
    -- A node that reports nothing more is not believed beyond this.
    add column evident_until timestamptz;

-- The newest 100 of each worker. It hangs on the worker's row, which who writes here has locked, and so waits for no other.
create table worker_conditions (
    tenant_id text collate "C" not null references worker_processes on delete cascade,
    -- Counts the worker's changes, so that the one that is too old has a name.
    seq bigint not null,
    at timestamptz not null default now(),
    -- Who had the worker then.
    node text collate "C",
    condition worker_condition not null,
    reason text not null,
    primary key (tenant_id, seq)
);

create function keep_condition() returns trigger
language plpgsql as $$
declare
    latest bigint;
begin
    select coalesce(max(seq), 0) + 1 into latest from worker_conditions where tenant_id = new.tenant_id;
    insert into worker_conditions (tenant_id, seq, node, condition, reason)
    values (new.tenant_id, latest, new.node, new.condition, new.condition_reason);
    delete from worker_conditions where tenant_id = new.tenant_id and seq <= latest - 100;
    return null;
end
$$;
create trigger keep_condition after update on worker_processes
    for each row when ((old.condition, old.condition_reason) is distinct from (new.condition, new.condition_reason))
    execute function keep_condition();
