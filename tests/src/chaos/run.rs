//! One run: the cluster, the load, one step of the schedule after the other, and the report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use roost_devcluster::{Cluster, Options, TenantRecord};
use tempfile::TempDir;

use crate::{claims, judge::is_error};

use super::{
    disk::Disk,
    fault::{Fault, Kind, Schedule},
    fences::Fences,
    load::{Load, now},
    machine,
    nemesis::{Nemesis, Standstill, Wound},
    observer::Observer,
    operator::Operator,
    report::{Overlaps, Report},
    skew::Skew,
    stalled_disk,
};
use crate::breakable_browser::BreakableBrowser;

const NODES: usize = 4;
/// Long on purpose: what is judged is whether, and the machine may be busy.
const RECOVERED_WITHIN: Duration = Duration::from_secs(120);
const CONNECTED_WITHIN: Duration = Duration::from_secs(180);
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// The rates that the safety margin of the lease is made for.
const FAST: f64 = 1.05;
const SLOW: f64 = 0.95;

#[derive(Debug, Clone)]
pub struct Config {
    pub seed: u64,
    /// No step begins after this.
    pub lasts: Duration,
    pub tenants: usize,
    pub ttl: Duration,
    pub kinds: Vec<Kind>,
}

/// Runs, tells each step, and writes the report to `reports/<seed>.txt`. An error when anything is wrong; the logs are kept then.
pub async fn run(config: Config, reports: &Path, tell: impl Fn(&str)) -> Result<Report> {
    let dir = TempDir::with_prefix("roost-chaos-").context("a directory for the cluster")?;
    let mut bed = Bed::make(&config, dir.path()).await?;
    let begun = Instant::now();
    let outcome = bed.torment(&config, begun, tell).await;
    let report = bed.judge(begun, outcome.err()).await;
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            bail!("seed {}: the judges failed: {error:#}; logs in {}", config.seed, dir.keep().display())
        }
    };
    fs::create_dir_all(reports).context("the directory of the reports")?;
    let file = reports.join(format!("{}.txt", config.seed));
    fs::write(&file, report.to_string()).context("writing the report")?;
    if report.violations().is_empty() {
        return Ok(report);
    }
    let (kept, secs) = (dir.keep(), config.lasts.as_secs());
    bail!(
        "{report}\nreport: {}\nlogs: {}\nreplay: make chaos SEED={} CHAOS_SECS={secs}",
        file.display(),
        kept.join("logs").display(),
        config.seed,
    )
}

/// Everything that one run needs. Dropping it kills every process.
struct Bed {
    load: Load,
    observer: Observer,
    operator: Operator,
    fences: Fences,
    cluster: Cluster,
    disk: Disk,
    browsers: BTreeMap<String, BreakableBrowser>,
    standstills: Vec<Standstill>,
    report: Report,
}

impl Bed {
    async fn make(config: &Config, dir: &Path) -> Result<Self> {
        let disk = Disk::make(dir).await?;
        let skew = Skew::build(dir)?;
        let first = (config.seed % NODES as u64) as usize;
        let (fast, slow) = (format!("node-{}", first + 1), format!("node-{}", (first + 1) % NODES + 1));
        let rates = [(&fast, FAST), (&slow, SLOW)];
        let browsers = browsers(dir)?;
        let mut options = Options::new(dir);
        (options.etcd_members, options.coordinators, options.nodes) = (3, 2, NODES);
        (options.tenants, options.lease_ttl) = (config.tenants, config.ttl);
        (options.echo, options.relays, options.hard) = (true, true, true);
        options.browsers = browsers.iter().map(|(id, browser)| (id.clone(), browser.command())).collect();
        options.etcd_through = Some(stalled_disk::build(dir)?);
        options.object_store = Some(disk.snapshots());
        options.node_through = disk.enter();
        options.node_env = rates.map(|(id, rate)| (id.clone(), skew.env("roost-node", rate))).into();
        let mut cluster = Cluster::start(options).await?;
        for (id, _) in rates {
            let node = cluster.node(id)?;
            let processes = [node.pid().context("it runs")?, machine::child(node).await?.pid];
            ensure!(processes.iter().all(|pid| skew.is_in(*pid)), "the clock of {id} is not skewed");
        }
        cluster.connected(CONNECTED_WITHIN).await?;
        let endpoints: Vec<String> =
            cluster.etcd_members().iter().map(|member| member.endpoint().to_owned()).collect();
        let observer = Observer::begin(&endpoints).await?;
        let fences = Fences::watch(cluster.postgres().url());
        let ids = cluster.nodes().iter().map(|node| node.id().to_owned()).collect();
        let operator = Operator::begin(cluster.admins(), ids, cluster.tenants(), config.seed);
        let load = Load::begin(cluster.simulator()?, cluster.tenants());
        load.all_answer(now(), CONNECTED_WITHIN).await?;
        let report = Report {
            seed: config.seed,
            tenants: config.tenants,
            nodes: NODES,
            skewed: format!("{fast} x {FAST}, {slow} x {SLOW}, in all of the run"),
            disk: disk.describe(),
            ..Report::default()
        };
        Ok(Self { load, observer, operator, fences, cluster, disk, browsers, standstills: vec![], report })
    }

    /// Steps until the time is over or something is wrong.
    async fn torment(&mut self, config: &Config, begun: Instant, tell: impl Fn(&str)) -> Result<()> {
        for step in Schedule::new(config.seed, config.ttl, NODES, config.kinds.clone()) {
            if begun.elapsed() >= config.lasts {
                return Ok(());
            }
            let told = step.iter().map(Fault::to_string).collect::<Vec<_>>().join(" and ");
            let at = begun.elapsed().as_secs_f64();
            let recovered = self.step(&step, config.ttl).await;
            let (all, end) = recovered.with_context(|| format!("at {at:.1} s: {told}"))?;
            tell(&format!("{at:>7.1} s  {told}: answering again after {:.1} s", all.as_secs_f64()));
            for fault in &step {
                let tally = self.report.faults.entry(fault.kind).or_default();
                match step.len() {
                    1 => tally.add(all, end),
                    _ => tally.injected += 1,
                }
            }
            if step.len() > 1 {
                self.report.pairs.add(all, end);
            }
            // What can be known at once ends the run while its traces are fresh.
            let (count, observed) = (self.load.count(), self.observer.observed());
            ensure!(count.twice.is_empty() && observed.violations.is_empty(), "after {told} at {at:.1} s");
        }
        Ok(())
    }

    /// Injects, heals, awaits the recovery, revives. How long the recovery took, from the fault and from its end.
    async fn step(&mut self, step: &[Fault], ttl: Duration) -> Result<(Duration, Duration)> {
        let operation = self.operator.start().await?;
        let begun_at = now();
        let mut nemesis = Nemesis {
            cluster: &mut self.cluster,
            observer: &self.observer,
            disk: &self.disk,
            browsers: &self.browsers,
        };
        let (mut wounds, mut losses) = (vec![], vec![]);
        for fault in step {
            let node = nemesis.node_for(fault);
            losses.push((node.clone(), self.observer.losses_of(&node)));
            let standstill = (fault.kind == Kind::FreezeMachine).then(|| nemesis.standstill(&node));
            let injected = nemesis.inject(fault, node).await.with_context(|| fault.to_string())?;
            wounds.push((Instant::now() + fault.lasts, injected));
            self.standstills.extend(standstill);
        }
        wounds.sort_by_key(|(until, _)| *until);
        let mut ended_at = begun_at;
        for (until, wound) in wounds.iter().filter(|(_, wound)| wound.lasts()) {
            tokio::time::sleep_until((*until).into()).await;
            // Before: a machine wakes while it is being told to.
            let waking = now();
            nemesis.heal(wound)?;
            ended_at = now();
            for still in
                self.standstills.iter_mut().filter(|still| still.until == u64::MAX && is_machine(wound))
            {
                still.until = waking;
            }
        }
        if let ([fault], [(node, before)]) = (step, losses.as_slice())
            && must_lose_its_lease(fault, ttl)
        {
            let lost = || async { self.observer.losses_of(node) > *before };
            roost_devcluster::wait_until("the fault has cost the node its lease", SEEN_WITHIN, lost).await?;
        }
        let answered_at = match self.load.all_answer(ended_at, RECOVERED_WITHIN).await {
            Ok(at) => at,
            Err(error) => bail!("{error}\n{}", self.cluster.diagnose().await),
        };
        let mut nemesis = Nemesis {
            cluster: &mut self.cluster,
            observer: &self.observer,
            disk: &self.disk,
            browsers: &self.browsers,
        };
        for (_, wound) in &wounds {
            nemesis.revive(wound).await?;
        }
        if let Some(operation) = operation
            && let Err(error) = self.operator.end(operation, RECOVERED_WITHIN).await
        {
            bail!("{error:#}\n{}", self.cluster.diagnose().await);
        }
        let since = |at: u64| Duration::from_millis(answered_at.saturating_sub(at));
        Ok((since(begun_at), since(ended_at)))
    }

    async fn judge(self, begun: Instant, failure: Option<anyhow::Error>) -> Result<Report> {
        let Self { load, observer, operator, fences, mut cluster, disk, standstills, mut report, .. } = self;
        let settle = if failure.is_some() { Duration::ZERO } else { RECOVERED_WITHIN };
        report.ran_for = begun.elapsed();
        report.failure = failure.map(|error| format!("{error:#}"));
        report.count = load.settle(settle).await;
        let database = cluster.postgres().url().to_owned();
        let simulator = cluster.simulator()?;
        let connections = simulator.connections().await?;
        // All of it once more: what was read while it ran has not the resends that came after.
        for tenant in cluster.tenants() {
            report.resends.count(&tenant.id, &simulator.sent(&tenant.phone, 0).await?, &connections);
        }
        let sent = async |tenant: &TenantRecord| simulator.sent(&tenant.phone, 0).await.unwrap_or_default();
        report.unclaimed = match report.failure {
            // The database may be frozen.
            Some(_) => vec![],
            None => claims::violations(&database, cluster.tenants(), sent, &connections.connections).await?,
        };
        report.connections = connections.connections.len();
        report.overlaps = Overlaps::judge(&connections, &standstills);
        report.observed = match report.failure {
            // Something may still be frozen.
            Some(_) => observer.observed(),
            None => observer.finish(SEEN_WITHIN).await?,
        };
        report.fences = fences.seen();
        report.orders = operator.orders;
        drop(load);
        let logs = cluster.logs();
        match report.failure {
            Some(_) => drop(cluster),
            None => cluster.stop().await?,
        }
        drop(disk);
        (report.errors, report.panics) = errors(&logs)?;
        Ok(report)
    }
}

/// One for each node, by its id.
fn browsers(dir: &Path) -> Result<BTreeMap<String, BreakableBrowser>> {
    let ids = (1..=NODES).map(|number| format!("node-{number}"));
    ids.map(|id| Ok((id.clone(), BreakableBrowser::make(dir, &id)?))).collect()
}

fn is_machine(wound: &Wound) -> bool {
    matches!(wound, Wound::Frozen(processes) if processes.len() > 1)
}

/// A fault that had no such effect was not the fault that it should have been.
fn must_lose_its_lease(fault: &Fault, ttl: Duration) -> bool {
    let lasts = fault.lasts >= ttl * 8 / 5;
    // Its keepalives still arrive when only their answers do not.
    let silent = fault.way != super::fault::Way::ToNode;
    match fault.kind {
        Kind::FreezeChild | Kind::FreezePair | Kind::FreezeMachine => lasts,
        Kind::CutFromEtcd | Kind::CutFromBoth => lasts && silent,
        Kind::KillChild | Kind::KillMachine | Kind::KillHalf | Kind::Leave => true,
        _ => false,
    }
}

/// ERROR lines of the product by their constant part, and panics.
fn errors(logs: &[(String, PathBuf)]) -> Result<(BTreeMap<String, usize>, Vec<String>)> {
    let (mut errors, mut panics) = (BTreeMap::new(), vec![]);
    for (process, path) in logs.iter().filter(|(name, _)| !name.starts_with("etcd") && name != "postgres") {
        for line in fs::read_to_string(path)?.lines() {
            if line.contains("panicked at") {
                panics.push(format!("{process} panicked: {line}"));
            } else if is_error(line)
                && let Some((_, told)) = line.split_once(" ERROR ")
            {
                // Fields are behind the message, as name=value; the message may be behind spans.
                let message = told.split(" error=").next().unwrap_or(told);
                let words = message.split(' ').filter(|word| !word.contains('='));
                *errors.entry(words.collect::<Vec<_>>().join(" ")).or_default() += 1;
            }
        }
    }
    Ok((errors, panics))
}
