-- Tenants can be declared in files. Of each, the fields that the last apply named: one that a later apply leaves out goes
-- back to its default, and one that no apply has named is the operators'. Names of fields, and of entries as labels.NAME.
alter table tenants add column applied_fields jsonb not null default '[]' check (jsonb_typeof(applied_fields) = 'array');
