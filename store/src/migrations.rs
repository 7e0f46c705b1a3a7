//! The schema, step by step, and the one step that comes out of its turn.

use sqlx::{
    PgConnection,
    migrate::{Migrate, MigrateError, Migrator},
    raw_sql,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// PostgreSQL 15.20 and its like refuse migration 15, and each later one that adds a column with a default to the sessions, as long as a
/// function in SQL takes their row. What has been applied somewhere is not changed any more, so what mends it runs before as well.
const LAST_BEFORE: i64 = 14;
const FUNCTION_IN_PLPGSQL: &str = include_str!("../../migrations/0061_tenant_status_in_plpgsql.sql");

/// Several processes may do so at once; each waits for its turn. The connection is not to be used again if it fails.
pub(crate) async fn run(connection: &mut PgConnection) -> Result<(), MigrateError> {
    connection.lock().await?;
    MIGRATIONS.run_direct(Some(LAST_BEFORE), &mut *connection, false).await?;
    let is_in_sql = sqlx::query_scalar!(
        r#"select exists (
            select from pg_proc p join pg_language l on l.oid = p.prolang
            where p.oid = 'running_tenant_status'::regproc and l.lanname = 'sql'
        ) as "is_in_sql!""#
    );
    if is_in_sql.fetch_one(&mut *connection).await? {
        raw_sql(FUNCTION_IN_PLPGSQL).execute(&mut *connection).await?;
    }
    MIGRATIONS.run_direct(None, &mut *connection, false).await?;
    connection.unlock().await
}
