//! A session that is taken over from elsewhere: when it may be, and that it is fenced.

use roost_cluster::ledger::{EventKind, Ledger};
use roost_model::ids::{Generation, SessionNumber};
use roost_store::{
    Completion, EventFilter, Fence, ImportCheck, ImportOrder, ImportRefusal, ImportTicket, SnapshotPointer,
    StoreError,
};
use time::OffsetDateTime;

use crate::store::support::{Db, by, message, new_tenant, node, reply, tenant};

fn order(id: &str, digest: &str) -> ImportOrder {
    ImportOrder {
        tenant: tenant(id),
        digest: digest.into(),
        replace: false,
        by: by("asha", "from the old box"),
    }
}

impl Db {
    async fn ready(&self, order: &ImportOrder) -> ImportTicket {
        match self.store.check_import(order).await.unwrap() {
            ImportCheck::Ready(ticket) => ticket,
            done => panic!("{done:?}"),
        }
    }

    async fn record(
        &self,
        order: &ImportOrder,
        ticket: &ImportTicket,
    ) -> Result<SnapshotPointer, StoreError> {
        let stored = stored(ticket.import_generation);
        self.store.record_import(order, ticket, &stored, &node("b")).await.map(|()| stored)
    }

    async fn import_refusal(&self, order: &ImportOrder) -> ImportRefusal {
        refusal(self.store.check_import(order).await)
    }

    async fn stop(&self, fence: &Fence) {
        self.store.stop_worker(&fence.tenant).await.unwrap();
        self.ledger.unplace(self.term, std::slice::from_ref(&fence.tenant)).await.unwrap();
    }

    async fn imported_at(&self, id: &str) -> Option<OffsetDateTime> {
        self.store.get_session(&tenant(id)).await.unwrap().imported_at
    }
}

fn stored(generation: Generation) -> SnapshotPointer {
    SnapshotPointer {
        manifest: format!("{generation}-1"),
        generation,
        sequence: 1,
        clean: true,
        at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
        bytes: Some(7_000),
    }
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> ImportRefusal {
    match outcome {
        Err(StoreError::NotImportable { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_import_is_the_tenants_newest_snapshot_and_known_again() {
    let db = Db::new().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    let order = order("duka", "digest");
    let ticket = db.ready(&order).await;
    assert_eq!(ticket.imported_session(), SessionNumber(2));
    let stored = db.record(&order, &ticket).await.unwrap();

    let spec = db.store.worker_spec(&order.tenant).await.unwrap();
    assert_eq!(spec.session_number, SessionNumber(2));
    assert_eq!(spec.snapshot, Some(SnapshotPointer { bytes: None, ..stored.clone() }));
    assert!(db.imported_at("duka").await.is_some());
    let listed = db.store.session_snapshots(&order.tenant).await.unwrap();
    assert_eq!((listed.len(), listed[0].id, listed[0].is_void), (1, stored.id(), false));
    assert_eq!((listed[0].bytes, listed[0].node.clone()), (Some(7_000), Some(node("b"))));
    let events = db.store.list_events(&EventFilter::default(), None, 10).await.unwrap();
    let told = events.iter().find(|event| event.kind == EventKind::SessionImported).unwrap();
    assert_eq!((told.requested_by.as_str(), told.reason.as_str()), ("asha", "from the old box"));
    assert!(told.text.contains(&stored.id().to_string()), "{}", told.text);

    assert_eq!(db.store.check_import(&order).await.unwrap(), ImportCheck::DoneBefore(stored.id()));
    // The answer to it was lost.
    db.store.record_import(&order, &ticket, &stored, &node("b")).await.unwrap();
    let other = ImportOrder { digest: "other".into(), ..order.clone() };
    assert_eq!(db.import_refusal(&other).await, ImportRefusal::HasSession);

    // Whoever is placed next is later than it.
    db.store.start_worker(&order.tenant).await.unwrap();
    let fence = db.place(&order.tenant, "a").await;
    assert!(fence.generation > stored.generation);
    assert_eq!(
        db.store.check_import(&order).await.unwrap(),
        ImportCheck::DoneBefore(stored.id()),
        "also while it runs"
    );
    db.store.clear_snapshot(&fence).await.unwrap();
    assert_eq!(db.imported_at("duka").await, None, "that session has ended");
    assert_eq!(db.import_refusal(&order).await, ImportRefusal::ToRun);
}

#[tokio::test]
async fn a_tenant_that_runs_or_has_a_session_takes_none_unless_it_is_replaced() {
    let db = Db::new().await;
    assert!(matches!(db.store.check_import(&order("nobody", "x")).await, Err(StoreError::NotFound { .. })));
    let fence = db.owned("duka").await;
    let kept = order("duka", "x");
    assert_eq!(db.import_refusal(&kept).await, ImportRefusal::ToRun);
    let before = stored(fence.generation);
    db.store.set_snapshot(&fence, &before).await.unwrap();
    db.store.admit(&fence, &[message("one", "c")]).await.unwrap();
    let inbound = db.store.pending_inbound(&fence, 0, 10).await.unwrap().remove(0);
    let completion = Completion { inbound_id: inbound.id, replies: vec![reply(&inbound)], suppressed: None };
    db.store.complete(&fence, &[completion]).await.unwrap();

    db.store.stop_worker(&fence.tenant).await.unwrap();
    assert_eq!(db.import_refusal(&kept).await, ImportRefusal::NotStopped { node: node("a") });
    db.ledger.unplace(db.term, std::slice::from_ref(&fence.tenant)).await.unwrap();
    assert_eq!(db.import_refusal(&kept).await, ImportRefusal::HasSession);
    let replacing = ImportOrder { replace: true, ..kept };
    let ticket = db.ready(&replacing).await;
    let stored = db.record(&replacing, &ticket).await.unwrap();
    let listed = db.store.session_snapshots(&fence.tenant).await.unwrap();
    let void: Vec<_> = listed.iter().map(|listed| (listed.id, listed.is_void)).collect();
    assert_eq!(void, [(stored.id(), false), (before.id(), true)]);
    let dead = "select count(*) from bm_out where state = 'DEAD' and last_error like '%session before%'";
    assert_eq!((db.number(dead).await, db.astray().await), (1, 0), "what was decided for the session before");
}

#[tokio::test]
async fn nothing_is_recorded_when_the_tenant_is_not_as_it_was_when_the_import_began() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.stop(&fence).await;
    let order = order("duka", "x");

    // Started and placed meanwhile, and stopped again.
    let ticket = db.ready(&order).await;
    db.store.start_worker(&order.tenant).await.unwrap();
    assert_eq!(refusal(db.record(&order, &ticket).await), ImportRefusal::Changed);
    let fence = db.place(&order.tenant, "a").await;
    assert!(fence.generation > ticket.import_generation, "what the import still stores deposes nobody");
    assert_eq!(refusal(db.record(&order, &ticket).await), ImportRefusal::Changed);
    db.stop(&fence).await;
    assert_eq!(refusal(db.record(&order, &ticket).await), ImportRefusal::Changed);

    // Another import came first.
    let ticket = db.ready(&order).await;
    let (first, other) = (ImportOrder { digest: "y".into(), ..order.clone() }, ticket);
    db.record(&first, &other).await.unwrap();
    assert_eq!(refusal(db.record(&order, &ticket).await), ImportRefusal::Changed);

    // It was deleted, and made anew.
    let replacing = ImportOrder { replace: true, ..order.clone() };
    let ticket = db.ready(&replacing).await;
    db.store.delete_tenant(&order.tenant).await.unwrap();
    assert_eq!(refusal(db.record(&replacing, &ticket).await), ImportRefusal::Changed);
    db.finish_deletions().await;
    db.store.create_tenant(new_tenant("duka")).await.unwrap();
    assert_eq!(refusal(db.record(&replacing, &ticket).await), ImportRefusal::Changed);

    assert_eq!(db.imported_at("duka").await, None);
    let told = db.number("select count(*) from cluster_events where kind = 'SESSION_IMPORTED'").await;
    assert_eq!(told, 1, "of the one that was recorded");
}
