//! What a message costs: no update on its way touches an index, and nothing costs more for what is kept.

use std::collections::BTreeMap;

use roost_store::{Completion, DeadLetterFilter, Fence, Store};
use sqlx::Executor;

use crate::store::support::{Db, answer, by, ids, message};

/// Messages of the tenants `duka` and `k0` to `k9` that are finished and kept, with their replies, lines and chats.
macro_rules! kept {
    ($messages:literal) => {
        &[
            concat!(
                "create table kept as select n, case when n % 2 = 0 then 'duka' else 'k' || n % 10 end as tenant,
                    'kept-' || n % 1000 as chat, now() - interval '7 days' + n * interval '1 second' / 2 as at
                from generate_series(1, ", $messages, ") n"
            ),
            "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state,
                received_at, done_at)
            select tenant, sha256(n::text::bytea), '', '', '', '', false, 'DONE', at, at from kept order by n",
            "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, state, created_at, sent_at, claimed_at)
            select tenant, n, '', '', '', 'SENT', at, at, at from kept order by n",
            "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, created_at)
            select tenant, case when n % 4 < 2 then 'IN'::message_direction else 'OUT' end, chat, 'x', 'm', at
            from kept order by n",
            "insert into chats (tenant_id, chat_id) select distinct tenant, chat from kept",
            "drop table kept",
        ]
    };
}

const BATCH: usize = 20;

/// A batch of messages, each in a chat of its own, that begins with a number.
fn batch(first: usize) -> Vec<roost_store::NewInbound> {
    (first..first + BATCH).map(|n| message(&format!("m{n}"), &format!("c{n}"))).collect()
}

/// Admitted, answered, claimed with the answer or in a wave, and sent.
async fn serve(store: &Store, fence: &Fence, first: usize, claimed_at_once: bool) {
    store.admit(fence, &batch(first)).await.unwrap();
    let pending = store.pending_inbound(fence, 0, 100).await.unwrap();
    let mut completions: Vec<_> = pending.iter().map(answer).collect();
    for completion in &mut completions {
        completion.replies[0].claimed = claimed_at_once;
    }
    let replies: Vec<_> =
        store.complete(fence, &completions).await.unwrap().iter().map(|reply| reply.id).collect();
    if !claimed_at_once {
        store.claim(fence, &replies).await.unwrap();
    }
    store.mark_sent(fence, &replies, &[]).await.unwrap();
}

/// Of those that write the same page twice in a moment a few find it full.
#[tokio::test]
async fn the_updates_of_a_message_and_its_reply_touch_no_index() {
    for (claimed_at_once, percent) in [(true, 99), (false, 80)] {
        let db = Db::new().await;
        let fence = db.owned("duka").await;
        // One connection, which tells its statistics when it is asked to.
        let store = Store::connect(&db.url, 1).await.unwrap();
        for first in (0..2_000).step_by(BATCH) {
            serve(&store, &fence, first, claimed_at_once).await;
        }
        tell_statistics(&store).await;
        for table in ["bm_in", "bm_out"] {
            let sql = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = $1";
            let (updates, hot): (i64, i64) =
                sqlx::query_as(sql).bind(table).fetch_one(db.store.pool()).await.unwrap();
            assert!(
                updates >= 2_000 && hot * 100 >= updates * percent,
                "{table}: {hot} of {updates} are HOT"
            );
        }
        assert_eq!(db.number("select count(*) from bm_pending").await, 0);
    }
}

/// What the store's only connection has done so far is in the server's statistics.
async fn tell_statistics(store: &Store) {
    store.pool().execute("select pg_stat_force_next_flush()").await.unwrap();
    store.ping().await.unwrap();
}

/// Pages that a connection reads, by what it does.
struct Meter {
    store: Store,
    pages: BTreeMap<&'static str, i64>,
}

impl Meter {
    async fn new(url: &str) -> Self {
        Self { store: Store::connect(url, 1).await.unwrap(), pages: BTreeMap::new() }
    }

    async fn read(&self) -> i64 {
        tell_statistics(&self.store).await;
        let sql =
            "select sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::bigint
            from pg_statio_user_tables where relname in
                ('bm_in', 'bm_out', 'bm_pending', 'recent_replies', 'chats', 'message_logs')";
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.unwrap()
    }

    async fn measure<T>(&mut self, what: &'static str, step: impl AsyncFnOnce(&Store) -> T) -> T {
        let before = self.read().await;
        let outcome = step(&self.store).await;
        let pages = self.read().await - before;
        self.pages.insert(what, pages);
        outcome
    }
}

/// Every call whose cost might grow with what is kept, and the pages that it reads.
async fn pages_beside(kept: &[&'static str]) -> BTreeMap<&'static str, i64> {
    let db = Db::new().await;
    let fence = db.owned("duka").await;
    db.fill(kept).await;
    let mut meter = Meter::new(&db.url).await;
    for warm_up in 0..8 {
        serve(&meter.store, &fence, warm_up * BATCH, false).await;
    }
    meter.measure("admit", async |store| store.admit(&fence, &batch(1_000)).await.unwrap()).await;
    let pending =
        meter.measure("load in", async |store| store.pending_inbound(&fence, 0, 100).await.unwrap()).await;
    let completions: Vec<Completion> = pending.iter().map(answer).collect();
    meter.measure("complete", async |store| store.complete(&fence, &completions).await.unwrap()).await;
    meter.measure("complete again", async |store| store.complete(&fence, &completions).await.unwrap()).await;
    let unsent =
        meter.measure("load out", async |store| store.pending_outbound(&fence, 0, 100).await.unwrap()).await;
    let replies: Vec<i64> = unsent.iter().map(|reply| reply.id).collect();
    meter.measure("claim", async |store| store.claim(&fence, &replies).await.unwrap()).await;
    meter
        .measure("mark sent", async |store| {
            store.mark_sent(&fence, &replies[..BATCH - 2], &replies[..1]).await.unwrap()
        })
        .await;
    meter
        .measure("bury a reply", async |store| {
            store.bury_outbound(&fence, replies[BATCH - 2], "no").await.unwrap()
        })
        .await;
    meter.measure("end a session", async |store| store.clear_snapshot(&fence).await.unwrap()).await;
    meter.measure("reply window", async |store| store.reply_window(&fence).await.unwrap()).await;
    let admitted = meter.store.admit(&fence, &batch(2_000)).await.unwrap();
    let dead = ids(&admitted)[0];
    meter.measure("bury", async |store| store.bury_inbound(&fence, dead, "no").await.unwrap()).await;
    let letters = meter
        .measure("dead letters", async |store| {
            store.list_dead_letters(&DeadLetterFilter::default(), None, 10).await.unwrap()
        })
        .await;
    assert_eq!(letters.len(), 3);
    let letters: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    let nobody = by("", "");
    meter.measure("redrive", async |store| store.redrive(&letters, &nobody).await.unwrap()).await;
    let erased = meter
        .measure("erase", async |store| store.erase_chat(&fence.tenant, "c2001", &nobody).await.unwrap())
        .await;
    assert_eq!(erased, 2);
    meter.measure("purge", async |store| store.purge().await.unwrap()).await;
    meter.store.delete_tenant(&fence.tenant).await.unwrap();
    meter.measure("delete a batch", async |store| store.delete_next_batch().await.unwrap()).await;
    meter.pages
}

/// A tree of twenty times as many is a level higher: of the pages that a row of a batch reads, a few more.
#[tokio::test]
async fn no_statement_reads_more_pages_beside_400_000_kept_messages_than_beside_20_000() {
    let few = pages_beside(kept!("20000")).await;
    let many = pages_beside(kept!("400000")).await;
    println!("{few:#?}\n{many:#?}");
    for (what, few) in &few {
        let many = many[what];
        assert!(
            many <= few + few / 3 + 5,
            "{what}: {many} pages, and {few} beside a twentieth of what is kept"
        );
    }
}
