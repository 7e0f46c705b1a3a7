-- What becomes of a message that has no answer, when a reply is first tried, and until when the ids of both are needed.

alter table tenants
    -- What is older when it comes is not answered. A week at most: ids are kept for a day more.
    add column answer_within_s integer not null default 86400 check (answer_within_s between 60 and 604800);
alter table whatsapp_sessions
    -- A moment at which no phone was linked yet, shortly before one was: when the last QR code was shown. Null for sessions of
    -- before this column.
    add column linked_at timestamptz;
alter type inbound_state add value 'TOO_OLD';
alter type inbound_state add value 'SUPPRESSED';

-- Why a message has no answer, where that is nobody's fault.
create type message_state as enum ('TOO_OLD', 'SUPPRESSED');
alter table message_logs
    -- Null for what goes the usual way.
    add column state message_state,
    add column state_reason text not null default '';
create index message_logs_by_state on message_logs (tenant_id, id desc) where state is not null;
create index message_logs_of_all_by_state on message_logs (id desc) where state is not null;
-- The message's line in the log; null for messages of before this column.
alter table bm_in add column log_id bigint;

alter table bm_out
    -- When the reply was first to be tried. One that was never claimed was never sent.
    add column claimed_at timestamptz;
update bm_out set claimed_at = created_at where state <> 'SENT';
-- The reply limit counts what was decided in the last minute, which is sent since or pending, and what was sent.
drop index bm_out_window;
create index bm_out_sent on bm_out (tenant_id, sent_at) where counted and sent_at is not null;
