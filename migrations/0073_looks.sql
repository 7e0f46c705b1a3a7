-- Looks of those who run the cluster at what is between a tenant and its customers, which the tenant may list: with their reasons.
alter table audit_log add column is_look boolean not null default false;
create index audit_log_looks on audit_log (tenant_id, id) where is_look;
