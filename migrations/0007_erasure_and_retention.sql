-- Customers' texts and numbers are where they are needed, for as long as they are.
--
-- A message that is answered, a reply that is sent: their texts are in the log, and their rows in the queues are kept
-- for deduplication and for the reply limit, which need neither text nor number. So a finished row holds none. A second
-- delivery is known by a digest of WhatsApp's id of the message, which has the number in it; the rest of that id is
-- random, so the number cannot be guessed from the digest.
--
-- Finished rows are found by the time of their end, so that a purge costs what it removes and not what is kept.

create function message_digest(whatsapp_id text) returns bytea
language sql stable
return sha256(convert_to(whatsapp_id, 'UTF8'));

alter table bm_in add column whatsapp_digest bytea;
update bm_in set
    whatsapp_digest = message_digest(whatsapp_id),
    whatsapp_id = case when state = 'DONE' then '' else whatsapp_id end,
    chat_id = case when state = 'DONE' then '' else chat_id end,
    sender = case when state = 'DONE' then '' else sender end,
    body = case when state = 'DONE' then '' else body end,
    last_error = case when state = 'DONE' then '' else last_error end;
alter table bm_in
    alter column whatsapp_digest set not null,
    drop constraint bm_in_once,
    -- Deduplication and durability in one step, as before (I6).
    add constraint bm_in_once unique (tenant_id, whatsapp_digest);
update bm_out set whatsapp_id = id::text, chat_id = '', body = '', last_error = '' where state = 'SENT';

create index bm_in_finished on bm_in (tenant_id, state, done_at) where state <> 'PENDING';
create index bm_out_finished on bm_out (tenant_id, state, created_at) where state <> 'PENDING';
create index reply_windows_by_start on reply_windows (started_at);
create index operations_by_end on operations (ended_at) where ended_at is not null;

alter table cluster_policy
    -- How long the log and the messages that were given up are kept.
    add column message_retention_days integer not null default 90 check (message_retention_days between 1 and 3650);
