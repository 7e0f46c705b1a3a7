-- How far etcd had got when the controller acted upon it. An etcd that is restored from a backup is behind this, although it
-- may be beyond the leader's key that the term was given for.
alter table controller_term add column registry_revision bigint not null default 0;
