//! The reply limit's window, which the next owner reads where the last one left it.

use std::time::Duration;

use roost_store::{Completion, Fence, MessageFilter, MessageState, NewOutbound};

use crate::store::support::{Db, answer, message, reply};

#[tokio::test]
async fn the_window_survives_a_change_of_owner() {
    let db = Db::new().await;
    let first = db.owned("duka").await;
    assert_eq!(db.store.reply_window(&first).await.unwrap(), Default::default());
    let batch: Vec<_> = (0..4).map(|n| message(&format!("m{n}"), "c")).collect();
    db.store.admit(&first, &batch).await.unwrap();
    let pending = db.store.pending_inbound(&first, 0, 10).await.unwrap();
    let warning = NewOutbound { counted: false, whatsapp_id: "warning".into(), ..reply(&pending[2]) };
    db.store.complete(&first, &[answer(&pending[0]), answer(&pending[1])]).await.unwrap();
    let limited = [
        Completion { inbound_id: pending[2].id, replies: vec![warning], suppressed: Some("over".into()) },
        Completion { inbound_id: pending[3].id, replies: vec![], suppressed: Some("over".into()) },
    ];
    db.store.complete(&first, &limited).await.unwrap();

    let second = db.place(&first.tenant, "b").await;
    let window = db.store.reply_window(&second).await.unwrap();
    assert_eq!(window.counted_ages.len(), 2, "the warning does not count");
    assert!(window.counted_ages.iter().all(|age| *age < Duration::from_secs(20)));
    let youngest = window.counted_ages.iter().min().expect("there are two");
    assert!(window.warned_age.expect("there was a warning") <= *youngest);
    assert_eq!(suppressed(&db).await, [2]);
}

#[tokio::test]
async fn the_window_is_sixty_seconds_of_the_database() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    limit(&db, &fence, "m1", true).await;
    db.execute("update reply_windows set started_at = started_at - interval '50 seconds'").await;
    limit(&db, &fence, "m2", false).await;
    assert_eq!(suppressed(&db).await, [2], "the second falls into the first one's window");
    let warned = db.store.reply_window(&fence).await.unwrap().warned_age.expect("50 s ago");
    assert!(warned >= Duration::from_secs(50) && warned < Duration::from_secs(60));

    db.execute("update reply_windows set started_at = started_at - interval '11 seconds'").await;
    db.execute("update bm_out set created_at = created_at - interval '61 seconds'").await;
    assert_eq!(db.store.reply_window(&fence).await.unwrap(), Default::default());
    limit(&db, &fence, "m3", true).await;
    assert_eq!(suppressed(&db).await, [2, 1], "a window of its own");
}

#[tokio::test]
async fn a_suppressed_message_is_listed_with_the_reason_and_known_when_it_comes_again() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let first = db.store.admit(&fence, &[message("answered", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap().remove(0);
    db.store.complete(&fence, &[answer(&pending)]).await.unwrap();
    limit(&db, &fence, "warned", true).await;
    limit(&db, &fence, "silent", false).await;
    let filter = MessageFilter { state: Some(MessageState::Suppressed), ..MessageFilter::default() };
    let listed = db.store.list_messages(&filter, None, 10).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|line| (line.body.as_str(), line.state_reason.as_str())).collect();
    assert_eq!(listed, [("body of silent", "over"), ("body of warned", "over")]);
    let states = "select string_agg(state::text || whatsapp_id || body, ' ' order by id) from bm_in";
    assert_eq!(db.text(states).await, "DONE SUPPRESSED SUPPRESSED");
    let again = db.store.admit(&fence, &[message("silent", "c"), message("answered", "c")]).await.unwrap();
    assert!(again.iter().all(|row| !row.fresh && !row.waits), "{again:?}");
    assert_eq!(again[1].id, first[0].id);
}

/// An erasure holds the lines before it holds the worker, and a completion the worker before the line.
#[tokio::test]
async fn a_suppression_waits_for_nobody_who_removes_its_line() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap().remove(0);
    let mut erasure = db.store.pool().begin().await.unwrap();
    sqlx::query("select id from message_logs for update").execute(&mut *erasure).await.unwrap();
    let suppressed = Completion { inbound_id: pending.id, replies: vec![], suppressed: Some("over".into()) };
    tokio::time::timeout(Duration::from_secs(3), db.store.complete(&fence, &[suppressed]))
        .await
        .unwrap()
        .unwrap();
    erasure.rollback().await.unwrap();
}

/// How many were decided and how many were sent are two windows: an outage lies between.
#[tokio::test]
async fn what_was_sent_counts_from_when_it_was_sent() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let completions: Vec<_> = pending.iter().map(answer).collect();
    let queued = db.store.complete(&fence, &completions).await.unwrap();
    db.execute("update bm_out set created_at = now() - interval '5 minutes'").await;
    let window = async || db.store.reply_window(&fence).await.unwrap();
    assert_eq!(window().await, Default::default());
    db.store.mark_sent(&fence, &[queued[0].id], &[]).await.unwrap();
    assert_eq!((window().await.counted_ages.len(), window().await.sent_ages.len()), (0, 1));
    db.execute("update recent_replies set sent_at = sent_at - interval '61 seconds'").await;
    assert_eq!(window().await, Default::default());
}

#[tokio::test]
async fn a_repeated_completion_counts_nothing_twice() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let completion = limit(&db, &fence, "m1", true).await;
    db.store.complete(&fence, &[completion]).await.unwrap();
    assert_eq!(suppressed(&db).await, [1]);
}

/// Admits a message and answers it as one that is over the limit, with or without the warning.
async fn limit(db: &Db, fence: &Fence, whatsapp_id: &str, warn: bool) -> Completion {
    db.store.admit(fence, &[message(whatsapp_id, "c")]).await.unwrap();
    let pending = db.store.pending_inbound(fence, 0, 10).await.unwrap().remove(0);
    let warning = NewOutbound { counted: false, ..reply(&pending) };
    let replies = if warn { vec![warning] } else { vec![] };
    let completion = Completion { inbound_id: pending.id, replies, suppressed: Some("over".into()) };
    db.store.complete(fence, std::slice::from_ref(&completion)).await.unwrap();
    completion
}

async fn suppressed(db: &Db) -> Vec<i64> {
    let sql = "select suppressed from reply_windows order by started_at";
    sqlx::query_scalar(sql).fetch_all(db.store.pool()).await.unwrap()
}
