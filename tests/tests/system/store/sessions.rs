//! The session as people see it, and the pointer to its snapshot.

use roost_cluster::ledger::{EventKind, Ledger};
use roost_model::ids::SessionNumber;
use roost_store::{
    Completion, DeadLetterFilter, EventFilter, Fence, NewOutbound, QrCode, RestartMode, SessionStatus,
    SnapshotPointer, StatusReport, StoreError, TenantStatus,
};
use time::OffsetDateTime;

use crate::store::support::{Db, message, new_tenant, node, tenant};

fn code(text: &str) -> QrCode {
    QrCode {
        text: text.into(),
        data_uri: format!("data:image/png;base64,{text}"),
        expires_at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
    }
}

async fn report(db: &Db, fence: &Fence, status: SessionStatus) {
    let report = StatusReport { session_status: Some(status), ..StatusReport::default() };
    db.store.report(fence, &report).await.unwrap();
}

#[tokio::test]
async fn a_code_is_shown_until_the_phone_has_scanned_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.set_qr(&fence, Some(code("one"))).await.unwrap();
    db.store.set_qr(&fence, Some(code("two"))).await.unwrap();
    let session = db.store.get_session(&fence.tenant).await.unwrap();
    assert_eq!((session.status, session.qr), (SessionStatus::QrReady, Some(code("two"))));
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::QrPending);

    report(&db, &fence, SessionStatus::Connected).await;
    let session = db.store.get_session(&fence.tenant).await.unwrap();
    assert_eq!((session.status, session.qr), (SessionStatus::Connected, None));
    let since = session.connected_at.expect("it is connected");
    report(&db, &fence, SessionStatus::Connected).await;
    assert_eq!(db.store.get_session(&fence.tenant).await.unwrap().connected_at, Some(since));
}

#[tokio::test]
async fn whose_account_is_linked_is_kept_until_codes_are_shown_again_and_since_when_over_another_name() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let account = async || db.store.get_session(&fence.tenant).await.unwrap().account;
    assert_eq!(account().await, None);
    let record = async |number: &str, name: &str| {
        db.store.record_account(&fence, number, name, "android").await.unwrap();
        account().await.unwrap()
    };
    let first = record("255700000001", "Duka").await;
    assert_eq!(
        (first.number.as_str(), first.push_name.as_str(), first.platform.as_str()),
        ("255700000001", "Duka", "android")
    );
    let changed = db.text("select updated_at::text from whatsapp_sessions").await;
    record("255700000001", "Duka").await;
    assert_eq!(
        db.text("select updated_at::text from whatsapp_sessions").await,
        changed,
        "nothing is written"
    );
    let renamed = record("255700000001", &"D\0".repeat(300)).await;
    assert_eq!((renamed.linked_at, renamed.push_name.chars().count()), (first.linked_at, 200));
    assert!(
        record("255700000002", "Other").await.linked_at > first.linked_at,
        "another number is another link"
    );
    db.store.set_qr(&fence, Some(code("one"))).await.unwrap();
    assert_eq!(account().await, None);
    record("255700000001", "Duka").await;
    db.store.clear_snapshot(&fence).await.unwrap();
    assert_eq!(account().await, None, "the session is forgotten");
    let next = db.place(&fence.tenant, "b").await;
    let refused = db.store.record_account(&fence, "255700000001", "Duka", "android").await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })) && next.generation > fence.generation);
}

#[tokio::test]
async fn a_code_that_has_lapsed_is_taken_away() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.set_qr(&fence, Some(code("one"))).await.unwrap();
    db.store.set_qr(&fence, None).await.unwrap();
    let session = db.store.get_session(&fence.tenant).await.unwrap();
    assert_eq!((session.status, session.qr), (SessionStatus::Disconnected, None));
    assert_eq!(db.store.get_tenant(&fence.tenant).await.unwrap().status, TenantStatus::QrPending);
}

#[tokio::test]
async fn a_session_that_moves_is_disconnected_until_its_new_owner_has_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    report(&db, &fence, SessionStatus::Connected).await;
    let next = db.place(&fence.tenant, "b").await;
    assert_eq!(db.store.get_session(&next.tenant).await.unwrap().status, SessionStatus::Disconnected);
    report(&db, &next, SessionStatus::Connected).await;
    db.ledger.unplace(db.term, std::slice::from_ref(&next.tenant)).await.unwrap();
    assert_eq!(db.store.get_session(&next.tenant).await.unwrap().status, SessionStatus::Disconnected);
}

#[tokio::test]
async fn a_session_that_ends_takes_its_snapshot_and_the_replies_that_wait_with_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let number = async || db.store.worker_spec(&fence.tenant).await.unwrap().session_number;
    let reply = async |name: &str| {
        let admitted = db.store.admit(&fence, &[message(name, "c")]).await.unwrap();
        let (chat, body) = ("c".to_owned(), format!("to {name}"));
        let reply = NewOutbound {
            seq: 0,
            whatsapp_id: format!("r-{name}"),
            chat,
            body,
            counted: true,
            claimed: true,
        };
        let completion = Completion { inbound_id: admitted[0].id, replies: vec![reply], suppressed: None };
        db.store.complete(&fence, &[completion]).await.unwrap()[0].id
    };
    let dead = async || {
        let letters = db.store.list_dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap();
        letters.into_iter().map(|letter| (letter.body, letter.reason)).collect::<Vec<_>>()
    };
    let of_before = |name: &str| (format!("to {name}"), "decided for the session before".to_owned());
    assert_eq!(number().await, SessionNumber(1));
    let sent = reply("sent").await;
    db.store.mark_sent(&fence, &[sent], &[]).await.unwrap();
    reply("one").await;
    db.store.set_snapshot(&fence, &pointer(&fence, 1)).await.unwrap();

    assert_eq!(db.store.clear_snapshot(&fence).await.unwrap(), SessionNumber(2));
    assert_eq!((number().await, dead().await), (SessionNumber(2), vec![of_before("one")]));
    assert!(db.store.pending_outbound(&fence, 0, 10).await.unwrap().is_empty());

    reply("two").await;
    db.store.set_snapshot(&fence, &pointer(&fence, 2)).await.unwrap();
    db.store.begin_session(&fence, SessionNumber(3)).await.unwrap();
    assert_eq!(number().await, SessionNumber(3));
    assert_eq!(db.store.snapshot_pointer(&fence.tenant).await.unwrap(), None);
    assert!(dead().await.contains(&of_before("two")));

    reply("three").await;
    db.store.set_snapshot(&fence, &pointer(&fence, 3)).await.unwrap();
    db.store.begin_session(&fence, SessionNumber(3)).await.unwrap();
    db.store.begin_session(&fence, SessionNumber(2)).await.unwrap();
    assert_eq!(number().await, SessionNumber(3), "it only grows");
    assert_eq!(db.store.pending_outbound(&fence, 0, 10).await.unwrap().len(), 1);
    assert!(db.store.snapshot_pointer(&fence.tenant).await.unwrap().is_some());
}

#[tokio::test]
async fn only_a_connected_session_can_be_logged_out() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let refused = db.store.request_logout(&fence.tenant).await;
    assert!(matches!(refused, Err(StoreError::NotConnected { .. })), "{refused:?}");
    assert_eq!(db.store.worker_spec(&fence.tenant).await.unwrap().restart_mode, RestartMode::Graceful);

    report(&db, &fence, SessionStatus::Connected).await;
    let before = db.store.worker_spec(&fence.tenant).await.unwrap();
    db.store.request_logout(&fence.tenant).await.unwrap();
    let after = db.store.worker_spec(&fence.tenant).await.unwrap();
    assert_eq!((after.restart_mode, after.forget_session), (RestartMode::Logout, true));
    assert!(after.restart_seq > before.restart_seq && after.spec_revision > before.spec_revision);
    db.store.set_qr(&fence, Some(code("new"))).await.unwrap();
    assert!(
        !db.store.worker_spec(&fence.tenant).await.unwrap().forget_session,
        "a page that asks has no session"
    );
}

fn pointer(fence: &Fence, sequence: i64) -> SnapshotPointer {
    SnapshotPointer {
        manifest: format!("{}-{sequence}", fence.generation),
        generation: fence.generation,
        sequence,
        clean: sequence % 2 == 0,
        at: OffsetDateTime::now_utc().replace_nanosecond(0).unwrap(),
        bytes: None,
    }
}

#[tokio::test]
async fn the_pointer_only_moves_forward_but_from_what_is_damaged() {
    let db = Db::new().await;
    let first = db.owned("duka").await;
    assert_eq!(db.store.snapshot_pointer(&first.tenant).await.unwrap(), None);
    for sequence in [1, 3, 2] {
        db.store.set_snapshot(&first, &pointer(&first, sequence)).await.unwrap();
    }
    let present = db.store.snapshot_pointer(&first.tenant).await.unwrap().unwrap();
    assert_eq!(present.sequence, 3, "the second upload ended last");
    assert_eq!(db.store.get_session(&first.tenant).await.unwrap().snapshot_at, Some(present.at));
    let second = db.place(&first.tenant, "b").await;
    db.store.set_snapshot(&second, &pointer(&second, 1)).await.unwrap();
    let present = db.store.snapshot_pointer(&first.tenant).await.unwrap().unwrap();
    assert_eq!((present.generation, present.sequence), (second.generation, 1));
    assert_eq!(db.store.worker_spec(&first.tenant).await.unwrap().snapshot, Some(present));

    let older = pointer(&first, 3);
    db.store.fall_back_to_snapshot(&second, Some(&older), "the snapshot is damaged").await.unwrap();
    assert_eq!(db.store.snapshot_pointer(&first.tenant).await.unwrap(), Some(older));
    let events = db.store.list_events(&EventFilter::default(), None, 1).await.unwrap();
    assert_eq!(
        (events[0].kind, events[0].text.as_str()),
        (EventKind::SessionDamaged, "the snapshot is damaged")
    );
    assert_eq!(events[0].tenant.as_ref(), Some(&first.tenant));
    db.store.set_snapshot(&second, &pointer(&second, 2)).await.unwrap();
    assert_eq!(db.store.snapshot_pointer(&first.tenant).await.unwrap().unwrap().sequence, 2);
    db.store.fall_back_to_snapshot(&second, None, "it, too").await.unwrap();
    assert_eq!(db.store.snapshot_pointer(&first.tenant).await.unwrap(), None);
    db.store.set_snapshot(&second, &pointer(&second, 3)).await.unwrap();
    db.store.clear_snapshot(&second).await.unwrap();
    assert_eq!(db.store.get_session(&first.tenant).await.unwrap().snapshot_at, None);
}

#[tokio::test]
async fn a_session_is_with_its_owner_and_its_snapshot_with_whoever_took_it() {
    let db = Db::new().await;
    let (first, gone) = (db.owned("duka").await, db.owned("gone").await);
    db.store.create_tenant(new_tenant("idle")).await.unwrap();
    db.store.set_snapshot(&first, &pointer(&first, 1)).await.unwrap();
    let second = db.place(&first.tenant, "b").await;
    db.store.delete_tenant(&gone.tenant).await.unwrap();
    let asked = ["duka", "gone", "idle", "unknown"].map(tenant);
    let mut places = db.store.session_places(&asked).await.unwrap();
    places.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    let [duka, idle] = places.as_slice() else { panic!("{places:?}") };
    assert_eq!((&duka.tenant, duka.node.clone()), (&first.tenant, Some(node("b"))));
    assert_eq!((duka.generation, duka.snapshot), (second.generation, Some(first.generation)));
    assert_eq!(duka.uid, db.store.get_tenant(&first.tenant).await.unwrap().uid);
    assert_eq!((idle.node.clone(), idle.snapshot), (None, None));

    db.store.clear_snapshot(&second).await.unwrap();
    let forgotten = db.store.session_places(&asked[..1]).await.unwrap();
    assert_eq!(forgotten[0].snapshot, None, "nothing is there to go on from");
}
