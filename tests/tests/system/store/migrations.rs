//! What a database must be before it is given a schema.

use std::path::Path;

use roost_store::{DeadLetterFilter, Store};
use sqlx::{Connection, Executor, PgConnection, migrate::Migrator};

use crate::store::support::{Db, message, with_database};

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

/// A database as programs of before have left it, with a message and a reply in every state, and two chats.
const OF_BEFORE: &[&str] = &[
    "insert into tenants (id, display_name, phone) values ('duka', 'd', '1')",
    "insert into whatsapp_sessions (tenant_id) values ('duka')",
    "insert into worker_processes (tenant_id, desired) values ('duka', 'RUNNING')",
    "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state, received_at,
        done_at, last_error)
    select 'duka', sha256(name::bytea), case when state in ('PENDING', 'DEAD') then name else '' end, 'c', 'c', 'x', false,
        state::inbound_state, now() - age, case when state <> 'PENDING' then now() - age end, ''
    from (values ('waits', 'PENDING', interval '1 hour'), ('done', 'DONE', '1 day'), ('long-done', 'DONE', '9 days'),
        ('dead', 'DEAD', '60 days'), ('long-dead', 'DEAD', '91 days'), ('old', 'TOO_OLD', '1 day')) as given(name, state, age)",
    "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, state, sent_at)
    select 'duka', n, 'r' || n, 'c', 'x', state::outbound_state, case when state = 'SENT' then now() end
    from unnest(array['PENDING', 'SENT', 'DEAD']) with ordinality given(state, n)",
    "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, state) values
        ('duka', 'IN', 'known', 'x', 'm', null), ('duka', 'IN', 'old', 'x', 'm', 'TOO_OLD'), ('duka', 'OUT', 'told', 'x', 'm', null)",
];

#[tokio::test]
async fn what_waits_and_the_chats_of_before_are_known_after_the_migration() {
    let mut db = Db::new().await;
    let mut admin = PgConnection::connect(&db.url).await.unwrap();
    admin.execute("create database before").await.unwrap();
    let url = with_database(&db.url, "before");
    let mut before = PgConnection::connect(&url).await.unwrap();
    let all = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")).await.unwrap();
    all.run_direct(Some(14), &mut before, false).await.unwrap();
    // Later servers take migration 15 only so.
    before.execute(include_str!("../../../../migrations/0061_tenant_status_in_plpgsql.sql")).await.unwrap();
    all.run_direct(Some(30), &mut before, false).await.unwrap();
    for sql in OF_BEFORE {
        before.execute(*sql).await.unwrap();
    }
    db.store = Store::connect(&url, 2).await.unwrap();
    db.store.migrate().await.unwrap();

    assert_eq!(db.astray().await, 0);
    assert_eq!(
        db.text("select string_agg(direction || ' ' || id, ', ') from bm_pending").await,
        "IN 1, OUT 1"
    );
    assert_eq!(db.text("select string_agg(chat_id, ' ') from chats").await, "known");
    let fence = roost_store::Fence {
        tenant: crate::store::support::tenant("duka"),
        generation: roost_model::ids::Generation(db.number("select generation from worker_processes").await),
    };
    assert_eq!(db.store.pending_inbound(&fence, 0, 10).await.unwrap()[0].whatsapp_id, "waits");
    assert_eq!(db.store.pending_outbound(&fence, 0, 10).await.unwrap()[0].whatsapp_id, "r1");
    assert_eq!(db.store.reply_window(&fence).await.unwrap().sent_ages.len(), 1);
    let dead = db.store.list_dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap();
    let dead: Vec<_> = dead.iter().map(|letter| letter.whatsapp_id.as_str()).collect();
    assert_eq!(dead, ["r3", "dead", "long-dead"]);
    let purged = db.store.purge().await.unwrap();
    assert_eq!((purged.inbound, purged.outbound), (1, 0), "the walk stops at the first that is young");
    let admitted = db.store.admit(&fence, &[message("done", "known"), message("new", "old")]).await.unwrap();
    assert_eq!(
        admitted.iter().map(|a| (a.fresh, a.first_in_chat)).collect::<Vec<_>>(),
        [(false, false), (true, true)]
    );
}
