-- Which of a tenant's sessions was taken over from a profile of whatsapp-web.js, when, and from which: an import that is made again
-- finds that it is done.
alter table whatsapp_sessions
    add column import_session bigint,
    add column import_at timestamptz,
    -- Of the profile.
    add column import_digest text;

-- The replies that wait become dead letters, for this reason. Rows of a queue are locked in the order of their ids, as everywhere.
create function bury_replies(of_tenant text, why text) returns void language plpgsql as $$
declare
    waiting bigint[];
begin
    waiting := array(
        select b.id from bm_pending w join bm_out b on b.id = w.id
        where w.tenant_id = of_tenant and w.direction = 'OUT' and b.state = 'PENDING' order by b.id for no key update of b);
    update bm_out set state = 'DEAD', last_error = why where id = any(waiting);
    delete from bm_pending where tenant_id = of_tenant and direction = 'OUT' and id = any(waiting);
end
$$;
