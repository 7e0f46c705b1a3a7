//! A graceful move, seen from the nodes: the test is the controller, and writes the records that one would write, so that
//! it can stop at every step and look. Real etcd, Postgres, nodes and browsers; the simulator judges.

#![allow(clippy::print_stdout, reason = "the gap of a move is a figure, and is printed")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use roost_cli::dev::{
    Etcd, Launch, Postgres, Process, Signal, Simulator, TenantRecord, bridge, browser, product, wait_until,
};
use roost_cluster::{
    ids::{Generation, Incarnation, NodeId, Revision, SpecRevision, TenantId, Term},
    keys,
    ledger::Ledger,
    records::{AckRecord, AssignmentEntry, AssignmentRecord, LeaderRecord, NodeRecord, Phase},
    registry::{Commit, EtcdRegistry, Op, Registry},
    timing::Timing,
};
use roost_store::{
    Fence, LanguageCode, NewTenant, PostgresLedger, SessionStatus, Store, TemplateKind, Texts,
};
use roost_tests::{Conversation, SOON};
use tempfile::TempDir;

const CLUSTER: &str = "moves";
const PHONE: &str = "+255700000021";

/// Two nodes, one tenant, and a controller's pen.
struct Stage {
    nodes: Vec<Process>,
    simulator: roost_simulator::Simulator,
    phones: Simulator,
    registry: EtcdRegistry,
    store: Store,
    ledger: PostgresLedger,
    /// The test's own lease, under which it leads.
    leading: Incarnation,
    term: Term,
    tenant: TenantId,
    _etcd: Etcd,
    _postgres: Postgres,
    dir: TempDir,
}

impl Stage {
    async fn set() -> Result<Self> {
        let dir = TempDir::with_prefix("roost-moves-")?;
        let any = "127.0.0.1:0".parse()?;
        let timing = roost_simulator::Timing::default();
        let simulator =
            roost_simulator::Simulator::start(&roost_simulator::Config { http: any, tls: any, timing })?;
        let (etcd, postgres) = tokio::try_join!(Etcd::start(dir.path()), Postgres::start(dir.path()))?;
        let store = Store::connect(postgres.url(), 4).await?;
        store.migrate().await?;
        let timing = Timing::default();
        let endpoints = [etcd.endpoint().to_owned()];
        let registry = EtcdRegistry::connect(&endpoints, CLUSTER, timing.request_timeout).await?;
        // The nodes see that somebody leads, and do not stand.
        let lease = registry.grant(Duration::from_secs(3600)).await?;
        let leader = LeaderRecord { holder: "test".into(), address: String::new() };
        let put = Op::Put { key: keys::LEADER.into(), value: keys::encode(&leader), lease: Some(lease) };
        registry.commit(&[], &[put]).await?;
        let leading = lease;
        let ledger = PostgresLedger::new(store.clone());
        let term = ledger.begin_term("etcd", Revision(1), "test").await?;
        let tenant = TenantId::new("mover")?;
        store
            .create_tenant(NewTenant {
                id: tenant.clone(),
                display_name: "Mover".into(),
                phone: PHONE.into(),
                template: TemplateKind::Support,
                language: LanguageCode::En,
                texts: Texts { fallback: "echo: {message}".into(), ..Texts::default() },
                reply_limit_per_minute: 0,
            })
            .await?;
        store.start_worker(&tenant).await?;
        let phones = Simulator::new(&simulator.http_url())?;
        let (key, text) = (dir.path().join("key"), "6b".repeat(32));
        std::fs::write(&key, text)?;
        let start = |id: &str| start_node(dir.path(), id, &etcd, &postgres, phones.url());
        let nodes = vec![start("a")?, start("b")?];
        Ok(Self {
            nodes,
            simulator,
            phones,
            registry,
            store,
            ledger,
            leading,
            term,
            tenant,
            _etcd: etcd,
            _postgres: postgres,
            dir,
        })
    }

    fn record(&self) -> TenantRecord {
        TenantRecord { id: self.tenant.to_string(), name: "Mover".into(), phone: PHONE.into() }
    }

    async fn incarnation(&self, node: &str) -> Result<Option<Incarnation>> {
        let entry = self.registry.get(&keys::node(&NodeId::new(node)?)).await?;
        Ok(entry
            .map(|entry| keys::decode::<NodeRecord>(&entry))
            .transpose()?
            .map(|record| record.incarnation))
    }

    /// Writes what the node is to have of the tenant; None for nothing.
    async fn assign(&self, node: &str, entry: Option<(Phase, Generation)>) -> Result<Revision> {
        let incarnation = self.incarnation(node).await?.context("the node is registered")?;
        let entry = entry.map(|(phase, generation)| AssignmentEntry {
            tenant: self.tenant.clone(),
            generation,
            phase,
            spec_revision: SpecRevision(1),
        });
        let record = AssignmentRecord { incarnation, entries: entry.into_iter().collect() };
        let key = keys::assignments(&NodeId::new(node)?);
        let put = Op::Put { key, value: keys::encode(&record), lease: None };
        match self.registry.commit(&[], &[put]).await? {
            Commit::Done { revision } => Ok(revision),
            Commit::Refused => bail!("there was no guard to refuse it"),
        }
    }

    async fn ack(&self, node: &str) -> Result<AckRecord> {
        let entry = self.registry.get(&keys::ack(&NodeId::new(node)?)).await?;
        Ok(keys::decode(&entry.context("the node acknowledges")?)?)
    }

    async fn acknowledged(&self, node: &str, what: &str, holds: impl Fn(&AckRecord) -> bool) -> Result<()> {
        until(what, async || self.ack(node).await.is_ok_and(|ack| holds(&ack))).await
    }

    async fn place(&self, node: &str) -> Result<Generation> {
        let placed = self.ledger.place(self.term, &[(self.tenant.clone(), NodeId::new(node)?)]).await?;
        let (_, generation) = placed.into_iter().next().context("the tenant is placed")?;
        self.assign(node, Some((Phase::Active, generation))).await?;
        Ok(generation)
    }

    async fn scan(&self) -> Result<()> {
        let session = async || self.store.get_session(&self.tenant).await;
        until("a code is shown", async || session().await.is_ok_and(|session| session.qr.is_some())).await?;
        let code = session().await?.qr.context("a code")?.text;
        self.phones.scan(&code, PHONE, "Mover").await?;
        self.connected().await
    }

    async fn connected(&self) -> Result<()> {
        until("it is connected", async || {
            self.store.get_session(&self.tenant).await.is_ok_and(|it| it.status == SessionStatus::Connected)
        })
        .await
    }

    /// The opened connections so far.
    async fn connections(&self) -> Result<usize> {
        Ok(self.phones.connections().await?.connections.len())
    }

    /// Browsers whose profile is this node's.
    fn browsers(&self, node: &str) -> usize {
        let flag = format!("--user-data-dir={}", self.dir.path().join("nodes").join(node).display());
        let at = if node == "a" { 0 } else { 1 };
        let below = roost_cli::dev::descendants(self.nodes[at].pid());
        below
            .iter()
            .filter(|process| process.command.contains(&flag) && !process.command.contains("--type="))
            .count()
    }

    /// The node that leads, if one does.
    async fn leading_node(&self) -> Result<Option<String>> {
        let Some(entry) = self.registry.get(keys::LEADER).await? else { return Ok(None) };
        let holder = keys::decode::<LeaderRecord>(&entry)?.holder;
        Ok(holder.strip_prefix("node/").map(str::to_owned))
    }

    /// The process that does a node's work.
    fn working_process(&self, node: usize) -> Result<roost_cli::dev::Identity> {
        let guard = self.nodes[node].pid();
        let below = roost_cli::dev::descendants(guard);
        let child = below.into_iter().find(|process| process.parent == guard);
        Ok(child.context("the guard has a child")?.identity)
    }

    /// From its present owner to the other node, step by step; what the phone saw of it.
    async fn graceful(&self, from: &str, to: &str, generation: Generation) -> Result<(Generation, Gap)> {
        self.assign(to, Some((Phase::Preparing, generation))).await?;
        self.acknowledged(to, "it is prepared", |ack| !ack.prepared.is_empty()).await?;
        let released_at = Instant::now();
        self.assign(from, Some((Phase::Releasing, generation))).await?;
        self.acknowledged(from, "it is released", |ack| ack.held.is_empty()).await?;
        let acknowledged = released_at.elapsed();
        self.assign(from, None).await?;
        let next = self.place(to).await?;
        let opened = self.connections().await? + 1;
        until("the next node is connected", async || self.connections().await.is_ok_and(|now| now >= opened))
            .await?;
        self.connected().await?;
        let seen = self.phones.connections().await?.connections;
        let [.., old, new] = seen.as_slice() else { bail!("there were two connections: {seen:?}") };
        let closed = old.closed_at_ms.context("the old connection is closed")?;
        let silent = Duration::from_millis(new.opened_at_ms.saturating_sub(closed));
        Ok((next, Gap { acknowledged, silent, shown: released_at.elapsed() }))
    }

    /// A message and its one answer.
    async fn answers(&self, body: &str) -> Result<()> {
        self.phones.message(PHONE, "+255733000333", body).await?;
        let answer = format!("echo: {body}");
        until(&answer, async || {
            let sent = self.phones.sent(PHONE, 0).await;
            sent.is_ok_and(|sent| sent.iter().filter(|message| message.body == answer).count() == 1)
        })
        .await
    }

    async fn finish(self) -> Result<()> {
        let seen = self.phones.connections().await?;
        roost_tests::judge::never_two_browsers(&seen)?;
        self.end().await
    }

    /// A session that was handed over lost nothing of its ratchet. (One of a killed node may: its last snapshot is a second
    /// or two old.)
    async fn nothing_went_back(&self) -> Result<()> {
        let seen = self.phones.connections().await?.connections;
        ensure!(seen.iter().all(|it| it.regressed_by == 0), "a session went back: {seen:?}");
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.kill().await?;
        }
        self.simulator.stop().await;
        Ok(())
    }
}

/// What a move costs.
struct Gap {
    /// From the release to its acknowledgement.
    acknowledged: Duration,
    /// From the end of the old connection to the beginning of the new one.
    silent: Duration,
    /// From the release to the tenant being shown as connected, polling included.
    shown: Duration,
}

fn start_node(dir: &Path, id: &str, etcd: &Etcd, postgres: &Postgres, page_url: &str) -> Result<Process> {
    let launch = Launch::new(id, product("roost-node")?, dir.join("logs").join(format!("{id}.log")))
        .args(["run", "--id", id, "--cluster", CLUSTER, "--etcd", etcd.endpoint(), "--page-url", page_url])
        .args(["--state-dir".into(), dir.join("nodes").join(id).into_os_string()])
        .args(["--object-store".into(), dir.join("snapshots").into_os_string()])
        .args(["--snapshot-key-file".into(), dir.join("key").into_os_string()])
        .args(["--browser".into(), browser()?.into_os_string()])
        .args(["--bridge".into(), bridge()?.into_os_string()])
        .env("ROOST_NODE_DATABASE_URL", postgres.url());
    Ok(launch.spawn()?)
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        ensure!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A tenant that runs on node a.
async fn on_a() -> Result<(Stage, Generation)> {
    let stage = Stage::set().await?;
    for node in ["a", "b"] {
        until("both nodes are registered", async || {
            stage.incarnation(node).await.is_ok_and(|it| it.is_some())
        })
        .await?;
    }
    let generation = stage.place("a").await?;
    stage.scan().await?;
    Ok((stage, generation))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_move_back_and_forth_while_people_write_and_every_message_is_answered_once() -> Result<()> {
    let (stage, mut generation) = on_a().await?;
    let stage = Arc::new(stage);
    let talk = tokio::spawn({
        let (phones, tenant) = (stage.phones.clone(), stage.record());
        async move {
            let mut conversation = Conversation::new(phones, &tenant);
            let mut pace = tokio::time::interval(Duration::from_millis(200));
            for _ in 0..100 {
                pace.tick().await;
                conversation.say(4).await?;
            }
            conversation.settle(SOON).await
        }
    });
    let mut gaps = Vec::new();
    for (from, to) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("a", "b")] {
        let (next, gap) = stage.graceful(from, to, generation).await?;
        ensure!(stage.browsers(from) == 0 && stage.browsers(to) == 1, "one browser, on {to}");
        let Gap { acknowledged, silent, shown } = gap;
        println!("released in {acknowledged:?}, silent for {silent:?}, shown as connected after {shown:?}");
        generation = next;
        gaps.push(silent);
    }
    gaps.sort();
    println!("silent for {:?} in the median", gaps[gaps.len() / 2]);
    talk.await??;
    stage.nothing_went_back().await?;
    Arc::into_inner(stage).context("nobody else has the stage")?.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_prepared_opens_nothing_before_it_is_the_nodes_own_and_goes_when_it_is_not_wanted()
-> Result<()> {
    let (stage, generation) = on_a().await?;
    let one = stage.connections().await?;
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage
        .acknowledged("b", "it is prepared and not held", |ack| {
            ack.held.is_empty() && ack.prepared.iter().any(|it| it.generation == generation)
        })
        .await?;
    ensure!((stage.browsers("a"), stage.browsers("b")) == (1, 1), "a warm browser waits on b");

    // Active, but under the owner's generation: the session is still the owner's (I1).
    let revision = stage.assign("b", Some((Phase::Active, generation))).await?;
    stage.acknowledged("b", "it has taken that in", |ack| ack.applied >= revision).await?;
    ensure!(stage.ack("b").await?.held.is_empty(), "it holds what is another node's");
    stage.answers("still from a").await?;
    ensure!(stage.connections().await? == one, "the warm browser has opened the session");

    // The order is withdrawn.
    stage.assign("b", None).await?;
    stage.acknowledged("b", "it is forgotten", |ack| ack.prepared.is_empty()).await?;
    until("its browser is gone", async || stage.browsers("b") == 0).await?;

    // Prepared again, and then the node's working process dies: nothing of it outlives that.
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage.acknowledged("b", "it is prepared again", |ack| !ack.prepared.is_empty()).await?;
    ensure!(stage.working_process(1)?.signal(Signal::STOP)?);
    until("a frozen node has no warm browser", async || stage.browsers("b") == 0).await?;
    stage.answers("from a all the while").await?;
    ensure!(stage.connections().await? == one);
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_node_takes_over_from_one_that_dies() -> Result<()> {
    let (mut stage, generation) = on_a().await?;
    stage.answers("before").await?;
    stage.assign("b", Some((Phase::Preparing, generation))).await?;
    stage.acknowledged("b", "it is prepared", |ack| !ack.prepared.is_empty()).await?;
    stage.nodes[0].kill().await?;
    wait_until("the dead node's lease is over", SOON, || async {
        stage.incarnation("a").await.is_ok_and(|it| it.is_none())
    })
    .await?;
    let opened = stage.connections().await? + 1;
    let next = stage.place("b").await?;
    ensure!(next > generation);
    until("b is connected", async || stage.connections().await.is_ok_and(|now| now >= opened)).await?;
    stage.answers("after").await?;
    let fence = Fence { tenant: stage.tenant.clone(), generation };
    ensure!(stage.store.record_conflict(&fence).await.is_err(), "the dead owner's generation writes nothing");
    stage.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leads_and_crashes_leaves_no_leader_behind() -> Result<()> {
    let stage = Stage::set().await?;
    stage.registry.revoke(stage.leading).await?;
    until("a node leads as a last resort", async || matches!(stage.leading_node().await, Ok(Some(_))))
        .await?;
    let leader = stage.leading_node().await?.context("a node leads")?;
    let killed_at = Instant::now();
    ensure!(stage.working_process(usize::from(leader == "b"))?.signal(Signal::KILL)?);
    until("its reign is over", async || {
        stage.leading_node().await.is_ok_and(|now| now.as_ref() != Some(&leader))
    })
    .await?;
    let took = killed_at.elapsed();
    println!("the reign of a killed process ended after {took:?}");
    // Its lease would have lived for four fifths of a TTL at the least.
    ensure!(took < Timing::default().ttl / 2, "it took {took:?}");
    stage.end().await
}
