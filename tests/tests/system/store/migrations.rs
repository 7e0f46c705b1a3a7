//! What a database must be before it is given a schema.

use roost_store::Store;
use sqlx::{Connection, Executor, PgConnection};

use crate::store::support::{Db, with_database};

#[tokio::test]
async fn a_database_that_cannot_hold_every_character_is_refused_before_it_has_a_table() {
    let server = Db::new().await.url;
    let mut admin = PgConnection::connect(&server).await.unwrap();
    let create = "create database latin encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'";
    admin.execute(create).await.unwrap();
    let store = Store::connect(&with_database(&server, "latin"), 1).await.unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the database's encoding is LATIN1 and must be UTF8, or messages with other characters could not be stored: \
         create it anew with `createdb --encoding UTF8 --template template0`"
    );
    let tables = "select count(*) from information_schema.tables where table_schema = 'public'";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(store.pool()).await.unwrap();
    assert_eq!(tables, 0);
}
