-- A tenant's own proxy: where it is, scheme://host:port, and what it is told. The credentials are read for the tenant's owner,
-- and by an apply that declares others.
alter table tenants
    add column proxy text,
    add column proxy_user text,
    add column proxy_password text,
    add constraint tenants_proxy check (
        num_nulls(proxy_user, proxy_password) in (0, 2) and (proxy is not null or proxy_user is null));
