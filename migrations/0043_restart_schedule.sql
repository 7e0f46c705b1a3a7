-- When a tenant's browser is restarted by itself: a cron expression, its zone and the spread. Never unless all three are set.
alter table tenants
    add column restart_cron text,
    add column restart_time_zone text,
    add column restart_jitter_s integer,
    add constraint tenants_restart_schedule check (num_nulls(restart_cron, restart_time_zone, restart_jitter_s) in (0, 3));
