//! What is old goes and what is needed stays.

use roost_store::{Completion, DeadLetterId, Direction, Fence, MessageFilter, PolicyPatch, Purged, Store};

use sqlx::{Connection, Executor};

use crate::store::support::{Db, answer, by, message, node};

impl Db {
    /// A message answered and its reply sent, both `age` old.
    async fn answered(&self, fence: &Fence, whatsapp_id: &str, age: &str) {
        let id = self.store.admit(fence, &[message(whatsapp_id, "c")]).await.unwrap()[0].id;
        let inbound = self.store.pending_inbound(fence, 0, 10).await.unwrap().remove(0);
        let replies = self.store.complete(fence, &[answer(&inbound)]).await.unwrap();
        self.store.mark_sent(fence, &[replies[0].id], &[]).await.unwrap();
        for sql in [
            "update bm_in set received_at = now() - $2::interval, done_at = now() - $2::interval where id = $1",
            "update bm_out set created_at = now() - $2::interval, sent_at = now() - $2::interval where inbound_id = $1",
        ] {
            sqlx::query(sql).bind(id).bind(age).execute(self.store.pool()).await.unwrap();
        }
    }

    async fn left(&self) -> String {
        // What is answered is known by its digest alone.
        self.text(
            "select coalesce(string_agg(name, ' ' order by id), '') from bm_in
            join unnest(array['m', 'ancient', 'older', 'old', 'young', 'waits', 'dead', 'long-dead']) name
                on whatsapp_digest = sha256(name::bytea)",
        )
        .await
    }
}

#[tokio::test]
async fn answered_messages_go_when_their_messages_are_too_old_to_be_answered() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for (id, age) in [("older", "30 days"), ("old", "9 days"), ("young", "7 days")] {
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
    let replies = "select count(*) from bm_out join bm_in on bm_in.id = bm_out.inbound_id";
    assert_eq!((db.number("select count(*) from bm_out").await, db.number(replies).await), (1, 1));
    assert_eq!(db.store.purge().await.unwrap(), Purged::default(), "once is enough");
    let again = db.store.admit(&fence, &[message("young", "c")]).await.unwrap();
    assert!(!again[0].fresh, "a second delivery is known as such");
}

#[tokio::test]
async fn more_than_one_batch_goes_and_what_stays_is_no_obstacle() {
    let db = Db::new().await;
    db.owned("duka").await;
    db.execute(
        "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state, received_at, done_at)
        select 'duka', sha256(n::text::bytea), 'm' || n, 'c', 'c', 'x', false,
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
    db.owned("duka").await;
    db.execute(
        "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state, received_at, done_at)
        select 'duka', sha256(n::text::bytea), 'm' || n, 'c', 'c', 'x', false, 'DONE', now() - interval '9 days', now() - interval '9 days'
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
        "insert into reply_windows (tenant_id, started_at) values ('duka', now() - interval '9 days'), ('duka', now())",
    )
    .await;
    let purged = db.store.purge().await.unwrap();
    let expected = Purged { reply_windows: 1, operations: 1, node_orders: 2, ..Purged::default() };
    assert_eq!(purged, expected);
    assert_eq!(db.cordoned().await, ["a", "d"]);
    assert_eq!(db.number("select count(*) from operations").await, 1, "what runs stays");
}

#[tokio::test]
async fn the_policy_says_how_long_texts_and_numbers_are_kept() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for id in ["waits", "dead", "old", "young"] {
        db.store.admit(&fence, &[message(id, id)]).await.unwrap();
    }
    db.execute("update bm_in set state = 'DEAD', done_at = now() - interval '9 days' where chat_id = 'dead'")
        .await;
    db.execute("update bm_in set state = 'DEAD', done_at = now() - interval '3 days' where chat_id = 'old'")
        .await;
    db.execute("update bm_in set received_at = now() - interval '3 days' where chat_id <> 'young'").await;
    db.execute("update message_logs set created_at = now() - interval '3 days' where chat_id <> 'young'")
        .await;
    assert_eq!(db.store.purge().await.unwrap(), Purged::default(), "90 days, unless it is set");

    let two_days = PolicyPatch { message_retention_days: Some(2), ..PolicyPatch::default() };
    db.store.update_policy(two_days, &by("asha", "")).await.unwrap();
    let purged = db.store.purge().await.unwrap();
    assert_eq!(purged, Purged { inbound: 1, message_logs: 3, ..Purged::default() });
    assert_eq!(
        db.left().await,
        "waits old young",
        "what waits for its answer, and whose id is needed, stays"
    );
    assert_eq!(db.text("select string_agg(chat_id, ' ') from message_logs").await, "young");
}

#[tokio::test]
async fn what_is_finished_holds_no_text_and_no_number() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.answered(&fence, "false_255711000001@c.us_3EB0", "1 hour").await;
    let queues = "select concat((select jsonb_agg(to_jsonb(i) - 'whatsapp_digest') from bm_in i),
        (select jsonb_agg(to_jsonb(o)) from bm_out o))";
    let kept = db.text(queues).await;
    for word in ["255711000001", "body of", "echo", "3EB0"] {
        assert!(!kept.contains(word), "{word} in {kept}");
    }
    let log = db.store.list_messages(&MessageFilter::default(), None, 10).await.unwrap();
    assert_eq!(log.len(), 2, "the log has both");
    assert!(log.iter().all(|line| line.chat == "c" && line.whatsapp_id.contains("255711000001")), "{log:?}");
    let again = db.store.admit(&fence, &[message("false_255711000001@c.us_3EB0", "c")]).await.unwrap();
    assert!(!again[0].fresh, "a second delivery is known as such");
}

/// Rows that stay for long must not be read at each round, and must not keep it from those that are to go.
#[tokio::test]
async fn a_purge_looks_at_nothing_that_stays() {
    let db = Db::new().await;
    db.owned("duka").await;
    db.fill(&[
        "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state,
            received_at, done_at)
        select 'duka', sha256(n::text::bytea), '', '', '', '', false, 'DONE', now() - interval '7 days',
            now() - interval '7 days' from generate_series(1, 400000) n",
        "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
        select 'duka', 'IN', 'c', 'x', 'm' from generate_series(1, 400000) n",
        "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, state, created_at)
        select 'duka', n, n::text, 'c', 'x', 'DEAD', now() - interval '9 days' from generate_series(1, 30000) n",
        "insert into reply_windows select 'duka', now() - n * interval '1 second' from generate_series(1, 30000) n",
    ])
    .await;
    let read = async |purge: &str| {
        let before = db.pages().await;
        // Statistics are told when a connection is idle: one that is closed has told all.
        let store = Store::connect(&db.url, 1).await.unwrap();
        let purged = store.purge().await.unwrap();
        store.pool().close().await;
        assert_eq!(purged.inbound, u64::from(purge == "the third"), "{purge}");
        db.pages().await - before
    };
    read("the first, which passes the dead letters").await;
    let none = read("the second").await;
    assert!(none < 500, "{none} pages for nothing");
    db.execute(
        "update bm_in set received_at = now() - interval '32 days', done_at = now() - interval '32 days'
        where id = (select min(id) from bm_in)",
    )
    .await;
    let one = read("the third").await;
    assert!(one < 500, "{one} pages for one row");
}

impl Db {
    /// That were read so far of what a purge reads.
    async fn pages(&self) -> i64 {
        self.execute("select pg_stat_force_next_flush()").await;
        self.number(
            "select sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint from pg_statio_user_tables
            where relname in ('bm_in', 'bm_out', 'message_logs', 'reply_windows')",
        )
        .await
    }
}

/// One who has more than a purge removes waits for the next one, and lets the others have their turn.
#[tokio::test]
async fn a_purge_goes_on_where_the_last_one_has_stopped() {
    let db = Db::new().await;
    for id in ["a", "m", "z"] {
        db.owned(id).await;
    }
    db.execute(
        "insert into recent_replies
        select case when n <= 12000 then 'a' when n <= 12010 then 'm' else 'z' end, now() - interval '1 hour', now()
        from generate_series(1, 12020) n",
    )
    .await;
    db.execute("insert into recent_replies values ('m', now(), now())").await;
    let mut gone = vec![];
    for _ in 0..4 {
        gone.push(db.store.purge_within(1).await.unwrap().recent_replies);
    }
    assert_eq!(gone, [5_000, 20, 5_000, 0], "after the one with many come the others");
    assert_eq!(db.store.purge_within(1).await.unwrap().recent_replies, 2_000);
    assert_eq!(db.store.purge().await.unwrap(), Purged::default());
    assert_eq!(db.number("select count(*) from recent_replies").await, 1, "what the limit needs stays");
}

/// What waits, and what was given up, is passed by the walk along the queue; when it has ended it goes all the same.
#[tokio::test]
async fn what_the_walk_has_passed_goes_when_it_has_ended() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let ids = ["answered", "waits", "dead", "erased", "young"];
    for id in ids {
        db.store.admit(&fence, &[message(id, id)]).await.unwrap();
    }
    let pending = db.store.pending_inbound(&fence, 0, 10).await.unwrap();
    let replies = db.store.complete(&fence, &[answer(&pending[0])]).await.unwrap();
    for message in &pending[2..4] {
        db.store.bury_inbound(&fence, message.id, "no use").await.unwrap();
    }
    let age = "update bm_in set received_at = now() - interval '9 days',
        done_at = case when whatsapp_id = '' then now() - interval '9 days' else done_at end where chat_id <> 'young'";
    db.execute(age).await;
    db.execute("update bm_out set created_at = now() - interval '9 days'").await;
    let purge = async || {
        let purged = db.store.purge().await.unwrap();
        (purged.inbound, purged.outbound)
    };
    assert_eq!(purge().await, (1, 0));

    db.store.mark_sent(&fence, &[replies[0].id], &[]).await.unwrap();
    db.store.complete(&fence, &[Completion { replies: vec![], ..answer(&pending[1]) }]).await.unwrap();
    let dead = DeadLetterId { direction: Direction::In, id: pending[2].id };
    assert_eq!(db.store.redrive(&[dead], &by("", "")).await.unwrap(), [dead]);
    db.store.complete(&fence, &[Completion { replies: vec![], ..answer(&pending[2]) }]).await.unwrap();
    db.store.erase_chat(&fence.tenant, "erased", &by("", "")).await.unwrap();
    assert_eq!(purge().await, (0, 1), "a message's id is kept after its end");
    db.execute("update bm_in set done_at = now() - interval '9 days' where state = 'DONE'").await;
    assert_eq!(purge().await, (3, 0));
    assert_eq!(db.number("select count(*) from bm_in").await, 1, "the young one");
}

/// A row that an idle psql holds is nobody's to wait for, and is met again.
#[tokio::test]
async fn a_purge_walks_no_further_than_to_what_is_held() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    for id in ["first", "held", "last"] {
        db.answered(&fence, id, "9 days").await;
    }
    let mut other = sqlx::PgConnection::connect(&db.url).await.unwrap();
    other
        .execute("begin; select from bm_in where whatsapp_digest = sha256('held') for update")
        .await
        .unwrap();
    assert_eq!(db.store.purge().await.unwrap().inbound, 2, "the others");
    other.execute("commit").await.unwrap();
    assert_eq!(db.store.purge().await.unwrap().inbound, 1, "and then it");
}

#[tokio::test]
async fn a_chat_is_forgotten_with_its_last_line_and_greeted_anew() {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    let first = async |id: &str, chat: &str| {
        db.store.admit(&fence, &[message(id, chat)]).await.unwrap()[0].first_in_chat
    };
    assert!(first("m1", "silent").await && first("m2", "faithful").await);
    db.execute("update message_logs set created_at = now() - interval '91 days'").await;
    assert!(!first("m3", "faithful").await);
    assert_eq!(db.store.purge().await.unwrap().message_logs, 2);
    assert_eq!(db.text("select string_agg(chat_id, ' ') from chats").await, "faithful");
    assert!(!first("m4", "faithful").await);
    assert!(first("m5", "silent").await, "it is greeted as a new one");
}

/// What was removed is in the index until it is vacuumed, which an open transaction anywhere puts off.
#[tokio::test]
async fn a_purge_of_the_log_passes_over_what_it_has_removed_once() {
    let db = Db::new().await;
    db.owned("duka").await;
    db.fill(&["insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, created_at)
        select 'duka', 'IN', 'c', 'x', 'm', now() - interval '100 days' from generate_series(1, 50000) n"])
        .await;
    let mut old = sqlx::PgConnection::connect(&db.url).await.unwrap();
    old.execute("begin isolation level repeatable read; select from tenants").await.unwrap();
    let store = Store::connect(&db.url, 1).await.unwrap();
    assert_eq!(store.purge().await.unwrap().message_logs, 50_000);
    store.pool().close().await;
    let entries = db
        .number("select idx_tup_read from pg_stat_user_indexes where indexrelname = 'message_logs_pkey'")
        .await;
    assert!(entries < 200_000, "{entries} entries of the index for 50,000 lines");
}
