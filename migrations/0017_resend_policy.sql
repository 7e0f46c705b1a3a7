-- What becomes of a reply that may have been sent already and of which the page does not know, and how many went again.
create type resend_policy as enum ('RESEND', 'HOLD');
alter table tenants add column resend_policy resend_policy not null default 'RESEND';

alter table worker_processes add column resends bigint not null default 0;
create trigger notify_worker_resends after update on worker_processes
    for each row when (old.resends is distinct from new.resends) execute function notify_change('worker');

alter table bm_out
    -- It was given up and tried again by order: it may have been tried although it is not claimed.
    add column redriven boolean not null default false;
