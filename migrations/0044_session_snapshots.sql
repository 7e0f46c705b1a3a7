-- Which snapshots of its session a tenant can go back to, and the order to go back to one of them.

create type snapshot_state as enum ('KEPT', 'DAMAGED', 'PASSED_OVER');

-- Written with the pointer, by the same fenced statement, and cut by it to what the object store keeps.
create table session_snapshots (
    tenant_id text collate "C" not null references whatsapp_sessions on delete cascade,
    generation bigint not null,
    sequence bigint not null,
    -- One of a session before the tenant's is void.
    session_number bigint not null,
    clean boolean not null,
    taken_at timestamptz not null,
    -- Of its files; null where it is not known, as for those of before.
    bytes bigint,
    node text collate "C",
    state snapshot_state not null default 'KEPT',
    primary key (tenant_id, generation, sequence)
);
insert into session_snapshots (tenant_id, generation, sequence, session_number, clean, taken_at)
select tenant_id, snapshot_generation, snapshot_sequence, session_number, snapshot_clean, snapshot_at
from whatsapp_sessions where snapshot_manifest is not null and snapshot_generation is not null;

-- What the tenant's next start begins from, by whose order, until an owner has carried it out.
alter table whatsapp_sessions
    add column restore_generation bigint,
    add column restore_sequence bigint,
    add column restore_by text,
    add column restore_reason text;
