-- Who has taken a chat over, and since when. Each change makes it another version, by which the next one is made.
alter table chats
    add column held_by text,
    add column held_since timestamptz,
    add column version bigint not null default 0,
    add constraint chats_held check ((held_by is null) = (held_since is null));

-- What a person says answers no message of the queue. Its key is of whoever says it: said again, it is the same.
alter table bm_out
    alter column inbound_id drop not null,
    add column said_by text,
    add column said_key text,
    add constraint bm_out_said check ((inbound_id is null) = (said_by is not null and said_key is not null)) not valid;
create unique index bm_out_said on bm_out (tenant_id, said_key) where said_key is not null;
alter table bm_out validate constraint bm_out_said;

-- Of what was sent: by which person. None: by the automation.
alter table message_logs add column said_by text;
