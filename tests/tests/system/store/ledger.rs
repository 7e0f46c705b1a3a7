//! The controller's fence: a term that is over changes nothing.

use std::time::Duration;

use roost_cluster::ledger::{
    Complaint, ComplaintKind, GENERATIONS_LEFT_OUT, Ledger, LedgerError, LedgerRecord, RefusalKind,
    StoreClaim,
};
use roost_devcluster::Postgres;
use roost_model::{
    ResourceUsage,
    ids::{Generation, NodeId, Revision, Term},
};
use roost_store::{
    ConditionKind, Fence, Heartbeat, LimitsPatch, MemoryDemand, PostgresLedger, StatusReport, Store,
    StoreError, TenantPatch, TenantStatus, Worker, WorkerStatus,
};
use sqlx::{Connection, Executor};
use tokio::time::timeout;

use crate::store::support::{Db, new_tenant, node, tenant};

#[tokio::test]
async fn a_term_is_given_once_for_each_leader_key() {
    let db = Db::new().await;
    let begin = |cluster: &'static str, revision: i64, holder: &'static str| {
        db.ledger.begin_term(cluster, Revision(revision), holder)
    };
    assert_eq!(
        begin("etcd", 10, "coordinator/a").await.unwrap(),
        db.term,
        "the answer to the first call was lost"
    );
    assert_eq!(begin("etcd", 11, "coordinator/b").await.unwrap(), Term(db.term.0 + 1));
    let deposed = Err(LedgerError::Deposed { term: Term(db.term.0 + 1) });
    assert_eq!(begin("etcd", 10, "coordinator/a").await, deposed, "an earlier leader");
    assert_eq!(begin("etcd", 11, "coordinator/a").await, deposed, "not the holder of that key");
    assert_eq!(
        begin("refounded", 3, "coordinator/a").await.unwrap(),
        Term(db.term.0 + 2),
        "revisions start anew"
    );
}

/// A registry that was put back to after the last election and before what was published since.
#[tokio::test]
async fn a_leader_key_that_is_not_beyond_what_was_acted_upon_is_given_no_term() {
    let db = Db::new().await;
    db.ledger.registry_was_at(db.term, Revision(40)).await.unwrap();
    db.ledger.registry_was_at(db.term, Revision(30)).await.unwrap();
    let begin = |cluster: &'static str, revision: i64, holder: &'static str| {
        db.ledger.begin_term(cluster, Revision(revision), holder)
    };
    assert_eq!(begin("etcd", 10, "coordinator/a").await.unwrap(), db.term, "its own key, asked for again");
    let deposed = LedgerError::Deposed { term: db.term };
    assert_eq!(begin("etcd", 40, "coordinator/b").await.unwrap_err(), deposed);
    let later = begin("founded anew", 12, "coordinator/b").await.unwrap();
    assert_eq!(
        db.ledger.registry_was_at(db.term, Revision(50)).await,
        Err(LedgerError::Deposed { term: later })
    );
    begin("founded anew", 13, "coordinator/a").await.unwrap();
}

fn claim(store: &str, by_order: bool) -> StoreClaim {
    let (cluster, ttl) = (format!("the cluster of {store}"), Duration::from_secs(4));
    StoreClaim { store: store.to_owned(), cluster, ttl, by_order }
}

#[tokio::test]
async fn the_database_belongs_to_one_store_until_that_is_silent_or_somebody_orders_it() {
    let db = Db::new().await;
    let unsealed = db.ledger.seal().await.unwrap();
    assert_eq!(unsealed.owner, None);
    assert_eq!(unsealed.database, db.store.database_identity().await.unwrap().to_string());
    assert!(db.ledger.take_store(&claim("etcd", false)).await.unwrap());
    assert!(!db.ledger.take_store(&claim("other", false)).await.unwrap());
    let owner = db.ledger.seal().await.unwrap().owner.unwrap();
    assert_eq!((owner.store.as_str(), owner.cluster.as_str()), ("etcd", "the cluster of etcd"));
    assert_eq!((owner.holder.as_str(), owner.ttl), ("coordinator/a", Duration::from_secs(4)));
    let deposed = Err(LedgerError::Deposed { term: db.term });
    assert_eq!(db.ledger.begin_term("other", Revision(99), "coordinator/b").await, deposed, "it is not its");

    let age = "update controller_term set seen_at = seen_at - interval '11 seconds' returning term";
    db.number(age).await;
    db.ledger.registry_was_at(db.term, Revision(10)).await.unwrap();
    assert!(!db.ledger.take_store(&claim("other", false)).await.unwrap(), "it has given a sign");
    db.number(age).await;
    assert!(db.ledger.seal().await.unwrap().owner.unwrap().silent_for >= Duration::from_secs(11));
    assert!(db.ledger.take_store(&claim("other", false)).await.unwrap());
    assert!(!db.ledger.take_store(&claim("etcd", false)).await.unwrap(), "it was taken from it");
    let later = db.ledger.begin_term("other", Revision(2), "coordinator/b").await.unwrap();
    assert_eq!(later, Term(db.term.0 + 1));
    assert!(db.ledger.take_store(&claim("etcd", true)).await.unwrap());
    assert_eq!(db.ledger.seal().await.unwrap().database, unsealed.database);
}

#[tokio::test]
async fn what_is_in_the_controllers_way_is_read_by_all_until_the_same_term_takes_it_back() {
    let db = Db::new().await;
    let complaint = |kind, reason: &str| Complaint::new(kind, reason);
    let present = async || db.store.present_controller().await.unwrap();
    let before = present().await;
    assert_eq!((before.term, before.holder.as_str(), before.complaint), (db.term, "coordinator/a", None));
    db.ledger.complain(db.term, Some(&complaint(ComplaintKind::Etcd, "no\0 answer"))).await.unwrap();
    let (told, since) = present().await.complaint.unwrap();
    assert_eq!(told, complaint(ComplaintKind::Etcd, "no\u{FFFD} answer"));
    db.ledger.complain(db.term, Some(&complaint(ComplaintKind::Etcd, "refused"))).await.unwrap();
    assert_eq!(present().await.complaint, Some((complaint(ComplaintKind::Etcd, "refused"), since)));
    let records = complaint(ComplaintKind::Records, "acks/a");
    db.ledger.complain(db.term, Some(&records)).await.unwrap();
    let (told, later) = present().await.complaint.unwrap();
    assert!(told == records && later > since, "{told:?}, {later} after {since}");

    let next = db.ledger.begin_term("etcd", Revision(11), "coordinator/b").await.unwrap();
    let deposed = Err(LedgerError::Deposed { term: next });
    assert_eq!(db.ledger.complain(db.term, None).await, deposed);
    assert_eq!(present().await.complaint, Some((records, later)), "until the next one has looked");
    db.ledger.complain(next, None).await.unwrap();
    assert_eq!(present().await.complaint, None);
}

#[tokio::test]
async fn generations_that_were_forgotten_are_left_out() {
    let db = Db::new().await;
    let (old, kept) = (db.owned("duka").await, db.owned("soko").await);
    let last = old.generation.max(kept.generation);
    assert_eq!(db.ledger.outrun(db.term, last, &[]).await.unwrap(), [], "it has given that itself");
    let next = db.place(&tenant("soko"), "a").await.generation;
    assert!(next.0 <= last.0 + 2, "{next}");

    let found = Generation(next.0 + 500);
    let outran = db.ledger.outrun(db.term, found, &[tenant("duka"), tenant("gone")]).await.unwrap();
    assert_eq!(outran, [(tenant("duka"), Generation(found.0 + GENERATIONS_LEFT_OUT + 1))]);
    let refused = db.store.report(&old, &StatusReport::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { .. }), "{refused}");
    assert_eq!(db.text("select node from worker_processes where tenant_id = 'duka'").await, "a");
    let again = db.ledger.outrun(db.term, found, &[]).await.unwrap();
    assert_eq!((again.len(), db.place(&tenant("soko"), "a").await.generation.0), (0, outran[0].1.0 + 1));
    let deposed = LedgerError::Deposed { term: db.term };
    assert_eq!(db.ledger.outrun(Term(0), Generation(1 << 40), &[]).await.unwrap_err(), deposed);
    assert!(db.place(&tenant("soko"), "a").await.generation < Generation(1 << 40));
}

#[tokio::test]
async fn an_owner_that_met_a_later_session_is_heard_until_it_is_outrun() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let heard = async || db.ledger.desired_tenants().await.unwrap()[0].outrun_by;
    assert_eq!(heard().await, None);
    let met = Generation(fence.generation.0 + 70);
    db.store.report_outrun(&fence, met).await.unwrap();
    assert_eq!(heard().await, Some(met));
    let outran = db.ledger.outrun(db.term, met, &[tenant("duka")]).await.unwrap();
    assert!(outran[0].1 > met, "{outran:?}");
    assert_eq!(heard().await, None);
    let late = db.store.report_outrun(&fence, met).await.unwrap_err();
    assert!(matches!(late, StoreError::Fenced { .. }), "{late}");
}

#[tokio::test]
async fn a_deposed_controller_changes_nothing() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let later = db.ledger.begin_term("etcd", Revision(11), "coordinator/b").await.unwrap();
    let before = db.text("select to_jsonb(w)::text from worker_processes w").await;
    let tenants = [tenant("duka")];
    let placements = [(tenant("duka"), NodeId::new("b").unwrap())];
    let deposed = LedgerError::Deposed { term: later };
    assert_eq!(db.ledger.place(db.term, &placements).await.unwrap_err(), deposed);
    assert_eq!(db.ledger.place(db.term, &[]).await.unwrap_err(), deposed, "even with nothing to place");
    assert_eq!(db.ledger.unplace(db.term, &tenants).await.unwrap_err(), deposed);
    assert_eq!(db.ledger.mark_stale(db.term, Duration::ZERO).await.unwrap_err(), deposed);
    assert_eq!(db.text("select to_jsonb(w)::text from worker_processes w").await, before);
    db.store.report(&fence, &StatusReport::default()).await.unwrap();
    assert_eq!(db.ledger.place(later, &placements).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_placement_that_meets_a_new_term_waits_for_it_and_is_refused() {
    let db = Db::new().await;
    db.owned("duka").await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut beginning = other.begin().await.unwrap();
    sqlx::query("update controller_term set term = term + 1").execute(&mut *beginning).await.unwrap();
    let placements = [(tenant("duka"), NodeId::new("b").unwrap())];
    let place = db.ledger.place(db.term, &placements);
    tokio::pin!(place);
    assert!(timeout(Duration::from_millis(100), &mut place).await.is_err(), "it did not wait");
    beginning.commit().await.unwrap();
    assert_eq!(place.await.unwrap_err(), LedgerError::Deposed { term: Term(db.term.0 + 1) });
    assert_eq!(db.text("select node from worker_processes").await, "a");
}

#[tokio::test]
async fn a_new_term_waits_for_the_placement_under_way() {
    let db = Db::new().await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut placement = other.begin().await.unwrap();
    sqlx::query("select term from controller_term for share").execute(&mut *placement).await.unwrap();
    let begin = db.ledger.begin_term("etcd", Revision(11), "coordinator/b");
    tokio::pin!(begin);
    assert!(timeout(Duration::from_millis(100), &mut begin).await.is_err(), "it did not wait");
    placement.commit().await.unwrap();
    begin.await.unwrap();
}

#[tokio::test]
async fn a_placement_bumps_every_generation_and_leaves_out_who_is_gone() {
    let db = Db::new().await;
    let (one, other) = (db.owned("a").await, db.owned("b").await);
    let node = |name| NodeId::new(name).unwrap();
    let placements = [(tenant("b"), node("n2")), (tenant("gone"), node("n1")), (tenant("a"), node("n1"))];
    let placed = db.ledger.place(db.term, &placements).await.unwrap();
    let names: Vec<_> = placed.iter().map(|(tenant, _)| tenant.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(placed[0].1 > one.generation && placed[1].1 > other.generation);
    let demands = db.ledger.desired_tenants().await.unwrap();
    let nodes: Vec<_> = demands.iter().map(|d| (d.tenant.as_str(), d.node.clone(), d.running)).collect();
    assert_eq!(nodes, [("a", Some(node("n1")), true), ("b", Some(node("n2")), true)]);
    assert_eq!(demands[0].generation, placed[0].1);

    db.ledger.unplace(db.term, &[tenant("a")]).await.unwrap();
    let demands = db.ledger.desired_tenants().await.unwrap();
    assert_eq!((demands[0].node.clone(), demands[0].generation), (None, placed[0].1), "the generation stays");
}

#[tokio::test]
async fn the_demands_follow_the_operator() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let first = db.ledger.desired_tenants().await.unwrap().remove(0);
    assert!(!first.running);
    db.store.start_worker(&tenant("duka")).await.unwrap();
    let second = db.ledger.desired_tenants().await.unwrap().remove(0);
    assert!(second.running && second.spec_revision > first.spec_revision);
    assert_eq!(second.memory_request_bytes, None);
    let limits = LimitsPatch { memory_request_bytes: Some(Some(256 << 20)), ..LimitsPatch::default() };
    let patch = TenantPatch { limits, ..TenantPatch::default() };
    db.store.update_tenant(&tenant("duka"), patch).await.unwrap();
    let third = db.ledger.desired_tenants().await.unwrap().remove(0);
    assert_eq!(third.memory_request_bytes, Some(256 << 20));
    let anew = PostgresLedger::new(db.store.clone()).desired_tenants().await.unwrap().remove(0);
    assert_eq!(anew, third, "also when all is read");
    db.store.delete_tenant(&tenant("duka")).await.unwrap();
    assert!(db.ledger.desired_tenants().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_tenants_of_a_node_request_and_use_is_summed_up() {
    let db = Db::new().await;
    let mib = |n: u64| n << 20;
    for name in ["asha", "duka", "soko"] {
        db.owned(name).await;
    }
    let places = [("asha", "n1"), ("duka", "n1"), ("soko", "n2")];
    let places = places.map(|(name, on)| (tenant(name), node(on)));
    let placed = db.ledger.place(db.term, &places).await.unwrap();
    let limits = LimitsPatch { memory_request_bytes: Some(Some(mib(256))), ..LimitsPatch::default() };
    let patch = TenantPatch { limits, ..TenantPatch::default() };
    db.store.update_tenant(&tenant("duka"), patch).await.unwrap();
    let (seen, generation) = placed[1].clone();
    let usage = Some(ResourceUsage { memory_bytes: mib(70), cpu_millicores: 1, processes: 1 });
    let seen = Heartbeat { usage, ..Fence { tenant: seen, generation }.into() };
    assert_eq!(db.store.heartbeat(&[seen]).await.unwrap(), []);
    let demand = |requested, used| MemoryDemand { requested_bytes: mib(requested), used_bytes: mib(used) };
    let of = async |name| db.store.memory_demand(&node(name), mib(96)).await.unwrap();
    assert_eq!(of("n1").await, demand(352, 70));
    assert_eq!(of("n2").await, demand(96, 0));
    assert_eq!(of("n3").await, demand(0, 0));
    db.store.stop_worker(&tenant("duka")).await.unwrap();
    assert_eq!(of("n1").await, demand(96, 0), "one that is stopped needs none");
}

#[tokio::test]
async fn a_worker_that_is_not_seen_becomes_an_error_and_the_next_heartbeat_takes_it_back() {
    let db = Db::new().await;
    let (silent, seen) = (db.owned("a").await, db.owned("b").await);
    db.store.create_tenant(new_tenant("stopped")).await.unwrap();
    let two_minutes = Duration::from_secs(120);
    assert!(db.ledger.mark_stale(db.term, two_minutes).await.unwrap().is_empty(), "placed just now");
    let unseen = "update worker_processes set expected_since = now() - interval '3 minutes',
        known_seen_at = now() - interval '3 minutes'";
    db.execute(unseen).await;
    // A controller that places again and again, and nobody ever has the tenant: that is no news of it.
    let placed = db.ledger.place(db.term, &[(silent.tenant.clone(), node("a"))]).await.unwrap();
    let silent = Fence { generation: placed[0].1, ..silent };
    db.store.heartbeat(&[seen.clone().into()]).await.unwrap();
    let marked = db.ledger.mark_stale(db.term, two_minutes).await.unwrap();
    assert_eq!(marked, std::slice::from_ref(&silent.tenant));
    assert!(db.ledger.mark_stale(db.term, two_minutes).await.unwrap().is_empty(), "marked once");
    let worker = db.store.get_worker(&silent.tenant).await.unwrap();
    assert_eq!(worker.status, WorkerStatus::Error);
    assert_eq!(worker.last_error, "not seen for 180 s on node a");
    // What it said last stands, but for that all was well.
    let says = async |kind| {
        let report = StatusReport { condition: Some((kind, String::new())), ..StatusReport::default() };
        db.store.report(&silent, &report).await.unwrap();
        db.store.get_worker(&silent.tenant).await.unwrap().condition
    };
    assert_eq!(says(ConditionKind::WaitingForScan).await.kind, ConditionKind::WaitingForScan);
    let condition = says(ConditionKind::None).await;
    assert_eq!(
        (condition.kind, condition.reason),
        (ConditionKind::WaitingForNode, "not seen for 180 s on node a".to_owned()),
        "it never was seen"
    );
    assert_eq!(db.store.get_tenant(&silent.tenant).await.unwrap().status, TenantStatus::Error);

    db.store.heartbeat(&[silent.clone().into()]).await.unwrap();
    let worker = db.store.get_worker(&silent.tenant).await.unwrap();
    assert_eq!((worker.status, worker.last_error.as_str()), (WorkerStatus::Running, ""));
    assert_eq!(db.store.get_tenant(&silent.tenant).await.unwrap().status, TenantStatus::QrPending);
}

#[tokio::test]
async fn a_worker_that_goes_on_saying_what_it_waits_for_is_no_error_until_it_says_nothing_more() {
    let db = Db::new().await;
    let (waiting, silent) = (db.owned("a").await, db.owned("b").await);
    let unseen = "update worker_processes set expected_since = now() - interval '1 hour',
        known_seen_at = now() - interval '1 hour'";
    db.execute(unseen).await;
    let told = StatusReport {
        condition: Some((ConditionKind::WaitingForWhatsapp, "offline".into())),
        last_error: Some("offline; waiting for WhatsApp for 59m".into()),
        ..StatusReport::default()
    };
    db.store.report(&waiting, &told).await.unwrap();
    let two_minutes = Duration::from_secs(120);
    assert_eq!(db.ledger.mark_stale(db.term, two_minutes).await.unwrap(), [silent.tenant]);
    let worker = db.store.get_worker(&waiting.tenant).await.unwrap();
    assert_eq!(worker.status, WorkerStatus::Running);
    assert!(worker.last_error.contains("waiting for WhatsApp"), "{}", worker.last_error);
    let silent = "update worker_processes set updated_at = now() - interval '3 minutes',
        known_seen_at = now() - interval '3 minutes'";
    db.execute(silent).await;
    assert_eq!(db.ledger.mark_stale(db.term, two_minutes).await.unwrap(), [waiting.tenant]);
}

#[tokio::test]
async fn a_heartbeat_does_not_take_back_what_the_worker_itself_reported() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let gave_up = StatusReport {
        worker_status: Some(WorkerStatus::Error),
        last_error: Some("10 attempts to reconnect failed".into()),
        ..StatusReport::default()
    };
    db.store.report(&fence, &gave_up).await.unwrap();
    db.store.heartbeat(&[fence.clone().into()]).await.unwrap();
    let worker = db.store.get_worker(&fence.tenant).await.unwrap();
    assert_eq!(
        (worker.status, worker.last_error.as_str()),
        (WorkerStatus::Error, "10 attempts to reconnect failed")
    );
}

#[tokio::test]
async fn the_ledger_hears_of_what_operators_change() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let ledger = PostgresLedger::new(db.store.clone());
    // The first may have been there before the ledger listened.
    let mut heard = 0;
    while heard < 2 {
        db.store.restart_worker(&tenant("duka")).await.unwrap();
        heard += u32::from(timeout(Duration::from_secs(5), ledger.changed()).await.is_ok());
    }
}

#[tokio::test]
async fn a_row_that_is_held_keeps_its_tenant_from_its_place_and_nobody_else() {
    let db = Db::new().await;
    for id in ["held", "session-held", "free"] {
        db.owned(id).await;
    }
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut idle = other.begin().await.unwrap();
    for sql in [
        "select from worker_processes where tenant_id = 'held' for update",
        "select from whatsapp_sessions where tenant_id = 'session-held' for update",
    ] {
        sqlx::query(sql).execute(&mut *idle).await.unwrap();
    }
    let all = [tenant("held"), tenant("session-held"), tenant("free")];
    let placements = all.clone().map(|tenant| (tenant, node("b")));
    let at_once = Duration::from_millis(500);
    let placed = timeout(at_once, db.ledger.place(db.term, &placements)).await.expect("it waits").unwrap();
    let placed: Vec<_> = placed.into_iter().map(|(tenant, _)| tenant).collect();
    assert_eq!(placed, [tenant("free")]);
    let unplaced = timeout(at_once, db.ledger.unplace(db.term, &all)).await.expect("it waits");
    assert_eq!(unplaced, Ok(1));
    let record = LedgerRecord::Placed {
        tenant: tenant("held"),
        node: node("b"),
        because: "it was placed before it was held".into(),
        operation: None,
    };
    timeout(at_once, db.ledger.record(db.term, &[record])).await.expect("it waits").unwrap();
    idle.rollback().await.unwrap();
    assert_eq!(db.ledger.place(db.term, &placements).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_statement_that_postgres_gives_up_has_written_nothing_and_is_no_outage() {
    let db = Db::new().await;
    db.owned("duka").await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("update controller_term set term = term").execute(&mut *held).await.unwrap();
    let refused = db.ledger.place(db.term, &[(tenant("duka"), node("b"))]).await;
    assert!(matches!(refused, Err(LedgerError::Refused { kind: RefusalKind::Passing, .. })), "{refused:?}");
    held.rollback().await.unwrap();
    assert_eq!(db.text("select node from worker_processes").await, "a");
}

/// On a server of its own: what a transaction that is open in any database may still see is not reused.
#[tokio::test]
async fn heartbeats_write_nothing_that_a_pass_reads_and_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(dir.path()).await.unwrap();
    let store = Store::connect(postgres.url(), 2).await.unwrap();
    store.migrate().await.unwrap();
    for sql in [
        "insert into tenants (id, display_name, phone) select 't' || n, 't', n from generate_series(1, 2000) n",
        "insert into whatsapp_sessions (tenant_id) select id from tenants",
        "insert into worker_processes (tenant_id) select id from tenants",
        "insert into worker_heartbeats (tenant_id) select id from tenants",
    ] {
        store.pool().execute(sql).await.unwrap();
    }
    let workers = store.list_workers(&Default::default(), None, 2_000).await.unwrap();
    let usage = Some(ResourceUsage { memory_bytes: 70 << 20, cpu_millicores: 1, processes: 1 });
    let beat = |w: Worker| {
        let fence = Fence { tenant: w.tenant, generation: w.generation };
        Heartbeat { usage, messages_per_minute: 12, ..fence.into() }
    };
    let seen: Vec<Heartbeat> = workers.into_iter().map(beat).collect();
    let read_by_passes = async || -> String {
        let rows = "select string_agg(concat_ws(' ', ctid, xmin, xmax), ',') from worker_processes";
        sqlx::query_scalar(rows).fetch_one(store.pool()).await.unwrap()
    };
    let sizes = async || -> (i64, i64) {
        let sizes =
            "select pg_relation_size('worker_heartbeats'), pg_relation_size('worker_heartbeats_pkey')";
        sqlx::query_as(sizes).fetch_one(store.pool()).await.unwrap()
    };
    // The first of a worker's life fills what was empty, so some rows go to other pages until all have room.
    for _ in 0..5 {
        assert_eq!(store.heartbeat(&seen).await.unwrap(), []);
    }
    let before = (read_by_passes().await, sizes().await);
    for _ in 0..30 {
        assert_eq!(store.heartbeat(&seen).await.unwrap(), []);
    }
    assert!(before.0 == read_by_passes().await, "a row of worker_processes was locked or written");
    let (heap, index) = sizes().await;
    assert_eq!(index, before.1.1, "the index has grown");
    // A page that autovacuum happens to look at is passed over.
    assert!(heap <= before.1.0 * 5 / 4, "the table grew from {} to {heap} bytes", before.1.0);
    let seen = "select count(*) from worker_heartbeats where last_seen_at is not null";
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(store.pool()).await.unwrap(), 2_000);
}
