//! Two real nodes, one tenant, and the test in the place of the controller, which writes the records that one would write.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use roost_cluster::{
    keys,
    ledger::Ledger,
    records::{AckRecord, AssignmentEntry, AssignmentRecord, LeaderRecord, NodeRecord, Phase},
    registry::{Commit, EtcdRegistry, Op, Registry},
    timing::Timing,
};
use roost_devcluster::{Etcd, Launch, Postgres, Process, Simulator, TenantRecord, bridge, browser, product};
use roost_model::{
    Texts,
    ids::{Generation, Incarnation, NodeId, Revision, SpecRevision, TenantId, Term},
};
use roost_simulator::Hardness;
use roost_store::{NewTenant, PostgresLedger, SessionStatus, Store};
use roost_tests::{SOON, new_tenant};
use tempfile::TempDir;

const CLUSTER: &str = "moves";
const PHONE: &str = "+255700000021";

/// Two nodes, one tenant, and a controller's pen.
pub struct Stage {
    pub nodes: Vec<Process>,
    simulator: roost_simulator::Simulator,
    pub phones: Simulator,
    pub registry: EtcdRegistry,
    pub store: Store,
    ledger: PostgresLedger,
    /// The test's own lease, under which it leads.
    pub leading: Incarnation,
    term: Term,
    pub tenant: TenantId,
    _etcd: Etcd,
    _postgres: Postgres,
    dir: TempDir,
}

impl Stage {
    pub async fn set() -> Result<Self> {
        let dir = TempDir::with_prefix("roost-moves-")?;
        let any = "127.0.0.1:0".parse()?;
        let (timing, hardness) = (roost_simulator::Timing::default(), Hardness::default().hard());
        let config = roost_simulator::Config { http: any, tls: any, timing, hardness };
        let simulator = roost_simulator::Simulator::start(&config)?;
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
                display_name: "Mover".into(),
                texts: Texts { fallback: "echo: {message}".into(), ..Texts::default() },
                ..new_tenant(tenant.clone(), PHONE)
            })
            .await?;
        store.start_worker(&tenant).await?;
        let phones = Simulator::new(&simulator.http_url())?;
        let (key, text) = (dir.path().join("key"), "6b".repeat(32));
        std::fs::write(&key, text)?;
        std::fs::set_permissions(&key, Permissions::from_mode(0o600))?;
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

    pub fn record(&self) -> TenantRecord {
        TenantRecord { id: self.tenant.to_string(), name: "Mover".into(), phone: PHONE.into() }
    }

    pub async fn incarnation(&self, node: &str) -> Result<Option<Incarnation>> {
        let entry = self.registry.get(&keys::node(&NodeId::new(node)?)).await?;
        Ok(entry
            .map(|entry| keys::decode::<NodeRecord>(&entry))
            .transpose()?
            .map(|record| record.incarnation))
    }

    /// Writes what the node is to have of the tenant; None for nothing.
    pub async fn assign(&self, node: &str, entry: Option<(Phase, Generation)>) -> Result<Revision> {
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

    pub async fn ack(&self, node: &str) -> Result<AckRecord> {
        let entry = self.registry.get(&keys::ack(&NodeId::new(node)?)).await?;
        Ok(keys::decode(&entry.context("the node acknowledges")?)?)
    }

    pub async fn acknowledged(
        &self,
        node: &str,
        what: &str,
        holds: impl Fn(&AckRecord) -> bool,
    ) -> Result<()> {
        until(what, async || self.ack(node).await.is_ok_and(|ack| holds(&ack))).await
    }

    pub async fn place(&self, node: &str) -> Result<Generation> {
        let placement = [(self.tenant.clone(), NodeId::new(node)?)];
        let generation = loop {
            // A tenant whose row is held for a moment is left out.
            if let Some((_, generation)) = self.ledger.place(self.term, &placement).await?.pop() {
                break generation;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
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
    pub async fn connections(&self) -> Result<usize> {
        Ok(self.phones.connections().await?.connections.len())
    }

    /// Browsers whose profile is this node's.
    pub fn browsers(&self, node: &str) -> usize {
        let flag = format!("--user-data-dir={}", self.dir.path().join("nodes").join(node).display());
        let at = if node == "a" { 0 } else { 1 };
        let below = roost_devcluster::descendants(self.nodes[at].pid());
        below
            .iter()
            .filter(|process| process.command.contains(&flag) && !process.command.contains("--type="))
            .count()
    }

    /// The node that leads, if one does.
    pub async fn leading_node(&self) -> Result<Option<String>> {
        let Some(entry) = self.registry.get(keys::LEADER).await? else { return Ok(None) };
        let holder = keys::decode::<LeaderRecord>(&entry)?.holder;
        Ok(holder.strip_prefix("node/").map(str::to_owned))
    }

    /// The process that does a node's work.
    pub fn working_process(&self, node: usize) -> Result<roost_devcluster::Identity> {
        let guard = self.nodes[node].pid();
        let below = roost_devcluster::descendants(guard);
        let child = below.into_iter().find(|process| process.parent == guard);
        Ok(child.context("the guard has a child")?.identity)
    }

    /// From its present owner to the other node, step by step; what the phone saw of it.
    pub async fn graceful(&self, from: &str, to: &str, generation: Generation) -> Result<(Generation, Gap)> {
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
    pub async fn answers(&self, body: &str) -> Result<()> {
        self.phones.message(PHONE, "+255733000333", body).await?;
        let answer = format!("echo: {body}");
        until(&answer, async || {
            let sent = self.phones.sent(PHONE, 0).await;
            sent.is_ok_and(|sent| sent.iter().filter(|message| message.body == answer).count() == 1)
        })
        .await
    }

    pub async fn finish(self) -> Result<()> {
        let seen = self.phones.connections().await?;
        roost_tests::judge::never_two_browsers(&seen)?;
        self.end().await
    }

    /// A session that was handed over lost nothing of its ratchet. (One of a killed node may: its last snapshot is a second
    /// or two old.)
    pub async fn nothing_went_back(&self) -> Result<()> {
        let seen = self.phones.connections().await?.connections;
        ensure!(seen.iter().all(|it| it.regressed_by == 0), "a session went back: {seen:?}");
        Ok(())
    }

    pub async fn end(mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.kill().await?;
        }
        self.simulator.stop().await;
        Ok(())
    }
}

/// What a move costs.
pub struct Gap {
    /// From the release to its acknowledgement.
    pub acknowledged: Duration,
    /// From the end of the old connection to the beginning of the new one.
    pub silent: Duration,
    /// From the release to the tenant being shown as connected, polling included.
    pub shown: Duration,
}

fn start_node(dir: &Path, id: &str, etcd: &Etcd, postgres: &Postgres, page_url: &str) -> Result<Process> {
    let launch = Launch::new(id, product("roost-node")?, dir.join("logs").join(format!("{id}.log")))
        .args(["run", "--id", id, "--cluster", CLUSTER, "--etcd", etcd.endpoint(), "--page-url", page_url])
        .args(["--state-dir".into(), dir.join("nodes").join(id).into_os_string()])
        .args(["--object-store".into(), dir.join("snapshots").into_os_string()])
        .args(["--snapshot-key-file".into(), dir.join("key").into_os_string()])
        .args(["--cluster-secret-file".into(), dir.join("key").into_os_string()])
        .args(["--browser".into(), browser()?.into_os_string()])
        .args(["--bridge".into(), bridge()?.into_os_string()])
        // The browsers that are counted are the tenant's.
        .args(["--spare-browsers", "0"])
        .env("ROOST_DATABASE_URL", postgres.url());
    Ok(launch.spawn()?)
}

pub async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        ensure!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A tenant that runs on node a.
pub async fn on_a() -> Result<(Stage, Generation)> {
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
