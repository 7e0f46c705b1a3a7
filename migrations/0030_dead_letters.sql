-- Messages and replies that were given up are listed by tenant, and tried again by order.

alter table bm_in
    -- It was never admitted: Postgres refused it, or what the page told of it was not understood. It cannot be tried again.
    add column set_apart boolean not null default false;

-- So that a list costs what is dead, not what is kept.
create index bm_in_dead on bm_in (tenant_id, id) where state = 'DEAD';
create index bm_out_dead on bm_out (tenant_id, id) where state = 'DEAD';

create view dead_letters as
select 'IN'::message_direction as direction, id, tenant_id, chat_id, body, whatsapp_id, last_error as reason, attempts,
    received_at as created_at, not set_apart as redrivable
from bm_in where state = 'DEAD'
union all
select 'OUT', id, tenant_id, chat_id, body, whatsapp_id, last_error, attempts, created_at, true
from bm_out where state = 'DEAD';
