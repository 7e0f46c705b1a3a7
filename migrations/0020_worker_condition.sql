-- What a worker waits for or does about a fault, beside the three statuses, which say only how things stand. Kept apart from
-- last_error: that is a text for people, this is what tools and pages go by.
create type worker_condition as enum (
    'NONE', 'STARTING', 'WAITING_FOR_CAPACITY', 'WAITING_FOR_FAILOVER', 'WAITING_FOR_NODE', 'WAITING_FOR_WHATSAPP',
    'WAITING_FOR_STORE', 'WAITING_FOR_SCAN', 'HEALING', 'FAILED'
);
alter table worker_processes
    add column condition worker_condition not null default 'NONE',
    add column condition_reason text not null default '',
    -- When it became this kind; another reason of the same kind leaves it.
    add column condition_since timestamptz not null default now();

create or replace trigger notify_worker after update on worker_processes
    for each row when (
        (old.status, old.desired, old.node, old.generation, old.restarts, old.last_error, old.conflicts, old.pin,
            old.condition, old.condition_reason)
            is distinct from (new.status, new.desired, new.node, new.generation, new.restarts, new.last_error,
                new.conflicts, new.pin, new.condition, new.condition_reason))
    execute function notify_change('worker');
