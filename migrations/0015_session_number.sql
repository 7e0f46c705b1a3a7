-- Which session of its tenant is meant: it grows when one is forgotten and when a phone is linked. Profiles and snapshots say of
-- which they are, and one of before is void everywhere; those that say nothing are from before this, and of the first.
alter table whatsapp_sessions add column session_number bigint not null default 1;
