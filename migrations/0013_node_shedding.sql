-- The kind of impairment for which the controller has a live node's tenants leave; empty while they stay. Noted so that whoever
-- asks is told, and so that the next controller goes on with it.
alter table node_orders add column shedding text not null default '';
