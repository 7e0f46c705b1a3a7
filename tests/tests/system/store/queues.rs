//! The queues: once, in order, and the same when repeated.

use std::time::Duration;

use roost_store::{Completion, Direction, MessageFilter, NewOutbound, Outbound};

use crate::{
    long_text,
    store::support::{Db, answer, ids, message, reply},
};

#[tokio::test]
async fn a_message_that_is_delivered_again_is_the_first_one() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let first = db.store.admit(&fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
    assert!(first.iter().all(|admitted| admitted.fresh));
    let again = [message("m2", "c"), message("m3", "c"), message("m3", "c"), message("m1", "c")];
    let second = db.store.admit(&fence, &again).await.unwrap();
    let seen: Vec<_> = second.iter().map(|a| (a.whatsapp_id.as_str(), a.fresh)).collect();
    assert_eq!(seen, [("m2", false), ("m3", true), ("m1", false)]);
    assert_eq!((second[0].id, second[2].id), (first[1].id, first[0].id));
    assert_eq!(db.number("select count(*) from bm_in").await, 3);
    assert_eq!(db.number("select count(*) from message_logs where direction = 'IN'").await, 3);
}

#[tokio::test]
async fn the_same_message_id_at_two_tenants_is_two_messages() {
    let db = Db::new().await;
    let (one, other) = (db.owned("a").await, db.owned("b").await);
    assert!(db.store.admit(&one, &[message("m", "c")]).await.unwrap()[0].fresh);
    assert!(db.store.admit(&other, &[message("m", "c")]).await.unwrap()[0].fresh);
}

#[tokio::test]
async fn ids_grow_in_the_order_given() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    // Neither alphabetical nor by chat, so that no other order comes out by chance.
    let batch: Vec<_> =
        (0..500).map(|n| message(&format!("m{}", n * 7919 % 500), &format!("c{}", n % 7))).collect();
    let admitted = db.store.admit(&fence, &batch).await.unwrap();
    assert!(ids(&admitted).is_sorted());
    let pending = db.store.pending_inbound(&fence, 0, 1000).await.unwrap();
    let order: Vec<_> = pending.iter().map(|message| &message.whatsapp_id).collect();
    assert_eq!(order, batch.iter().map(|message| &message.whatsapp_id).collect::<Vec<_>>());
    let log = db.store.list_messages(&MessageFilter::default(), None, 1000).await.unwrap();
    let log: Vec<_> = log.iter().rev().map(|line| &line.whatsapp_id).collect();
    assert_eq!(log, order, "the log has the same order");
}

#[tokio::test]
async fn a_reader_that_has_seen_an_id_has_missed_none_below_it() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let admissions = (0..8).map(|writer| {
        let (store, fence) = (db.store.clone(), fence.clone());
        tokio::spawn(async move {
            for n in 0..40 {
                store.admit(&fence, &[message(&format!("w{writer}-{n}"), "c")]).await.unwrap();
            }
        })
    });
    let admissions: Vec<_> = admissions.collect();
    let mut seen = Vec::new();
    loop {
        let all_in = admissions.iter().all(tokio::task::JoinHandle::is_finished);
        let after = seen.last().copied().unwrap_or(0);
        let pending = db.store.pending_inbound(&fence, after, 50).await.unwrap();
        if all_in && pending.is_empty() {
            break;
        }
        seen.extend(pending.iter().map(|message| message.id));
    }
    for admission in admissions {
        admission.await.unwrap();
    }
    assert_eq!(seen.len(), 320);
}

#[tokio::test]
async fn the_first_message_of_a_chat_is_known_as_such() {
    let db = Db::new().await;
    let (fence, other) = (db.owned("a").await, db.owned("b").await);
    db.store.admit(&other, &[message("elsewhere", "c")]).await.unwrap();
    let batch = [message("m1", "c"), message("m2", "d"), message("m3", "c"), message("m1", "c")];
    let first: Vec<_> =
        db.store.admit(&fence, &batch).await.unwrap().iter().map(|a| a.first_in_chat).collect();
    assert_eq!(first, [true, true, false]);
    let again = [message("m1", "c"), message("m4", "d"), message("m5", "e")];
    let first: Vec<_> =
        db.store.admit(&fence, &again).await.unwrap().iter().map(|a| a.first_in_chat).collect();
    assert_eq!(first, [false, false, true], "m1 was greeted when it came first");
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let first: Vec<_> = pending.iter().map(|m| (m.whatsapp_id.as_str(), m.first_in_chat)).collect();
    assert_eq!(first, [("m1", true), ("m2", true), ("m3", false), ("m4", false), ("m5", true)]);
}

#[tokio::test]
async fn a_completion_queues_the_replies_once_however_often_it_is_made() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c"), message("m2", "d")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let second = NewOutbound { seq: 1, whatsapp_id: "second".into(), ..reply(&pending[0]) };
    let completions = [
        Completion { replies: vec![reply(&pending[0]), second], ..answer(&pending[0]) },
        answer(&pending[1]),
    ];
    let queued = db.store.complete(&fence, &completions).await.unwrap();
    let shape: Vec<_> =
        queued.iter().map(|o| (o.inbound_id.unwrap(), o.seq, o.whatsapp_id.as_str())).collect();
    let (m1, m2) = (pending[0].id, pending[1].id);
    assert_eq!(shape, [(m1, 0, "reply-m1"), (m1, 1, "second"), (m2, 0, "reply-m2")]);
    assert!(queued.is_sorted_by_key(|outbound| outbound.id));
    assert!(db.store.pending_inbound(&fence, 0, 10).await.unwrap().is_empty());

    // The answer was lost, and the responder says something else now: what was queued first stands.
    let other = NewOutbound { whatsapp_id: "other".into(), body: "other".into(), ..reply(&pending[0]) };
    let again = [Completion { replies: vec![other], ..answer(&pending[0]) }, completions[1].clone()];
    assert_eq!(db.store.complete(&fence, &again).await.unwrap(), queued);
    db.store.mark_sent(&fence, &[queued[0].id], &[]).await.unwrap();
    assert_eq!(db.store.complete(&fence, &again).await.unwrap(), queued[1..]);
    assert_eq!(db.number("select count(*) from bm_out").await, 3);
}

#[tokio::test]
async fn a_sent_reply_is_logged_once_and_is_not_pending() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let queued = queue_replies(&db, &fence, 3).await;
    let sent = [queued[1].id, queued[0].id];
    db.store.mark_sent(&fence, &sent, &[]).await.unwrap();
    db.store.mark_sent(&fence, &sent, &[]).await.unwrap();
    assert_eq!(db.store.pending_outbound(&fence, 0, 10).await.unwrap(), queued[2..]);
    let filter = MessageFilter { direction: Some(Direction::Out), ..MessageFilter::default() };
    let log = db.store.list_messages(&filter, None, 10).await.unwrap();
    let log: Vec<_> = log.iter().rev().map(|line| line.whatsapp_id.as_str()).collect();
    assert_eq!(log, ["reply-m1", "reply-m0"], "in the order of sending");
}

#[tokio::test]
async fn what_was_sent_again_is_counted_once_with_its_mark() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let ids: Vec<i64> = queue_replies(&db, &fence, 4).await.iter().map(|reply| reply.id).collect();
    let resends = async || db.store.get_worker(&fence.tenant).await.unwrap().resends;
    db.store.mark_sent(&fence, &ids[..1], &[]).await.unwrap();
    assert_eq!(resends().await, 0);
    for _ in 0..2 {
        db.store.mark_sent(&fence, &ids[..3], &ids[..3]).await.unwrap();
        assert_eq!(resends().await, 2, "the first one was marked before");
    }
    db.store.mark_sent(&fence, &ids, &[]).await.unwrap();
    assert_eq!(resends().await, 2);
}

#[tokio::test]
async fn a_reply_is_claimed_with_its_answer_or_by_itself_and_once() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let at_once = NewOutbound { claimed: true, ..reply(&pending[0]) };
    let completions = [Completion { replies: vec![at_once], ..answer(&pending[0]) }, answer(&pending[1])];
    let queued = db.store.complete(&fence, &completions).await.unwrap();
    let claimed = |rows: &[Outbound]| rows.iter().map(|row| row.claimed).collect::<Vec<_>>();
    assert_eq!(claimed(&queued), [true, false]);
    let waiting = async || db.store.pending_outbound(&fence, 0, 10).await.unwrap();
    assert_eq!(waiting().await, queued);
    let first = "select claimed_at::text from bm_out where claimed_at is not null";
    let before = db.text(first).await;
    db.store.claim(&fence, &[queued[0].id]).await.unwrap();
    assert_eq!(db.text(first).await, before, "once");
    db.store.claim(&fence, &[queued[1].id]).await.unwrap();
    assert_eq!(claimed(&waiting().await), [true, true]);
}

#[tokio::test]
async fn what_failed_waits_and_keeps_its_place() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c"), message("m2", "c")]).await.unwrap();
    let first = db.store.pending_inbound(&fence, 0, 1).await.unwrap().remove(0);
    db.store
        .retry_inbound(&fence, first.id, "the responder\0 failed", Duration::from_secs(30))
        .await
        .unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    assert_eq!(pending.iter().map(|m| m.whatsapp_id.as_str()).collect::<Vec<_>>(), ["m1", "m2"]);
    assert_eq!((pending[0].attempts, pending[1].attempts), (1, 0));
    assert!(pending[0].due_in > Duration::from_secs(25) && pending[0].due_in <= Duration::from_secs(30));
    assert_eq!(pending[1].due_in, Duration::ZERO);

    let queued = db.store.complete(&fence, &[answer(&pending[1])]).await.unwrap();
    db.store.retry_outbound(&fence, queued[0].id, "offline", Duration::from_secs(2)).await.unwrap();
    let waiting = db.store.pending_outbound(&fence, 0, 10).await.unwrap();
    assert_eq!(waiting[0].attempts, 1);
    assert!(waiting[0].due_in > Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_given_up_is_kept_as_dead_and_revived_by_nothing() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store.admit(&fence, &[message("m1", "c")]).await.unwrap();
    let first = db.store.pending_inbound(&fence, 0, 1).await.unwrap().remove(0);
    db.store.bury_inbound(&fence, first.id, "no use").await.unwrap();
    db.store.retry_inbound(&fence, first.id, "late", Duration::ZERO).await.unwrap();
    assert!(db.store.complete(&fence, &[answer(&first)]).await.unwrap().is_empty());
    assert_eq!(db.text("select state || ' ' || last_error from bm_in").await, "DEAD no use");

    db.store.admit(&fence, &[message("m2", "c")]).await.unwrap();
    let second = db.store.pending_inbound(&fence, 0, 1).await.unwrap().remove(0);
    let queued = db.store.complete(&fence, &[answer(&second)]).await.unwrap();
    db.store.bury_outbound(&fence, queued[0].id, "invalid_wid").await.unwrap();
    db.store.mark_sent(&fence, &[queued[0].id], &[]).await.unwrap();
    assert_eq!(db.text("select state || ' ' || last_error from bm_out").await, "DEAD invalid_wid");
    assert_eq!(db.number("select count(*) from message_logs where direction = 'OUT'").await, 0);
}

#[tokio::test]
async fn one_tenant_cannot_touch_the_queue_of_another() {
    let db = Db::new().await;
    let (owner, other) = (db.owned("a").await, db.owned("b").await);
    let queued = queue_replies(&db, &owner, 1).await;
    db.store.admit(&owner, &[message("open", "c")]).await.unwrap();
    let open = db.store.pending_inbound(&owner, 0, 10).await.unwrap().remove(0);
    assert!(db.store.complete(&other, &[answer(&open)]).await.unwrap().is_empty());
    db.store.bury_inbound(&other, open.id, "theirs").await.unwrap();
    db.store.mark_sent(&other, &[queued[0].id], &[]).await.unwrap();
    assert_eq!(db.store.pending_inbound(&owner, 0, 10).await.unwrap(), [open]);
    assert_eq!(db.store.pending_outbound(&owner, 0, 10).await.unwrap(), queued);
}

#[tokio::test]
async fn a_null_character_does_not_stop_the_queue() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let mut odd = message("m\0", "c\0");
    odd.body = "half\0done".into();
    let first = db.store.admit(&fence, &[odd.clone()]).await.unwrap();
    assert_eq!(db.store.admit(&fence, &[odd]).await.unwrap()[0].id, first[0].id);
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    assert_eq!(pending[0].body, "half\u{FFFD}done");
}

#[tokio::test]
async fn what_postgres_refuses_is_set_apart_and_the_others_go_on() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let mut batch: Vec<_> = (0..64).map(|n| message(&format!("m{n}"), "c")).collect();
    batch[20].chat = long_text();
    batch[41].received_at = time::OffsetDateTime::from_unix_timestamp(-300_000_000_000).unwrap();
    let admitted = db.store.admit(&fence, &batch).await.unwrap();
    let expected = (0..64).filter(|n| ![20, 41].contains(n)).map(|n| format!("m{n}"));
    assert_eq!(
        admitted.iter().map(|row| row.whatsapp_id.clone()).collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert!(ids(&admitted).is_sorted());
    let dead =
        "select string_agg(whatsapp_id || ' ' || body, ' ' order by id) from bm_in where state = 'DEAD'
        and last_error like 'Postgres refused (admit the inbound messages): %'
        and whatsapp_digest = sha256(convert_to(whatsapp_id, 'UTF8'))";
    assert_eq!(db.text(dead).await, format!("m20 {} m41 {}", batch[20].body, batch[41].body));

    for again in [&batch[20..21], &batch[41..42]] {
        let known = db.store.admit(&fence, again).await.unwrap();
        assert!(known.iter().all(|row| !row.fresh && !row.waits), "{known:?}");
    }
    assert_eq!(db.number("select count(*) from bm_in").await, 64);
    let stale = roost_store::Fence { generation: roost_model::ids::Generation(0), ..fence };
    let refused = db.store.admit(&stale, &batch[20..21]).await;
    assert!(matches!(refused, Err(roost_store::StoreError::Fenced { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_postgres_refuses_buries_its_question_and_the_others_go_on() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.store
        .admit(&fence, &(0..5).map(|n| message(&format!("m{n}"), "c")).collect::<Vec<_>>())
        .await
        .unwrap();
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let mut completions: Vec<_> = pending.iter().map(answer).collect();
    db.execute("alter table bm_out add check (body <> 'no')").await;
    completions[3].replies[0].body = "no".into();
    let queued = db.store.complete(&fence, &completions).await.unwrap();
    let answered: Vec<_> = queued.iter().map(|reply| reply.inbound_id.unwrap() - pending[0].id).collect();
    assert_eq!(answered, [0, 1, 2, 4]);
    assert_eq!(db.text("select string_agg(whatsapp_id, ' ') from bm_in where state = 'DEAD'").await, "m3");
}

#[tokio::test]
async fn the_log_is_listed_backwards_and_tailed_forwards() {
    let db = Db::new().await;
    let (one, other) = (db.owned("a").await, db.owned("b").await);
    for n in 0..5 {
        db.store
            .admit(&one, &[message(&format!("a{n}"), if n % 2 == 0 { "even" } else { "odd" })])
            .await
            .unwrap();
        db.store.admit(&other, &[message(&format!("b{n}"), "even")]).await.unwrap();
    }
    let mine = MessageFilter { tenant: Some(one.tenant), ..MessageFilter::default() };
    let page = db.store.list_messages(&mine, None, 3).await.unwrap();
    assert_eq!(page.iter().map(|m| m.whatsapp_id.as_str()).collect::<Vec<_>>(), ["a4", "a3", "a2"]);
    let rest = db.store.list_messages(&mine, Some(page[2].id), 3).await.unwrap();
    assert_eq!(rest.iter().map(|m| m.whatsapp_id.as_str()).collect::<Vec<_>>(), ["a1", "a0"]);
    let odd = MessageFilter { chat: Some("odd".into()), ..mine };
    assert_eq!(db.store.list_messages(&odd, None, 10).await.unwrap().len(), 2);

    let all = MessageFilter::default();
    let mut tail = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while tail.len() < 10 {
        assert!(tokio::time::Instant::now() < deadline, "the tail has only {} lines", tail.len());
        let after = tail.last().map_or(0, |message: &roost_store::Message| message.id);
        tail.extend(db.store.messages_after(&all, after, 4).await.unwrap());
    }
    assert!(tail.is_sorted_by_key(|message| message.id));
}

async fn queue_replies(db: &Db, fence: &roost_store::Fence, count: usize) -> Vec<Outbound> {
    let batch: Vec<_> = (0..count).map(|n| message(&format!("m{n}"), "c")).collect();
    db.store.admit(fence, &batch).await.unwrap();
    let pending = db.store.pending_inbound(fence, 0, 100).await.unwrap();
    let completions: Vec<_> = pending.iter().map(answer).collect();
    db.store.complete(fence, &completions).await.unwrap()
}
