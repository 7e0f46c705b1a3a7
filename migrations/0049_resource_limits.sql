-- What a tenant's browser may take of its node. What is null is the node's own; 0 lifts a limit.
alter table tenants
    add column memory_request_bytes bigint,
    add column memory_limit_bytes bigint,
    add column cpu_limit_millicores integer,
    add column process_limit integer,
    add constraint tenants_memory check (memory_limit_bytes = 0 or memory_request_bytes <= memory_limit_bytes);
-- What it used when it was last seen, written with that and with nothing else.
alter table worker_heartbeats
    add column memory_bytes bigint,
    add column cpu_millicores integer,
    add column processes integer;
