//! Word of changes: who is told what, and that it goes on after the connection was lost.

use std::time::Duration;

use roost_store::{Change, ChangeKind, QrCode, StatusReport, WorkerStatus};
use time::OffsetDateTime;
use tokio::{sync::broadcast::Receiver, time::timeout};

use crate::store::support::{Db, answer, message, new_tenant, tenant};

/// Waits until the listener hears, by changing something until it does, and empties the receiver.
async fn listening(db: &Db) -> Receiver<Change> {
    let mut changes = db.store.changes();
    db.store.create_tenant(new_tenant("canary")).await.unwrap();
    for _ in 0..100 {
        db.store.update_tenant(&tenant("canary"), Default::default()).await.unwrap();
        if timeout(Duration::from_millis(100), changes.recv()).await.is_ok() {
            // What is under way has come when the last change has.
            db.store.delete_tenant(&tenant("canary")).await.unwrap();
            while heard(&mut changes).await != (ChangeKind::Worker, "canary".into()) {}
            return changes;
        }
    }
    panic!("nothing was heard");
}

async fn heard(changes: &mut Receiver<Change>) -> (ChangeKind, String) {
    let change =
        timeout(Duration::from_secs(5), changes.recv()).await.expect("a change").expect("not behind");
    (change.kind, change.tenant.to_string())
}

/// The kinds heard of one tenant up to the next change of another one.
async fn kinds_of(db: &Db, changes: &mut Receiver<Change>, id: &str) -> Vec<ChangeKind> {
    db.store.create_tenant(new_tenant("mark")).await.unwrap();
    let mut kinds = Vec::new();
    loop {
        match heard(changes).await {
            (kind, tenant) if tenant == id => kinds.push(kind),
            (_, tenant) if tenant == "mark" => break,
            other => panic!("{other:?}"),
        }
    }
    db.store.delete_tenant(&tenant("mark")).await.unwrap();
    while heard(changes).await != (ChangeKind::Worker, "mark".into()) {}
    db.finish_deletions().await;
    kinds
}

#[tokio::test]
async fn watchers_hear_of_what_concerns_them_and_of_nothing_else() {
    use ChangeKind::{Session, Spec, Worker};
    let db = Db::new().await;
    let mut changes = listening(&db).await;
    let id = tenant("duka");
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Spec]);
    db.store.start_worker(&id).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Spec, Worker]);
    let fence = db.place(&id, "a").await;
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Worker]);
    let qr = QrCode { text: "x".into(), data_uri: "y".into(), expires_at: OffsetDateTime::now_utc() };
    db.store.set_qr(&fence, Some(qr)).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Session]);
    let error = StatusReport { worker_status: Some(WorkerStatus::Error), ..StatusReport::default() };
    db.store.report(&fence, &error).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Worker]);

    // What happens all the time tells nobody.
    db.store.report(&fence, &error).await.unwrap();
    db.store.heartbeat(&[fence.clone().into()]).await.unwrap();
    db.store.admit(&fence, &[message("m", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 1).await.unwrap();
    let reply = db.store.complete(&fence, &[answer(&pending[0])]).await.unwrap().remove(0);
    db.store.mark_sent(&fence, &[reply.id], &[]).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, []);

    db.store.admit(&fence, &[message("m2", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 1).await.unwrap();
    let reply = db.store.complete(&fence, &[answer(&pending[0])]).await.unwrap().remove(0);
    db.store.mark_sent(&fence, &[reply.id], &[reply.id]).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Worker], "it was sent again");

    db.store.delete_tenant(&id).await.unwrap();
    assert_eq!(kinds_of(&db, &mut changes, "duka").await, [Spec, Worker]);
}

#[tokio::test]
async fn word_comes_again_after_the_connection_was_lost() {
    let db = Db::new().await;
    let mut changes = listening(&db).await;
    db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'",
    )
    .await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    for _ in 0..100 {
        db.store.update_tenant(&tenant("duka"), Default::default()).await.unwrap();
        if timeout(Duration::from_millis(100), changes.recv()).await.is_ok() {
            return;
        }
    }
    panic!("nothing was heard after the connection was lost");
}
