//! The hot path of a message beside many that are kept: it comes, is answered, and its reply is claimed and sent; and what a
//! node loads when it takes over a tenant. Two databases of one server take turns, one of them with nothing in it.

use std::time::{Duration, Instant};

use anyhow::Result;
use roost_cluster::ledger::Ledger;
use roost_devcluster::Postgres;
use roost_model::{
    TemplateKind,
    ids::{NodeId, Revision, TenantId},
};
use roost_store::{Completion, Fence, NewInbound, NewOutbound, NewTenant, PostgresLedger, Store};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use time::OffsetDateTime;

use crate::report::Report;

const TENANTS: usize = 20;
const ROUNDS: usize = 20;
const BATCHES: usize = 50;
const BATCH: usize = 10;
/// How often a node loads what waits in a round.
const LOADS: usize = 100;
const BOUND: f64 = 1.1;

pub async fn measure(kept: u64, report: &mut Report) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("roost-bench-")?;
    let mut postgres = Postgres::start(dir.path()).await?;
    let empty = Side::new(postgres.url(), "empty").await?;
    let full = Side::new(postgres.url(), "kept").await?;
    fill(&full.url, kept).await?;
    let (mut alone, mut beside) = (Figures::default(), Figures::default());
    // The first round makes the plans and is not counted.
    for round in 0..=ROUNDS {
        // Each has the first turn as often as the other.
        let mut turns = [(&empty, &mut alone), (&full, &mut beside)];
        if round % 2 == 1 {
            turns.reverse();
        }
        for (side, figures) in turns {
            let (message, load) = side.round(round).await?;
            if round > 0 {
                figures.messages.push(message.as_secs_f64() * 1e3);
                figures.loads.push(load.as_secs_f64() * 1e3);
            }
        }
    }
    postgres.stop().await?;
    let millions = kept as f64 / 1e6;
    let what = "a message from its coming to its reply sent, in the database";
    compare(
        report,
        format!("{what}, beside {millions} million kept rows"),
        &alone.messages,
        &beside.messages,
    );
    let what = "what a node loads of a tenant that it takes over";
    compare(report, format!("{what}, beside {millions} million kept rows"), &alone.loads, &beside.loads);
    Ok(())
}

#[derive(Default)]
struct Figures {
    messages: Vec<f64>,
    loads: Vec<f64>,
}

fn compare(report: &mut Report, what: String, alone: &[f64], beside: &[f64]) {
    let (alone, beside) = (median(alone), median(beside));
    let ratio = beside / alone;
    report.row(
        what,
        format!("{beside:.3} ms"),
        format!("{alone:.3} ms beside none"),
        format!("at most {BOUND} times; ratio {ratio:.2}"),
        ratio <= BOUND,
    );
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A database with tenants, and their owner.
struct Side {
    url: String,
    store: Store,
    fences: Vec<Fence>,
}

impl Side {
    async fn new(server: &str, name: &str) -> Result<Self> {
        let mut admin = PgConnection::connect(server).await?;
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        let url = format!("{}/{name}", server.rsplit_once('/').map_or(server, |(server, _)| server));
        let store = Store::connect(&url, 2).await?;
        store.migrate().await?;
        let ledger = PostgresLedger::new(store.clone());
        let term = ledger.begin_term("etcd", Revision(1), "bench").await?;
        let mut fences = Vec::new();
        for number in 0..TENANTS {
            let id = TenantId::new(&format!("t{number}"))?;
            store.create_tenant(new_tenant(id.clone(), number)).await?;
            let placed = ledger.place(term, &[(id, NodeId::new("a")?)]).await?;
            fences.extend(placed.into_iter().map(|(tenant, generation)| Fence { tenant, generation }));
        }
        Ok(Self { url, store, fences })
    }

    /// How long a message takes, and how long a load.
    async fn round(&self, round: usize) -> Result<(Duration, Duration)> {
        let began = Instant::now();
        for batch in 0..BATCHES {
            self.serve(&self.fences[batch % TENANTS], &format!("{round}-{batch}")).await?;
        }
        let message = began.elapsed() / u32::try_from(BATCHES * BATCH)?;
        // Some wait when another node takes over.
        let fence = &self.fences[round % TENANTS];
        let waits = messages(&format!("waits-{round}"));
        self.store.admit(fence, &waits).await?;
        let began = Instant::now();
        for _ in 0..LOADS {
            self.store.reply_window(fence).await?;
            anyhow::ensure!(self.store.pending_inbound(fence, 0, 256).await?.len() == BATCH);
            self.store.pending_outbound(fence, 0, 256).await?;
        }
        let load = began.elapsed() / u32::try_from(LOADS)?;
        for message in self.store.pending_inbound(fence, 0, 256).await? {
            let silence = Completion { inbound_id: message.id, replies: vec![], suppressed: None };
            self.store.complete(fence, &[silence]).await?;
        }
        Ok((message, load))
    }

    async fn serve(&self, fence: &Fence, name: &str) -> Result<()> {
        let admitted = self.store.admit(fence, &messages(name)).await?;
        let answers: Vec<_> =
            admitted.iter().map(|message| answer(message.id, &message.whatsapp_id)).collect();
        let replies: Vec<_> =
            self.store.complete(fence, &answers).await?.iter().map(|reply| reply.id).collect();
        self.store.mark_sent(fence, &replies, &[]).await?;
        Ok(())
    }
}

fn messages(name: &str) -> Vec<NewInbound> {
    let message = |n| NewInbound {
        whatsapp_id: format!("false_255711000001@c.us_{name}-{n}"),
        chat: format!("25571100000{n}@c.us"),
        sender: format!("25571100000{n}@c.us"),
        body: "Hello, do you have a room for two on Friday?".to_owned(),
        received_at: OffsetDateTime::now_utc(),
        undecoded: None,
    };
    (0..BATCH).map(message).collect()
}

fn answer(inbound_id: i64, whatsapp_id: &str) -> Completion {
    let reply = NewOutbound {
        seq: 0,
        whatsapp_id: format!("true_{whatsapp_id}"),
        chat: "255711000001@c.us".to_owned(),
        body: "Hello, and welcome to Safari Lodge Arusha! How can we help you today?".to_owned(),
        counted: true,
        claimed: true,
    };
    Completion { inbound_id, replies: vec![reply], suppressed: None }
}

fn new_tenant(id: TenantId, number: usize) -> NewTenant {
    NewTenant {
        display_name: "Safari Lodge Arusha".to_owned(),
        template: TemplateKind::Booking,
        ..roost_tests::new_tenant(id, format!("+25570000{number:04}"))
    }
}

/// So many finished rows of the queues, half of them messages and half replies, of a thousand tenants and of those that are
/// measured, and their lines in the log.
async fn fill(url: &str, kept: u64) -> Result<()> {
    let messages = kept / 2;
    let began = Instant::now();
    let mut connection = PgConnection::connect(url).await?;
    // No foreign keys and no triggers: the rows are right.
    connection.execute("set session_replication_role = replica; set synchronous_commit = off").await?;
    let rows = format!(
        "generate_series(1::bigint, {messages}) n, lateral (select 't' || n * 1020 / ({messages} + 1) as tenant,
            now() - interval '7 days' + n * interval '6 days' / {messages} as at) kept"
    );
    for sql in [
        format!(
            "insert into bm_in (tenant_id, whatsapp_digest, whatsapp_id, chat_id, sender, body, first_in_chat, state,
                received_at, done_at)
            select tenant, sha256(n::text::bytea), '', '', '', '', false, 'DONE', at, at from {rows}"
        ),
        format!(
            "insert into bm_out (tenant_id, inbound_id, whatsapp_id, chat_id, body, state, created_at, sent_at, claimed_at)
            select tenant, n, '', '', '', 'SENT', at, at, at from {rows}"
        ),
        format!(
            "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id, created_at)
            select tenant, direction, (n % 1000) || '@c.us', 'Hello', n::text, at
            from {rows}, unnest(array['IN', 'OUT']::message_direction[]) direction"
        ),
        "insert into chats (tenant_id, chat_id) select distinct tenant_id, chat_id from message_logs".to_owned(),
        "vacuum analyze".to_owned(),
        "checkpoint".to_owned(),
    ] {
        connection.execute(AssertSqlSafe(sql)).await?;
        eprintln!("filling: {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}
