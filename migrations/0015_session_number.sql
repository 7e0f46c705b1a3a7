-- Which session of its tenant is meant: it grows when one is forgotten and when a phone is linked. Profiles and snapshots say of
-- which they are, and one of before is void everywhere; those that say nothing are from before this, and of the first.
alter table whatsapp_sessions add column session_number bigint not null default 1;

-- The object store of the sessions, by the id in its marker; null until a node has made or found one. A store that has another
-- marker, or none, is one that is not mounted, or another cluster's.
alter table database_identity add column object_store uuid;
