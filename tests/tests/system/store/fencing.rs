//! I2: a write in the name of an old generation is refused, whatever the write and whatever the moment.

use std::time::Duration;

use roost_cluster::ledger::Ledger;
use roost_model::{ResourceUsage, ids::SessionNumber};
use roost_store::{
    Admitted, Completion, ConditionKind, Fence, Heartbeat, NewOutbound, QrCode, Requester, SessionStatus,
    SnapshotPointer, StatusReport, Store, StoreError, TenantStatus, WorkerStatus,
};
use sqlx::{Connection, Executor};
use time::OffsetDateTime;
use tokio::{task::JoinHandle, time::timeout};

use crate::store::support::{Db, assert_fenced, message, new_tenant, node, tenant};

/// Everything that any fenced call can write, as one text.
const ALL_ROWS: &str = "select jsonb_build_array(
    (select jsonb_agg(to_jsonb(w) - 'updated_at') from worker_processes w),
    (select jsonb_agg(to_jsonb(h)) from worker_heartbeats h),
    (select jsonb_agg(to_jsonb(s) - 'updated_at') from whatsapp_sessions s),
    (select jsonb_agg(to_jsonb(l) order by l.generation, l.sequence) from session_snapshots l),
    (select jsonb_agg(to_jsonb(t) - 'updated_at') from tenants t),
    (select jsonb_agg(to_jsonb(i) order by i.id) from bm_in i),
    (select jsonb_agg(to_jsonb(o) order by o.id) from bm_out o),
    (select jsonb_agg(to_jsonb(l) order by l.id) from message_logs l),
    (select jsonb_agg(to_jsonb(p) order by p.direction, p.id) from bm_pending p),
    (select jsonb_agg(to_jsonb(c) order by c.chat_id) from chats c),
    (select jsonb_agg(to_jsonb(r)) from recent_replies r),
    (select jsonb_agg(to_jsonb(r)) from reply_windows r))::text";

/// Every fenced call, with arguments that would change something if the fence let them through.
async fn call(
    store: &Store,
    fence: &Fence,
    name: &str,
    inbound: i64,
    outbound: i64,
) -> Result<(), StoreError> {
    let pointer = SnapshotPointer {
        manifest: "stolen".into(),
        generation: fence.generation,
        sequence: 9,
        clean: false,
        at: OffsetDateTime::now_utc(),
        bytes: None,
    };
    let listed = store.session_snapshots(&fence.tenant).await?;
    // The one that was saved last by the owner; none once the session is forgotten.
    let ordered = listed.iter().find(|snapshot| snapshot.restore_ordered).or(listed.first());
    let ordered = ordered.expect("a snapshot is listed").id;
    let qr = QrCode { text: "2@x".into(), data_uri: "data:".into(), expires_at: OffsetDateTime::now_utc() };
    let late = NewOutbound {
        seq: 0,
        whatsapp_id: "late-reply".into(),
        chat: "c".into(),
        body: "late".into(),
        counted: false,
        claimed: false,
    };
    let completion = Completion { inbound_id: inbound, replies: vec![late], suppressed: Some("over".into()) };
    let report = StatusReport {
        tenant_status: Some(TenantStatus::Error),
        session_status: Some(SessionStatus::Connected),
        worker_status: Some(WorkerStatus::Error),
        last_error: Some("late".into()),
        condition: Some((ConditionKind::Failed, "late".into())),
        restarted: true,
        evident_for: Some(Duration::from_secs(60)),
    };
    match name {
        "report" => store.report(fence, &report).await,
        "set_qr" => store.set_qr(fence, Some(qr)).await,
        "set_snapshot" => store.set_snapshot(fence, &pointer).await.map(drop),
        "correct_snapshot" => store.correct_snapshot(fence, &pointer).await,
        "ordered_restore" => store.ordered_restore(fence).await.map(drop),
        "restored" => store.restored(fence, ordered, &pointer).await.map(drop),
        "not_restored" => store.not_restored(fence, ordered, "late").await,
        "fall_back_to_snapshot" => store.fall_back_to_snapshot(fence, Some(&pointer), "late").await,
        "clear_snapshot" => store.clear_snapshot(fence).await.map(drop),
        "begin_session" => store.begin_session(fence, SessionNumber(9)).await,
        "admit" => store.admit(fence, &[message("late", "c")]).await.map(drop),
        "admit nothing" => store.admit(fence, &[]).await.map(drop),
        "pending_inbound" => store.pending_inbound(fence, 0, 10).await.map(drop),
        "complete" => store.complete(fence, &[completion]).await.map(drop),
        "complete nothing" => store.complete(fence, &[]).await.map(drop),
        "retry_inbound" => store.retry_inbound(fence, inbound, "late", Duration::ZERO).await,
        "bury_inbound" => store.bury_inbound(fence, inbound, "late").await,
        "pending_outbound" => store.pending_outbound(fence, 0, 10).await.map(drop),
        "claim" => store.claim(fence, &[outbound]).await,
        "mark_sent" => store.mark_sent(fence, &[outbound], &[]).await,
        "retry_outbound" => store.retry_outbound(fence, outbound, "late", Duration::ZERO).await,
        "bury_outbound" => store.bury_outbound(fence, outbound, "late").await,
        "reply_window" => store.reply_window(fence).await.map(drop),
        other => panic!("no such call: {other}"),
    }
}

const READS: [&str; 6] = [
    "pending_inbound",
    "pending_outbound",
    "reply_window",
    "admit nothing",
    "complete nothing",
    "ordered_restore",
];
const WRITES: [&str; 17] = [
    "report",
    "set_qr",
    "set_snapshot",
    "correct_snapshot",
    "fall_back_to_snapshot",
    "restored",
    "not_restored",
    "clear_snapshot",
    "begin_session",
    "admit",
    "complete",
    "retry_inbound",
    "bury_inbound",
    "claim",
    "mark_sent",
    "retry_outbound",
    "bury_outbound",
];

/// An owner with a message that waits for its answer and a reply that waits to be sent.
async fn owner_with_queues(db: &Db) -> (Fence, i64, i64) {
    let fence = db.owned("duka").await;
    let admitted = db.store.admit(&fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
    let reply = NewOutbound {
        seq: 0,
        whatsapp_id: "r1".into(),
        chat: "c".into(),
        body: "r".into(),
        counted: true,
        claimed: false,
    };
    let completion = Completion { inbound_id: admitted[0].id, replies: vec![reply], suppressed: None };
    let queued = db.store.complete(&fence, &[completion]).await.unwrap();
    let pointer = SnapshotPointer {
        manifest: "m".into(),
        generation: fence.generation,
        sequence: 1,
        clean: true,
        at: OffsetDateTime::now_utc(),
        bytes: None,
    };
    db.store.set_snapshot(&fence, &pointer).await.unwrap();
    let id = db.store.session_snapshots(&fence.tenant).await.unwrap()[0].id;
    db.store.order_restore(&fence.tenant, id, &Requester::default()).await.unwrap();
    (fence, admitted[1].id, queued[0].id)
}

#[tokio::test]
async fn every_fenced_call_refuses_an_old_generation_and_changes_nothing() {
    let db = Db::new().await;
    let (old, inbound, outbound) = owner_with_queues(&db).await;
    db.place(&old.tenant, "b").await;
    let before = db.text(ALL_ROWS).await;
    for name in READS.iter().chain(&WRITES) {
        assert_fenced(call(&db.store, &old, name, inbound, outbound).await, &old);
        assert_eq!(db.text(ALL_ROWS).await, before, "{name} changed a row");
    }
    assert_eq!(db.store.heartbeat(&[old.clone().into()]).await.unwrap(), [old.tenant]);
    assert_eq!(db.text(ALL_ROWS).await, before, "heartbeat changed a row");
}

#[tokio::test]
async fn every_fenced_write_does_change_something_for_the_owner() {
    for name in WRITES {
        let db = Db::new().await;
        let (owner, inbound, outbound) = owner_with_queues(&db).await;
        let before = db.text(ALL_ROWS).await;
        call(&db.store, &owner, name, inbound, outbound).await.unwrap();
        assert_ne!(db.text(ALL_ROWS).await, before, "{name} changed nothing, so its refusal proves nothing");
    }
}

#[tokio::test]
async fn a_generation_from_the_future_is_no_owner_either() {
    let db = Db::new().await;
    let mut fence = db.owned("duka").await;
    fence.generation.0 += 1;
    assert_fenced(db.store.admit(&fence, &[message("m", "c")]).await, &fence);
}

#[tokio::test]
async fn a_write_that_meets_a_placement_waits_for_it_and_is_refused() {
    let db = Db::new().await;
    let (old, inbound, outbound) = owner_with_queues(&db).await;
    for name in WRITES {
        let owner = db.place(&old.tenant, "a").await;
        // The statement that a placement makes, stopped before its commit.
        let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
        let mut placement = other.begin().await.unwrap();
        let bump = "update worker_processes set generation = nextval('generations')";
        sqlx::query(bump).execute(&mut *placement).await.unwrap();
        let write = call(&db.store, &owner, name, inbound, outbound);
        tokio::pin!(write);
        let early = timeout(Duration::from_millis(100), &mut write).await;
        assert!(early.is_err(), "{name} did not wait: {early:?}");
        placement.commit().await.unwrap();
        assert_fenced(write.await, &owner);
    }
}

#[tokio::test]
async fn a_placement_leaves_out_a_tenant_with_a_write_under_way_and_comes_after_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut write = other.begin().await.unwrap();
    let hold = "select tenant_id from worker_processes for key share";
    sqlx::query(hold).execute(&mut *write).await.unwrap();
    let placed = db.ledger.place(db.term, &[(fence.tenant.clone(), node("b"))]).await;
    assert_eq!(placed, Ok(Vec::new()));
    // It is the owner still.
    db.store.admit(&fence, &[message("m", "c")]).await.unwrap();
    write.commit().await.unwrap();
    let newer = db.place(&fence.tenant, "b").await;
    assert!(newer.generation > fence.generation);
    assert_eq!(db.store.pending_inbound(&newer, 0, 10).await.unwrap().len(), 1, "the new owner reads it");
}

/// An admission that stands in its middle: it has passed the fence, and waits for the session's row.
struct OpenWrite {
    session: sqlx::PgConnection,
    admission: JoinHandle<Result<Vec<Admitted>, StoreError>>,
}

impl OpenWrite {
    async fn begin(db: &Db, fence: &Fence) -> Self {
        let mut session = sqlx::PgConnection::connect(&db.url).await.unwrap();
        session.execute("begin; select 1 from whatsapp_sessions for update").await.unwrap();
        let (store, fence) = (db.store.clone(), fence.clone());
        let admission = tokio::spawn(async move { store.admit(&fence, &[message("m", "c")]).await });
        let waits = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%session_lock%'";
        within(Duration::from_secs(1), async { while db.number(waits).await == 0 {} }).await;
        Self { session, admission }
    }

    async fn end(mut self) {
        self.session.execute("commit").await.unwrap();
        assert!(self.admission.await.unwrap().unwrap()[0].fresh, "the write was the owner's");
    }
}

async fn within<T>(limit: Duration, act: impl Future<Output = T>) -> T {
    timeout(limit, act).await.expect("it waits for the open write")
}

#[tokio::test]
async fn a_new_generation_waits_for_an_open_write() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let write = OpenWrite::begin(&db, &fence).await;
    let placement = db.place(&fence.tenant, "b");
    // However it is written.
    let bump = "update worker_processes set generation = nextval('generations')";
    let bump = async { db.store.pool().execute(bump).await.unwrap() };
    tokio::pin!(placement, bump);
    assert!(timeout(Duration::from_millis(100), &mut placement).await.is_err(), "the placement did not wait");
    assert!(timeout(Duration::from_millis(100), &mut bump).await.is_err(), "the update did not wait");
    // A heartbeat passes those that wait, too.
    within(Duration::from_millis(500), db.store.heartbeat(&[fence.clone().into()])).await.unwrap();
    write.end().await;
    bump.await;
    assert!(placement.await.generation > fence.generation);
}

#[tokio::test]
async fn nothing_but_a_new_generation_waits_for_an_open_write() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let write = OpenWrite::begin(&db, &fence).await;
    within(Duration::from_millis(900), async {
        let marked = db.ledger.mark_stale(db.term, Duration::ZERO).await.unwrap();
        assert_eq!(marked, std::slice::from_ref(&fence.tenant), "stale detection passes over no busy worker");
        assert_eq!(db.store.heartbeat(&[fence.clone().into()]).await.unwrap(), []);
        let seen = db.store.get_worker(&fence.tenant).await.unwrap();
        assert!(seen.last_seen_at.is_some() && seen.status == WorkerStatus::Running, "{seen:?}");
        let failed = StatusReport { last_error: Some("busy".into()), ..StatusReport::default() };
        db.store.report(&fence, &failed).await.unwrap();
        let stopped = db.store.stop_worker(&fence.tenant).await.unwrap();
        assert_eq!(stopped.status, WorkerStatus::Stopped);
    })
    .await;
    write.end().await;
}

/// A stop that commits while a QR code is on its way: what was read of the row is what holds at the commit.
#[tokio::test]
async fn a_qr_code_that_meets_a_stop_leaves_the_tenant_paused() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let mut stop = sqlx::PgConnection::connect(&db.url).await.unwrap();
    stop.execute(
        "begin; update worker_processes set desired = 'STOPPED', status = 'STOPPED';
        update tenants set status = 'PAUSED'",
    )
    .await
    .unwrap();
    let qr = QrCode { text: "2@x".into(), data_uri: "data:".into(), expires_at: OffsetDateTime::now_utc() };
    let showing = db.store.set_qr(&fence, Some(qr));
    tokio::pin!(showing);
    assert!(timeout(Duration::from_millis(100), &mut showing).await.is_err(), "it did not wait");
    stop.execute("commit").await.unwrap();
    showing.await.unwrap();
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::Paused);
    assert!(db.store.get_session(&fence.tenant).await.unwrap().qr.is_none());
}

#[tokio::test]
async fn a_worker_left_over_from_a_deleted_tenant_is_refused_by_the_next_of_that_name() {
    let db = Db::new().await;
    let left_over = db.owned("duka").await;
    db.store.delete_tenant(&tenant("duka")).await.unwrap();
    db.finish_deletions().await;
    assert_fenced(db.store.admit(&left_over, &[message("m", "c")]).await, &left_over);
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    assert_fenced(db.store.admit(&left_over, &[message("m", "c")]).await, &left_over);
    let owner = db.place(&tenant("duka"), "a").await;
    assert!(owner.generation > left_over.generation);
    assert_fenced(db.store.admit(&left_over, &[message("m", "c")]).await, &left_over);
}

#[tokio::test]
async fn a_heartbeat_counts_for_the_owned_and_names_the_refused() {
    let db = Db::new().await;
    let old = db.owned("a").await;
    let kept = db.owned("b").await;
    db.place(&old.tenant, "b").await;
    let gone = Fence { tenant: tenant("gone"), generation: kept.generation };
    let refused = db.store.heartbeat(&[&kept, &old, &gone].map(|fence| fence.clone().into())).await.unwrap();
    assert_eq!(refused, [old.tenant.clone(), gone.tenant]);
    assert!(db.store.get_worker(&kept.tenant).await.unwrap().last_seen_at.is_some());
    assert!(db.store.get_worker(&old.tenant).await.unwrap().last_seen_at.is_none());
}

#[tokio::test]
async fn a_heartbeat_says_what_the_browser_used_until_the_worker_is_to_stop() {
    let db = Db::new().await;
    let (owned, old) = (db.owned("a").await, db.owned("b").await);
    db.place(&old.tenant, "b").await;
    let usage = Some(ResourceUsage { memory_bytes: 5_000_000_000, cpu_millicores: 1_250, processes: 7 });
    let used = async |fence: &Fence| db.store.get_worker(&fence.tenant).await.unwrap().usage;
    let beat =
        [&owned, &old].map(|fence| Heartbeat { usage, messages_per_minute: 12, ..fence.clone().into() });
    assert_eq!(db.store.heartbeat(&beat).await.unwrap(), std::slice::from_ref(&old.tenant));
    assert_eq!((used(&owned).await, used(&old).await), (usage, None), "what is refused says nothing");
    let listed = db.store.list_workers(&Default::default(), None, 10).await.unwrap();
    assert_eq!((listed[0].usage, listed[0].messages_per_minute), (usage, Some(12)));
    db.store.heartbeat(&[owned.clone().into()]).await.unwrap();
    assert_eq!(used(&owned).await, None, "it is not known any more");
    db.store.heartbeat(&beat).await.unwrap();
    db.store.stop_worker(&owned.tenant).await.unwrap();
    let stopped = db.store.get_worker(&owned.tenant).await.unwrap();
    assert_eq!((stopped.usage, stopped.messages_per_minute), (None, None));
}

#[tokio::test]
async fn a_heartbeat_does_not_wait_for_a_tenant_that_is_busy() {
    let db = Db::new().await;
    let (busy, free) = (db.owned("a").await, db.owned("b").await);
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    let mut deletion = other.begin().await.unwrap();
    sqlx::query("select 1 from worker_processes where tenant_id = 'a' for update")
        .execute(&mut *deletion)
        .await
        .unwrap();
    let refused =
        timeout(Duration::from_millis(500), db.store.heartbeat(&[busy.into(), free.clone().into()])).await;
    assert_eq!(refused.expect("it does not wait").unwrap(), []);
    assert!(db.store.get_worker(&free.tenant).await.unwrap().last_seen_at.is_some());
}
