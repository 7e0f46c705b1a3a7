-- What an answer costs, whatever is kept.
--
-- A message is written when it comes, when it is answered, and its reply when it is made and when it is sent. Those updates
-- are HOT: the new version of the row lies in the page of the old one and no index is touched. For that no column that they
-- change may be in an index, nor in the condition of one. So what waits is not told by an index on the state but by a table
-- of its own, which is as long as what waits.

-- What is still to be answered (IN) or to be sent (OUT). A row comes and goes in the statement that makes its message PENDING,
-- or something else. The state of the message decides; this is how those that wait are found. Without a foreign key, for the
-- check would cost every message a lock; a tenant's deletion sees to it.
create table bm_pending (
    tenant_id text collate "C" not null,
    direction message_direction not null,
    -- Of bm_in or bm_out.
    id bigint not null,
    primary key (tenant_id, direction, id)
) with (
    -- As many rows go as come: by its length, which is next to nothing, it would never be vacuumed in time.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000
);
insert into bm_pending (tenant_id, direction, id)
    select tenant_id, 'IN'::message_direction, id from bm_in where state = 'PENDING'
    union all select tenant_id, 'OUT', id from bm_out where state = 'PENDING';

-- The reply limit's window: counted replies that were sent a moment ago. What is older than a minute is purged.
create table recent_replies (
    tenant_id text collate "C" not null,
    sent_at timestamptz not null,
    queued_at timestamptz not null
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000
);
create index recent_replies_by_time on recent_replies (tenant_id, sent_at);
insert into recent_replies (tenant_id, sent_at, queued_at)
    select tenant_id, sent_at, created_at from bm_out where counted and sent_at > now() - interval '60 seconds';

drop view dead_letters;

drop index bm_in_pending;
drop index bm_in_finished;
drop index bm_in_dead;
alter table bm_in set (
    -- Room for the versions that follow; a finished one, without texts, takes half as much as one that waits.
    fillfactor = 50,
    -- A fiftieth of eight days' messages, so that what a purge has freed is used again within hours.
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
alter table bm_in
    -- From when a dead letter is kept; null for all else. Generated, so that no statement can forget it, and it does not
    -- change when a message is answered, so that it may be in an index.
    add column dead_from timestamptz generated always as (case when state = 'DEAD' then coalesce(done_at, received_at) end) stored,
    -- The walk of the purge has passed it and left it; see store::purge.
    add column outlasted_purge boolean not null default false;
create index bm_in_dead on bm_in (tenant_id, id) where dead_from is not null;
create index bm_in_dead_by_age on bm_in (dead_from) where dead_from is not null;
create index bm_in_outlasting on bm_in (id) where outlasted_purge and dead_from is null;
-- Another name, so that programs of before, which know nothing of bm_pending, admit nothing.
alter table bm_in rename constraint bm_in_once to bm_in_known;

drop index bm_out_pending;
drop index bm_out_finished;
drop index bm_out_dead;
drop index bm_out_sent;
alter table bm_out set (
    -- A reply may be claimed by an update of its own, whose version is as long as the first.
    fillfactor = 45,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
alter table bm_out
    -- WhatsApp's id of a reply goes with its text. It follows from the message and the position, which stay.
    drop constraint bm_out_once,
    add column dead_from timestamptz generated always as (case when state = 'DEAD' then created_at end) stored,
    add column outlasted_purge boolean not null default false,
    add constraint bm_out_of_message unique (tenant_id, inbound_id, seq);
create index bm_out_dead on bm_out (tenant_id, id) where dead_from is not null;
create index bm_out_dead_by_age on bm_out (dead_from) where dead_from is not null;
create index bm_out_outlasting on bm_out (id) where outlasted_purge and dead_from is null;

create view dead_letters as
select 'IN'::message_direction as direction, id, tenant_id, chat_id, body, whatsapp_id, last_error as reason, attempts,
    received_at as created_at, not set_apart as redrivable
from bm_in where dead_from is not null
union all
select 'OUT', id, tenant_id, chat_id, body, whatsapp_id, last_error, attempts, created_at, true
from bm_out where dead_from is not null;

-- How far the purge's walk along a queue has come.
create table purge_walks (
    queue text primary key,
    after_id bigint not null default 0
);
insert into purge_walks (queue) values ('bm_in'), ('bm_out');
delete from purge_cursors;
