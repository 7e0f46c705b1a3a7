-- How many messages a worker took in and sent in the minute before it was last seen, written with that and with nothing else.
alter table worker_heartbeats
    add column messages_per_minute integer;
