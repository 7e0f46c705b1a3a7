-- The chats from which something was received, so that whether a message is the first of its chat is one row and not a search
-- of the log. A row goes with the last line of the log that was received in its chat: who is silent for longer is greeted anew,
-- and no number is kept for longer than the log.
create table chats (
    tenant_id text collate "C" not null references tenants on delete cascade,
    chat_id text not null,
    first_received_at timestamptz not null default now(),
    primary key (tenant_id, chat_id)
);
insert into chats (tenant_id, chat_id, first_received_at)
    select tenant_id, chat_id, min(created_at) from message_logs
    where direction = 'IN' and state is distinct from 'TOO_OLD'
    group by tenant_id, chat_id;
