-- What operators and their programs say of a tenant. Labels choose tenants; metadata is kept for whoever wrote it.
-- The sizes are those of the text: 64 labels, and as much metadata as fits one answer beside the rest.
alter table tenants
    add column labels jsonb not null default '{}',
    add column metadata jsonb not null default '{}',
    add constraint tenants_labels_size check (octet_length(labels::text) <= 16384),
    add constraint tenants_metadata_size check (octet_length(metadata::text) <= 65536);
create index tenants_labels on tenants using gin (labels);
