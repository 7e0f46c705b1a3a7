//! What is too old when it comes is kept, said, and never answered.

use std::time::Duration;

use roost_store::{Message, MessageFilter, MessageState, QrCode, TenantPatch};
use time::OffsetDateTime;

use crate::store::support::{Db, message, written};

const DAY_S: i64 = 24 * 3_600;

async fn log(db: &Db, state: Option<MessageState>) -> Vec<Message> {
    db.store.list_messages(&MessageFilter { state, ..MessageFilter::default() }, None, 100).await.unwrap()
}

#[tokio::test]
async fn what_is_older_than_the_tenant_answers_is_kept_with_the_reason_and_does_not_wait() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let batch = [
        written(DAY_S + 60, "old", "c"),
        written(DAY_S - 60, "young", "c"),
        written(-3_600, "ahead", "d"),
        written(DAY_S + 60, "old", "c"),
    ];
    let admitted = db.store.admit(&fence, &batch).await.unwrap();
    let seen: Vec<_> =
        admitted.iter().map(|a| (a.whatsapp_id.as_str(), a.fresh, a.waits, a.first_in_chat)).collect();
    assert_eq!(
        seen,
        [("old", true, false, false), ("young", true, true, true), ("ahead", true, true, true)],
        "a chat is greeted although something too old came before"
    );
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    assert_eq!(pending.iter().map(|m| m.whatsapp_id.as_str()).collect::<Vec<_>>(), ["young", "ahead"]);
    assert!(pending[1].received_at <= OffsetDateTime::now_utc(), "the future counts as now");
    let row =
        "select state || ' ' || whatsapp_id || chat_id || sender || body || ' ' || (done_at is not null)
        from bm_in where state = 'TOO_OLD'";
    assert_eq!(db.text(row).await, "TOO_OLD  true", "neither text nor number");

    let lines = log(&db, None).await;
    assert_eq!(
        lines.iter().map(|line| line.body.as_str()).collect::<Vec<_>>(),
        ["body of ahead", "body of young", "body of old"]
    );
    let too_old = log(&db, Some(MessageState::TooOld)).await;
    assert_eq!(too_old.len(), 1);
    assert_eq!((too_old[0].state, too_old[0].whatsapp_id.as_str()), (Some(MessageState::TooOld), "old"));
    assert!(too_old[0].state_reason.ends_with("what is older than 24:00:00 is not answered"), "{too_old:?}");
    assert!(lines[..2].iter().all(|line| line.state.is_none() && line.state_reason.is_empty()));

    let again = db.store.admit(&fence, &batch[..1]).await.unwrap();
    assert!(!again[0].fresh && !again[0].waits);
    let next = db.store.admit(&fence, &[message("next", "c")]).await.unwrap();
    assert!(!next[0].first_in_chat);
}

#[tokio::test]
async fn a_tenant_says_for_how_long_it_answers() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let patch = TenantPatch { answer_within: Some(Duration::from_secs(60)), ..TenantPatch::default() };
    let changed = db.store.update_tenant(&fence.tenant, patch).await.unwrap();
    assert_eq!(changed.settings.answer_within, Duration::from_secs(60));
    let admitted = db.store.admit(&fence, &[written(90, "a", "c"), written(30, "b", "c")]).await.unwrap();
    assert_eq!(admitted.iter().map(|row| row.waits).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn what_was_written_before_the_session_was_linked_is_not_answered() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let before = db.store.admit(&fence, &[written(10, "unknown", "c")]).await.unwrap();
    assert!(before[0].waits, "of a session of long ago nobody knows since when");
    let code = QrCode { text: "x".into(), data_uri: String::new(), expires_at: OffsetDateTime::now_utc() };
    db.store.set_qr(&fence, Some(code)).await.unwrap();
    let admitted = db.store.admit(&fence, &[written(10, "history", "c"), message("new", "c")]).await.unwrap();
    assert_eq!(admitted.iter().map(|row| row.waits).collect::<Vec<_>>(), [false, true]);
    let too_old = log(&db, Some(MessageState::TooOld)).await;
    assert!(too_old[0].state_reason.ends_with("before the session was linked"), "{too_old:?}");
    db.store.set_qr(&fence, None).await.unwrap();
    assert!(!db.store.admit(&fence, &[written(10, "more", "c")]).await.unwrap()[0].waits);
}

/// The longest that a tenant answers, and what a page still tells of that is older than the memory of its id.
#[tokio::test]
async fn an_id_that_was_forgotten_is_too_old_to_be_answered() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let week = Duration::from_secs(7 * 24 * 3_600);
    let patch = TenantPatch { answer_within: Some(week), ..TenantPatch::default() };
    db.store.update_tenant(&fence.tenant, patch).await.unwrap();
    let mut kept = Vec::new();
    for (age_h, id) in [(8 * 24 + 1, "d"), (8 * 24 - 1, "c"), (7 * 24 - 1, "b"), (1, "a")] {
        let admitted = db.store.admit(&fence, &[message(id, "c")]).await.unwrap();
        let sql = "update bm_in set state = 'DONE', received_at = now() - make_interval(hours => $2),
            done_at = now() - make_interval(hours => $2) where id = $1";
        sqlx::query(sql).bind(admitted[0].id).bind(age_h).execute(db.store.pool()).await.unwrap();
        kept.push((age_h, id));
    }
    assert_eq!(db.store.purge().await.unwrap().inbound, 1);
    for (age_h, id) in kept {
        let again = db.store.admit(&fence, &[written(i64::from(age_h) * 3_600, id, "c")]).await.unwrap();
        assert!(!again[0].waits, "{id} would be answered again");
    }
}
