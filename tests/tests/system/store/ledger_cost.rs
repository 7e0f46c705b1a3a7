//! What the controller, and who follows all workers, read of a large cluster in which little happens, and that the controller's
//! reading by changes misses none.

use std::{collections::BTreeSet, time::Duration};

use roost_cluster::ledger::{DesiredTenant, Ledger};
use roost_devcluster::Postgres;
use roost_model::ids::{Generation, Revision, TenantId};
use roost_store::{PostgresLedger, Requester, Store, WorkersChanged};
use sqlx::{Connection, Executor, PgConnection};

use crate::store::support::{Db, new_tenant, node, tenant};

const TWO_MINUTES: Duration = Duration::from_secs(120);

/// Tenants that run on a node and are seen, and with whom nothing else happens.
macro_rules! idle_tenants {
    ($tenants:literal) => {
        &[
            concat!(
                "insert into tenants (id, display_name, phone) select 'i' || n, 't', n from generate_series(1, ",
                $tenants,
                ") n"
            ),
            "insert into whatsapp_sessions (tenant_id) select id from tenants",
            "insert into worker_processes (tenant_id, desired, status, node) select id, 'RUNNING', 'RUNNING', 'a' from tenants",
            "insert into worker_heartbeats (tenant_id, last_seen_at) select id, now() from tenants",
        ]
    };
}

impl Db {
    /// Sequential scans so far, and pages that were read, of the tables that a row for each tenant is in.
    async fn scans_and_pages(&self) -> (i64, i64) {
        let sql = "select sum(seq_scan)::bigint, sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
            from pg_stat_user_tables join pg_statio_user_tables using (relid)
            where pg_stat_user_tables.relname in
                ('tenants', 'whatsapp_sessions', 'worker_processes', 'worker_heartbeats')";
        sqlx::query_as(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    /// All of it, read anew.
    async fn demands(&self) -> Vec<DesiredTenant> {
        PostgresLedger::new(self.store.clone()).desired_tenants().await.unwrap()
    }
}

/// On a server of its own: what a transaction that is open in any database may have changed is read again.
#[tokio::test]
async fn a_reading_over_100_000_idle_tenants_is_of_what_has_changed_and_what_is_due() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let store = Store::connect(postgres.url(), 2).await.unwrap();
    store.migrate().await.unwrap();
    let ledger = PostgresLedger::new(store.clone());
    let term = ledger.begin_term("etcd", Revision(10), "coordinator/a").await.unwrap();
    let db = Db { store, ledger, term, url: postgres.url().to_owned() };
    db.fill(idle_tenants!(100000)).await;
    // One connection, which tells its statistics when it is asked to.
    let store = Store::connect(&db.url, 1).await.unwrap();
    let ledger = PostgresLedger::new(store.clone());
    let told = async || {
        store.pool().execute("select pg_stat_force_next_flush()").await.unwrap();
        store.ping().await.unwrap();
        db.execute("select pg_stat_force_next_flush()").await;
        db.scans_and_pages().await
    };
    assert_eq!(ledger.desired_tenants().await.unwrap().len(), 100_000, "the first reading is of all");
    for sql in [
        "update worker_processes set desired = 'STOPPED' where tenant_id = 'i7'",
        "update worker_processes set known_seen_at = now() - interval '3 minutes' where tenant_id in ('i8', 'i9')",
        "update worker_processes set expected_since = now() - interval '3 minutes' where tenant_id = 'i9'",
        "update worker_heartbeats set last_seen_at = null where tenant_id = 'i9'",
    ] {
        store.pool().execute(sql).await.unwrap();
    }

    let before = told().await;
    let demands = ledger.desired_tenants().await.unwrap();
    let after = told().await;
    assert_eq!(demands.iter().filter(|demand| !demand.running).count(), 1);
    assert_eq!((demands.len(), after.0 - before.0), (100_000, 0), "a table was scanned");
    assert!(after.1 - before.1 < 100, "{} pages for one change", after.1 - before.1);

    let horizon = store.worker_horizon().await.unwrap();
    store
        .pool()
        .execute("update worker_processes set last_error = 'deaf' where tenant_id = 'i7'")
        .await
        .unwrap();
    let before = told().await;
    let changed = store.workers_changed_since(&horizon).await.unwrap();
    let after = told().await;
    assert!(matches!(changed, WorkersChanged::Of(of, _) if of == BTreeSet::from([tenant("i7")])));
    assert_eq!(after.0 - before.0, 0, "a table was scanned");
    assert!(after.1 - before.1 < 100, "{} pages for one worker", after.1 - before.1);

    let before = told().await;
    let marked = ledger.mark_stale(db.term, TWO_MINUTES).await.unwrap();
    let after = told().await;
    assert_eq!((marked, after.0 - before.0), (vec![tenant("i9")], 0), "a table was scanned");
    assert!(after.1 - before.1 < 200, "{} pages for two that were due", after.1 - before.1);
}

/// However many come to be due together: each is looked at once, and those that were seen are left alone for as long again.
#[tokio::test]
async fn all_that_are_due_are_looked_at_once() {
    let db = Db::new().await;
    db.fill(idle_tenants!(2000)).await;
    for sql in [
        "update worker_processes set known_seen_at = now() - interval '3 minutes', expected_since = now() - interval '3 minutes'",
        "update worker_heartbeats set last_seen_at = null where tenant_id like 'i1_7'",
    ] {
        db.execute(sql).await;
    }
    let marked = db.ledger.mark_stale(db.term, TWO_MINUTES).await.unwrap();
    assert_eq!(marked.len(), 10, "{marked:?}");
    let due = "select count(*) from worker_processes
        where desired = 'RUNNING' and status = 'RUNNING' and known_seen_at < now() - interval '2 minutes'";
    assert_eq!(db.number(due).await, 0);
    assert_eq!(db.ledger.mark_stale(db.term, TWO_MINUTES).await.unwrap(), []);
}

#[tokio::test]
async fn every_kind_of_change_is_in_the_next_reading() {
    let db = Db::new().await;
    let by = Requester::default();
    let read = async |what: &str| {
        let (known, all) = (db.ledger.desired_tenants().await.unwrap(), db.demands().await);
        assert_eq!(known, all, "{what}");
        known
    };
    assert_eq!(read("nothing").await, []);
    let fence = db.owned("duka").await;
    let other = db.owned("soko").await;
    assert_eq!(read("two are made").await.len(), 2);
    db.store.stop_worker(&fence.tenant).await.unwrap();
    assert!(!read("one is stopped").await[0].running);
    db.store.pin_tenant(&fence.tenant, &node("b"), &by).await.unwrap();
    assert!(read("one is pinned").await[0].pin.is_some());
    db.place(&fence.tenant, "b").await;
    assert_eq!(read("one is placed").await[0].node, Some(node("b")));
    db.ledger.unplace(db.term, std::slice::from_ref(&fence.tenant)).await.unwrap();
    assert_eq!(read("one is unplaced").await[0].node, None);
    db.store.report_outrun(&other, Generation(other.generation.0 + 5)).await.unwrap();
    assert!(read("one is outrun").await[1].outrun_by.is_some());
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    assert_eq!(read("one is deleted").await.len(), 1);
    db.finish_deletions().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    assert_eq!(read("one is made again").await.len(), 2);
}

/// The order of the commits is not that of the transactions: what was open when others were read is read when it is there.
#[tokio::test]
async fn a_change_that_was_open_during_a_reading_is_in_a_later_one() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.owned(id).await;
    }
    let mut open = PgConnection::connect(&db.url).await.unwrap();
    open.execute("begin; update worker_processes set desired = 'STOPPED' where tenant_id = 'duka'")
        .await
        .unwrap();
    let running = async || -> BTreeSet<TenantId> {
        let demands = db.ledger.desired_tenants().await.unwrap();
        demands.into_iter().filter(|demand| demand.running).map(|demand| demand.tenant).collect()
    };
    assert_eq!(running().await.len(), 2);
    db.store.stop_worker(&tenant("soko")).await.unwrap();
    assert_eq!(running().await, BTreeSet::from([tenant("duka")]));
    assert_eq!(running().await, BTreeSet::from([tenant("duka")]));
    open.execute("commit").await.unwrap();
    assert_eq!(running().await, BTreeSet::new());
}

/// A dump brings numbers of transactions that this server has not reached.
#[tokio::test]
async fn what_a_dump_has_brought_is_read_once() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.execute("update worker_processes set changed_by = '999999999999'").await;
    assert_eq!(db.ledger.desired_tenants().await.unwrap().len(), 1);
    // Behind the back of all who tell of changes.
    db.execute("alter table worker_processes disable trigger user").await;
    db.execute("update worker_processes set node = 'nowhere'").await;
    assert_eq!(db.ledger.desired_tenants().await.unwrap()[0].node, Some(node("a")), "it was not read again");
    db.execute("alter table worker_processes enable trigger user").await;
    db.place(&fence.tenant, "b").await;
    assert_eq!(db.ledger.desired_tenants().await.unwrap()[0].node, Some(node("b")));
    // A term begins with all of it.
    db.execute("alter table worker_processes disable trigger user").await;
    db.execute("update worker_processes set node = 'nowhere'").await;
    db.ledger.begin_term("etcd", Revision(20), "coordinator/b").await.unwrap();
    assert_eq!(db.ledger.desired_tenants().await.unwrap()[0].node, Some(node("nowhere")));
}
