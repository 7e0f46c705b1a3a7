//! That one who has read all workers once, and then what has changed, knows them as one does who reads them all.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::TenantId;
use roost_store::{
    ConditionKind, Requester, SessionStatus, StatusReport, Worker, WorkerFilter, WorkerHorizon, WorkerStatus,
    WorkersChanged,
};
use sqlx::{Connection, Executor, PgConnection};

use crate::store::support::{Db, new_tenant, node, tenant};

/// One who follows.
struct Known {
    horizon: WorkerHorizon,
    workers: BTreeMap<TenantId, Worker>,
}

impl Known {
    async fn begin(db: &Db) -> Self {
        let horizon = db.store.worker_horizon().await.unwrap();
        Self { horizon, workers: all(db).await }
    }

    /// Answers with whose workers it has read.
    async fn read(&mut self, db: &Db) -> BTreeSet<TenantId> {
        let changed = db.store.workers_changed_since(&self.horizon).await.unwrap();
        let WorkersChanged::Of(tenants, horizon) = changed else { panic!("it is the same server") };
        self.horizon = horizon;
        self.workers.retain(|tenant, _| !tenants.contains(tenant));
        let found = db.store.workers_of(&tenants).await.unwrap();
        self.workers.extend(found.into_iter().map(|worker| (worker.tenant.clone(), worker)));
        tenants
    }
}

async fn all(db: &Db) -> BTreeMap<TenantId, Worker> {
    let workers = db.store.list_workers(&WorkerFilter::default(), None, 1_000).await.unwrap();
    workers.into_iter().map(|worker| (worker.tenant.clone(), worker)).collect()
}

#[tokio::test]
async fn every_kind_of_change_is_in_the_next_reading() {
    let db = Db::new().await;
    let mut known = Known::begin(&db).await;
    let mut read = async |what: &str| {
        let changed = known.read(&db).await;
        assert_eq!(known.workers, all(&db).await, "{what}");
        assert!(!changed.is_empty(), "{what} is a change");
    };
    let fence = db.owned("duka").await;
    read("a worker that was made").await;
    let report = |report: StatusReport| (report, fence.clone());
    let deaf = StatusReport { last_error: Some("deaf".into()), ..StatusReport::default() };
    let failed = StatusReport { worker_status: Some(WorkerStatus::Error), ..StatusReport::default() };
    let linked = StatusReport { session_status: Some(SessionStatus::Connected), ..StatusReport::default() };
    let healing = (ConditionKind::Healing, "its page is loaded anew".to_owned());
    let heals = StatusReport { condition: Some(healing), ..StatusReport::default() };
    for (what, (report, fence)) in [
        ("an error", report(deaf)),
        ("a status", report(failed)),
        ("the status of a session", report(linked)),
        ("a condition", report(heals)),
    ] {
        db.store.report(&fence, &report).await.unwrap();
        read(what).await;
    }
    db.store.pin_tenant(&fence.tenant, &node("b"), &Requester::default()).await.unwrap();
    read("a pin").await;
    db.place(&fence.tenant, "b").await;
    read("a place").await;
    db.store.restart_worker(&fence.tenant).await.unwrap();
    read("a restart").await;
    for sql in [
        "update worker_processes set conflicts = conflicts + 1",
        "update worker_processes set resends = resends + 1",
        "update worker_processes set stale = true",
    ] {
        db.execute(sql).await;
        read(sql).await;
    }
    db.store.stop_worker(&fence.tenant).await.unwrap();
    read("a stop").await;
    db.store.delete_tenant(&fence.tenant).await.unwrap();
    read("a deletion").await;
    db.finish_deletions().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    read("another one of the same name").await;
}

#[tokio::test]
async fn that_a_worker_is_seen_or_its_session_saved_is_no_change() {
    let db = Db::new().await;
    db.owned("duka").await;
    let mut known = Known::begin(&db).await;
    known.read(&db).await;
    for sql in [
        "update worker_heartbeats set last_seen_at = now()",
        "update worker_processes set known_seen_at = now(), updated_at = now()",
        "update whatsapp_sessions set snapshot_at = now(), updated_at = now()",
    ] {
        db.execute(sql).await;
        assert_eq!(known.read(&db).await, BTreeSet::new(), "{sql}");
    }
}

/// The order of the commits is not that of the transactions.
#[tokio::test]
async fn a_change_that_was_open_during_a_reading_is_in_a_later_one() {
    let db = Db::new().await;
    for id in ["duka", "soko"] {
        db.owned(id).await;
    }
    let mut known = Known::begin(&db).await;
    let mut open = PgConnection::connect(&db.url).await.unwrap();
    open.execute("begin; update worker_processes set last_error = 'deaf' where tenant_id = 'duka'")
        .await
        .unwrap();
    db.store.stop_worker(&tenant("soko")).await.unwrap();
    known.read(&db).await;
    assert_eq!(known.workers[&tenant("duka")].last_error, "");
    open.execute("commit").await.unwrap();
    known.read(&db).await;
    assert_eq!(known.workers, all(&db).await);
    assert_eq!(known.workers[&tenant("duka")].last_error, "deaf");
}
