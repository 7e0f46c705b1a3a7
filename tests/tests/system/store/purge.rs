//! What is old goes and what is needed stays.

use roost_store::{Fence, Purged, SessionStatus, StatusReport};

use crate::store::support::{Db, answer, by, message, node};

impl Db {
    /// A message answered and its reply sent, both `age` old.
    async fn answered(&self, fence: &Fence, whatsapp_id: &str, age: &str) {
        self.store.admit(fence, &[message(whatsapp_id, "c")]).await.unwrap();
        let inbound = self.store.pending_inbound(fence, 0, 10).await.unwrap().remove(0);
        let replies = self.store.complete(fence, &[answer(&inbound)]).await.unwrap();
        self.store.mark_sent(fence, &[replies[0].id]).await.unwrap();
        for sql in [
            "update bm_in set received_at = now() - $2::interval, done_at = now() - $2::interval where whatsapp_id = $1",
            "update bm_out set created_at = now() - $2::interval, sent_at = now() - $2::interval
                where whatsapp_id = 'reply-' || $1",
        ] {
            sqlx::query(sql).bind(whatsapp_id).bind(age).execute(self.store.pool()).await.unwrap();
        }
    }

    async fn left(&self) -> String {
        self.text("select coalesce(string_agg(whatsapp_id, ' ' order by id), '') from bm_in").await
    }

    async fn report_session(&self, fence: &Fence, status: SessionStatus) {
        let report = StatusReport { session_status: Some(status), ..StatusReport::default() };
        self.store.report(fence, &report).await.unwrap();
    }
}

#[tokio::test]
async fn answered_messages_go_after_a_week() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.report_session(&fence, SessionStatus::Connected).await;
    for (id, age) in [("older", "30 days"), ("old", "8 days"), ("young", "6 days")] {
        db.answered(&fence, id, age).await;
    }
    db.store
        .admit(&fence, &[message("waits", "c"), message("dead", "d"), message("long-dead", "d")])
        .await
        .unwrap();
    db.execute(
        "update bm_in set state = 'DEAD', done_at = now() - interval '60 days' where whatsapp_id = 'dead'",
    )
    .await;
    db.execute("update bm_in set state = 'DEAD', done_at = now() - interval '91 days' where whatsapp_id = 'long-dead'")
        .await;
    db.execute("update bm_in set received_at = now() - interval '99 days' where whatsapp_id in ('waits', 'long-dead')")
        .await;
    let purged = db.store.purge().await.unwrap();
    assert_eq!((purged.inbound, purged.outbound), (3, 2));
    assert_eq!(db.left().await, "young waits dead");
    assert_eq!(db.text("select string_agg(whatsapp_id, ' ') from bm_out").await, "reply-young");
    assert_eq!(db.store.purge().await.unwrap(), Purged::default(), "once is enough");
    let again = db.store.admit(&fence, &[message("young", "c")]).await.unwrap();
    assert!(!again[0].fresh, "a second delivery is known as such");
}

#[tokio::test]
async fn what_whatsapp_may_deliver_again_is_known_until_the_session_was_open_again() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.report_session(&fence, SessionStatus::Connected).await;
    db.answered(&fence, "m", "8 days").await;
    db.answered(&fence, "ancient", "32 days").await;
    // The last thing that happened before the tenant was stopped.
    db.report_session(&fence, SessionStatus::Disconnected).await;
    db.execute("update whatsapp_sessions set connected_at = now() - interval '40 days'").await;
    db.store.purge().await.unwrap();
    assert_eq!(db.left().await, "m");
    // It was open for a moment, and is closed again.
    db.report_session(&fence, SessionStatus::Connected).await;
    db.report_session(&fence, SessionStatus::Disconnected).await;
    db.store.purge().await.unwrap();
    assert_eq!(db.left().await, "");
}

#[tokio::test]
async fn more_than_one_batch_goes_and_what_stays_is_no_obstacle() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.report_session(&fence, SessionStatus::Connected).await;
    db.execute(
        "insert into bm_in (tenant_id, whatsapp_id, chat_id, sender, body, first_in_chat, state, received_at, done_at)
        select 'duka', 'm' || n, 'c', 'c', 'x', false,
            case when n <= 6000 then 'PENDING'::inbound_state else 'DONE' end,
            now() - interval '9 days', case when n > 6000 then now() - interval '9 days' end
        from generate_series(1, 18000) n",
    )
    .await;
    db.execute(
        "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, created_at)
        select 'duka', 'IN', 'c', 'x', 'm', now() - n * interval '10 minutes' from generate_series(18000, 1, -1) n",
    )
    .await;
    let young = "select count(*) from message_logs where created_at > now() - interval '90 days'";
    let (before, young_before) =
        (db.number("select count(*) from message_logs").await, db.number(young).await);
    let purged = db.store.purge().await.unwrap();
    assert_eq!(purged.inbound, 12_000);
    assert_eq!(db.number("select count(*) from bm_in").await, 6_000);
    assert_eq!(purged.message_logs, u64::try_from(before - young_before).unwrap());
    assert!(purged.message_logs > 5_000, "{purged:?}");
    assert_eq!(db.number("select count(*) from message_logs").await, young_before);
}

#[tokio::test]
async fn several_may_purge_at_once() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.report_session(&fence, SessionStatus::Connected).await;
    db.execute(
        "insert into bm_in (tenant_id, whatsapp_id, chat_id, sender, body, first_in_chat, state, received_at, done_at)
        select 'duka', 'm' || n, 'c', 'c', 'x', false, 'DONE', now() - interval '9 days', now() - interval '9 days'
        from generate_series(1, 20000) n",
    )
    .await;
    let purges = (0..4).map(|_| {
        let store = db.store.clone();
        tokio::spawn(async move { store.purge().await.unwrap().inbound })
    });
    let mut gone = 0;
    for purge in purges.collect::<Vec<_>>() {
        gone += purge.await.unwrap();
    }
    gone += db.store.purge().await.unwrap().inbound;
    assert_eq!((gone, db.number("select count(*) from bm_in").await), (20_000, 0), "each once");
}

#[tokio::test]
async fn what_orders_nothing_any_more_goes_too() {
    let db = Db::new().await;
    db.owned("duka").await;
    let nobody = by("", "");
    db.store.cordon(&node("a"), &nobody).await.unwrap();
    db.store.cordon(&node("b"), &nobody).await.unwrap();
    db.store.uncordon(&node("b"), &nobody).await.unwrap();
    let ended = db.store.start_drain(&crate::store::operations::drain("c"), &nobody).await.unwrap().id;
    db.store.cancel_operation(ended, &nobody).await.unwrap();
    db.store.start_drain(&crate::store::operations::drain("d"), &nobody).await.unwrap();
    db.execute("update operations set started_at = now() - interval '91 days'").await;
    db.execute("update operations set ended_at = now() - interval '91 days' where ended_at is not null")
        .await;
    db.execute(
        "insert into reply_windows (tenant_id, started_at) values ('duka', now() - interval '8 days'), ('duka', now())",
    )
    .await;
    let purged = db.store.purge().await.unwrap();
    let expected = Purged { reply_windows: 1, operations: 1, node_orders: 2, ..Purged::default() };
    assert_eq!(purged, expected);
    assert_eq!(db.cordoned().await, ["a", "d"]);
    assert_eq!(db.number("select count(*) from operations").await, 1, "what runs stays");
}
