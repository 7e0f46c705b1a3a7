//! The schema, step by step, and the one step that comes out of its turn.

use sqlx::{
    PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
    raw_sql,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// PostgreSQL 15.20 and its like refuse migration 15, and each later one that adds a column with a default to the sessions, as long as a
/// function that was parsed when it was made takes their row. What has been applied somewhere is not changed any more, so what mends
/// it, a migration that changes nothing else, runs before as well.
const LAST_BEFORE: i64 = 14;
const BODIES_AS_TEXT: &str = include_str!("../../migrations/0063_bodies_as_text.sql");

/// Several processes may do so at once; each waits for its turn. The connection is not to be used again if it fails.
pub(crate) async fn run(connection: &mut PgConnection) -> Result<(), MigrateError> {
    connection.lock().await?;
    MIGRATIONS.run_direct(Some(LAST_BEFORE), &mut *connection, false).await?;
    let is_parsed = sqlx::query_scalar!(
        r#"select prosqlbody is not null as "is_parsed!" from pg_proc where oid = 'running_tenant_status'::regproc"#
    );
    if is_parsed.fetch_one(&mut *connection).await? {
        raw_sql(BODIES_AS_TEXT).execute(&mut *connection).await?;
    }
    MIGRATIONS.run_direct(None, &mut *connection, false).await?;
    connection.unlock().await
}
