//! A chat is erased by order: nothing of it is left, and nothing of it is answered twice.

use std::time::Duration;

use roost_store::{EventFilter, Fence, StoreError};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::timeout;

use crate::store::support::{Db, answer, by, message, tenant};

const CHAT: &str = "255711000001@c.us";
const OTHER: &str = "255711000002@c.us";

/// Every row of the database that may hold something of a chat, and every event.
const ALL_ROWS: &str = "select concat(
    (select jsonb_agg(to_jsonb(i) - 'whatsapp_digest') from bm_in i), (select jsonb_agg(to_jsonb(o)) from bm_out o),
    (select jsonb_agg(to_jsonb(l)) from message_logs l), (select jsonb_agg(to_jsonb(r)) from reply_windows r),
    (select jsonb_agg(to_jsonb(c)) from chats c), (select jsonb_agg(to_jsonb(e)) from cluster_events e))";

/// WhatsApp's ids have the number in them.
fn id(chat: &str, name: &str) -> String {
    format!("false_{chat}_{name}")
}

async fn admit(db: &Db, fence: &Fence, chat: &str, name: &str) -> bool {
    db.store.admit(fence, &[message(&id(chat, name), chat)]).await.unwrap()[0].fresh
}

/// In each chat a message that is answered, one whose reply waits, one whose reply was given up, one that was given up
/// itself and one that waits.
async fn two_busy_chats(db: &Db) -> Fence {
    let fence = db.owned("duka").await;
    for chat in [CHAT, OTHER] {
        for name in ["answered", "replying", "unsent", "dead", "waiting"] {
            admit(db, &fence, chat, name).await;
        }
        let pending = db.store.pending_inbound(&fence, 0, 100).await.unwrap();
        let mine: Vec<_> = pending.iter().filter(|message| message.chat == chat).collect();
        let completions: Vec<_> = mine[..3].iter().map(|message| answer(message)).collect();
        let replies = db.store.complete(&fence, &completions).await.unwrap();
        db.store.mark_sent(&fence, &[replies[0].id], &[]).await.unwrap();
        db.store.bury_outbound(&fence, replies[2].id, &format!("no such chat: {chat}")).await.unwrap();
        db.store.bury_inbound(&fence, mine[3].id, &format!("no answer to {chat}")).await.unwrap();
    }
    fence
}

#[tokio::test]
async fn nothing_of_an_erased_chat_is_left_and_everything_of_the_others_is() {
    let db = Db::new().await;
    let fence = two_busy_chats(&db).await;
    let of_other = "select count(*) from message_logs where chat_id like '%2@c.us'";
    let log_of_other = db.number(of_other).await;
    let erased = db.store.erase_chat(&fence.tenant, CHAT, &by("asha", "asked for it")).await.unwrap();
    // Five received and one sent in the log; a dead and a waiting message; a waiting and a dead reply.
    assert_eq!(erased, 6 + 2 + 2);
    let kept = db.text(ALL_ROWS).await;
    assert!(!kept.contains("255711000001"), "{kept}");
    assert_eq!(db.number(of_other).await, log_of_other);
    let pending = db.store.pending_inbound(&fence, 0, 100).await.unwrap();
    assert_eq!(pending.iter().map(|left| left.chat.as_str()).collect::<Vec<_>>(), [OTHER]);
    let unsent = db.store.pending_outbound(&fence, 0, 100).await.unwrap();
    assert_eq!(unsent.iter().map(|left| left.chat.as_str()).collect::<Vec<_>>(), [OTHER]);
    let event = db.store.list_events(&EventFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!(event.text, "a chat of tenant duka is erased (10 rows)");
    assert_eq!((event.requested_by.as_str(), event.reason.as_str()), ("asha", "asked for it"));
    assert_eq!(event.tenant, Some(fence.tenant.clone()));
    assert_eq!(db.store.erase_chat(&fence.tenant, CHAT, &by("", "")).await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_of_an_erased_chat_is_known_when_it_comes_again() {
    let db = Db::new().await;
    let fence = two_busy_chats(&db).await;
    // An owner that has read its queues before, and is at work on them.
    let inbound = db.store.pending_inbound(&fence, 0, 100).await.unwrap().remove(0);
    let reply = db.store.pending_outbound(&fence, 0, 100).await.unwrap().remove(0);
    assert_eq!((inbound.chat.as_str(), reply.chat.as_str()), (CHAT, CHAT));
    db.store.erase_chat(&fence.tenant, CHAT, &by("", "")).await.unwrap();

    assert_eq!(
        db.store.complete(&fence, &[answer(&inbound)]).await.unwrap(),
        [],
        "nothing more is to be sent"
    );
    db.store.mark_sent(&fence, &[reply.id], &[]).await.unwrap();
    db.store.retry_outbound(&fence, reply.id, "late", Duration::ZERO).await.unwrap();
    db.store.bury_inbound(&fence, inbound.id, "late").await.unwrap();
    for name in ["answered", "replying", "unsent", "dead", "waiting"] {
        assert!(!admit(&db, &fence, CHAT, name).await, "{name} came again and was taken for new");
    }
    assert!(!db.text(ALL_ROWS).await.contains("255711000001"));
    let next = db.place(&fence.tenant, "b").await;
    assert!(db.store.pending_inbound(&next, 0, 100).await.unwrap().iter().all(|left| left.chat == OTHER));
    assert!(db.store.pending_outbound(&next, 0, 100).await.unwrap().iter().all(|left| left.chat == OTHER));
    assert!(admit(&db, &next, CHAT, "new").await, "the chat itself is not closed");
}

#[tokio::test]
async fn replies_that_are_erased_still_count_for_the_reply_limit() {
    let db = Db::new().await;
    let fence = two_busy_chats(&db).await;
    let before = db.store.reply_window(&fence).await.unwrap().counted_ages.len();
    db.store.erase_chat(&fence.tenant, CHAT, &by("", "")).await.unwrap();
    assert_eq!(db.store.reply_window(&fence).await.unwrap().counted_ages.len(), before);
}

/// A redelivery meets the erasure in its middle: what it finds is decided by the key, not by what it saw at its beginning.
#[tokio::test]
async fn a_redelivery_that_meets_an_erasure_waits_for_it_and_is_known() {
    let db = Db::new().await;
    let fence = two_busy_chats(&db).await;
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    // What an erasure waits for last.
    other.execute("begin; select 1 from cluster_policy for update").await.unwrap();
    let (nobody, given) = (by("", ""), [message(&id(CHAT, "waiting"), CHAT)]);
    let erasure = db.store.erase_chat(&fence.tenant, CHAT, &nobody);
    let redelivery = db.store.admit(&fence, &given);
    tokio::pin!(erasure, redelivery);
    assert!(timeout(Duration::from_millis(200), &mut erasure).await.is_err(), "it did not stand");
    assert!(
        timeout(Duration::from_millis(200), &mut redelivery).await.is_err(),
        "the write passed the erasure"
    );
    other.execute("commit").await.unwrap();
    let (erased, admitted) = tokio::join!(erasure, redelivery);
    assert_eq!(erased.unwrap(), 10);
    assert!(!admitted.unwrap()[0].fresh);
    assert!(!db.text(ALL_ROWS).await.contains("255711000001"));
}

/// An answer stands in the middle of becoming durable: the reply that it queues is not there yet.
#[tokio::test]
async fn an_erasure_waits_for_a_write_under_way_and_removes_what_it_wrote() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    admit(&db, &fence, CHAT, "waiting").await;
    let inbound = db.store.pending_inbound(&fence, 0, 1).await.unwrap().remove(0);
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    other.execute("begin; select 1 from bm_in for update").await.unwrap();
    let (nobody, given) = (by("", ""), [answer(&inbound)]);
    let completion = db.store.complete(&fence, &given);
    let erasure = db.store.erase_chat(&fence.tenant, CHAT, &nobody);
    tokio::pin!(completion, erasure);
    assert!(timeout(Duration::from_millis(200), &mut completion).await.is_err(), "it did not stand");
    assert!(timeout(Duration::from_millis(200), &mut erasure).await.is_err(), "the erasure did not wait");
    other.execute("commit").await.unwrap();
    let (completed, erased) = tokio::join!(completion, erasure);
    assert_eq!((completed.unwrap().len(), erased.unwrap()), (1, 2), "the line of the log, and the reply");
    assert!(!db.text(ALL_ROWS).await.contains("255711000001"));
}

#[tokio::test]
async fn a_chat_of_nobody_is_refused() {
    let db = Db::new().await;
    let refused = db.store.erase_chat(&tenant("nobody"), CHAT, &by("", "")).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    db.owned("duka").await;
    assert_eq!(db.store.erase_chat(&tenant("duka"), CHAT, &by("", "")).await.unwrap(), 0);
}
