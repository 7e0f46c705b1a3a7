//! Rows in bulk: through the API a hundred thousand tenants would take minutes, and how they came is not what is measured.

use anyhow::Result;
use roost_store::{PolicyPatch, Requester, Store};
use sqlx::{Connection, PgConnection};

/// Tenants that should run, placed nowhere.
pub async fn make(url: &str, count: usize) -> Result<()> {
    Store::connect(url, 1).await?.migrate().await?;
    let mut connection = PgConnection::connect(url).await?;
    let count = i64::try_from(count)?;
    for statement in [
        "insert into tenants (id, display_name, phone)
            select 't' || n, 'Tenant ' || n, '+2557' || lpad(n::text, 8, '0') from generate_series(1, $1) n",
        "insert into whatsapp_sessions (tenant_id) select 't' || n from generate_series(1, $1) n",
        "insert into worker_processes (tenant_id, status, desired)
            select 't' || n, 'RUNNING', 'RUNNING' from generate_series(1, $1) n",
        "insert into worker_heartbeats (tenant_id) select 't' || n from generate_series(1, $1) n",
    ] {
        sqlx::query(statement).bind(count).execute(&mut connection).await?;
    }
    sqlx::query("analyze").execute(&mut connection).await?;
    Ok(())
}

/// A quarter of the nodes is about to go, and that is not to pause anything.
pub async fn switch_off_the_breaker(url: &str) -> Result<()> {
    let store = Store::connect(url, 1).await?;
    let by =
        Requester { name: "bench".to_owned(), reason: "a quarter of the nodes is about to go".to_owned() };
    let breaker_off = PolicyPatch { failover_breaker: Some(false), ..PolicyPatch::default() };
    store.update_policy(breaker_off, &by).await?;
    Ok(())
}
