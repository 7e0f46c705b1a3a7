-- A message that is too old when it comes is not answered, and ids are forgotten only when their messages are too old.

alter table tenants
    -- What is older when it comes is not answered. A week at most: ids are kept for a day more.
    add column answer_within_s integer not null default 86400 check (answer_within_s between 60 and 604800);
alter table whatsapp_sessions
    -- A moment at which no phone was linked yet, shortly before one was: when the last QR code was shown. Null for sessions of
    -- before this column.
    add column linked_at timestamptz;
alter type inbound_state add value 'TOO_OLD';

-- Why a message has no answer, where that is nobody's fault.
create type message_state as enum ('TOO_OLD');
alter table message_logs
    -- Null for what goes the usual way.
    add column state message_state,
    add column state_reason text not null default '';
create index message_logs_by_state on message_logs (tenant_id, id desc) where state is not null;
create index message_logs_of_all_by_state on message_logs (id desc) where state is not null;
