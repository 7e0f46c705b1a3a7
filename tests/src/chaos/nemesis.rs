//! Does what a [`Fault`] says to the cluster, and undoes what does not undo itself.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use roost_devcluster::{Cluster, Identity, Road, Servers, Signal};

use super::{
    disk::Disk,
    fault::{Fault, Kind, Way},
    load::now,
    machine,
    observer::Observer,
};
use crate::breakable_browser::BreakableBrowser;

const ETCD: Servers = Servers { etcd: true, postgres: false };
const POSTGRES: Servers = Servers { etcd: false, postgres: true };
const BOTH: Servers = Servers { etcd: true, postgres: true };
/// Much for a network, little for a lease.
const SLOW_BY: Duration = Duration::from_millis(100);
const STALLED_AFTER: Duration = Duration::from_millis(200);
const LEADER_WITHIN: Duration = Duration::from_secs(15);

pub(super) struct Nemesis<'a> {
    pub cluster: &'a mut Cluster,
    pub observer: &'a Observer,
    pub disk: &'a Disk,
    pub browsers: &'a BTreeMap<String, BreakableBrowser>,
}

/// What a fault leaves behind.
#[derive(Debug)]
pub(super) enum Wound {
    /// Whoever is concerned gets over it alone.
    Passing,
    Frozen(Vec<Identity>),
    FrozenPostgres,
    BadRoad {
        node: String,
        servers: Servers,
    },
    FullDisk,
    StalledEtcd(usize),
    DeadNodes(Vec<String>),
    GreyNode(BreakableBrowser),
    DeadCoordinator(usize),
    DeadEtcd(usize),
}

/// A machine stood still: the one time when two connections of a phone may be open, for nothing on the older one can
/// act. See [`super::report`].
#[derive(Debug, Clone)]
pub struct Standstill {
    pub phones: Vec<String>,
    pub from: u64,
    /// u64::MAX while it lasts.
    pub until: u64,
}

impl Wound {
    /// Whether [`Nemesis::heal`] ends it when its time is over; what is dead is revived after the recovery.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Frozen(_)
            | Self::FrozenPostgres
            | Self::BadRoad { .. }
            | Self::FullDisk
            | Self::StalledEtcd(_) => true,
            Self::Passing
            | Self::DeadNodes(_)
            | Self::GreyNode(_)
            | Self::DeadCoordinator(_)
            | Self::DeadEtcd(_) => false,
        }
    }
}

impl Nemesis<'_> {
    /// The victim, or the next node that has tenants: what is done to an idle one proves little.
    pub fn node_for(&mut self, fault: &Fault) -> String {
        let nodes = self.cluster.nodes();
        let ids = (0..nodes.len()).map(|step| nodes[(fault.victim + step) % nodes.len()].id().to_owned());
        let ids: Vec<String> = ids.collect();
        let busy = ids.iter().find(|id| !self.observer.tenants_on(id).is_empty());
        busy.unwrap_or(&ids[0]).clone()
    }

    pub async fn inject(&mut self, fault: &Fault, node: String) -> Result<Wound> {
        Ok(match fault.kind {
            Kind::KillChild => self.kill_child(&node).await?,
            Kind::KillMachine => {
                self.kill_machines(std::slice::from_ref(&node)).await?;
                Wound::DeadNodes(vec![node])
            }
            Kind::KillHalf => {
                let others = self.cluster.nodes().iter().map(|other| other.id().to_owned());
                let mut lost: Vec<String> = others.filter(|other| *other != node).collect();
                lost.truncate(self.cluster.nodes().len() / 2 - 1);
                lost.push(node);
                self.kill_machines(&lost).await?;
                Wound::DeadNodes(lost)
            }
            Kind::KillBrowser => self.kill_browser(&node).await?,
            Kind::KillCoordinator => {
                let index = fault.victim % self.cluster.coordinators().len();
                self.kill_coordinator(index).await?
            }
            Kind::KillController => match self.controller().await? {
                Controller::Coordinator(index) => self.kill_coordinator(index).await?,
                Controller::Node(node) => self.kill_child(&node).await?,
            },
            Kind::KillEtcdLeader => {
                let leader = self.etcd_leader().await?;
                self.cluster.etcd_members()[leader].kill().await?;
                Wound::DeadEtcd(leader)
            }
            Kind::FreezeChild => frozen(machine::child(self.cluster.node(&node)?).await?)?,
            Kind::FreezeGuard => frozen(running(self.cluster.node(&node)?.pid())?)?,
            Kind::FreezePair => {
                let guard = running(self.cluster.node(&node)?.pid())?;
                let child = machine::child(self.cluster.node(&node)?).await?;
                // The guard first: it would end a child that is frozen.
                guard.signal(Signal::STOP)?;
                child.signal(Signal::STOP)?;
                Wound::Frozen(vec![guard, child])
            }
            Kind::FreezeMachine => Wound::Frozen(machine::freeze(self.cluster.node(&node)?)?),
            Kind::FreezeController => match self.controller().await? {
                Controller::Coordinator(index) => frozen(running(self.cluster.coordinators()[index].pid())?)?,
                Controller::Node(node) => frozen(machine::child(self.cluster.node(&node)?).await?)?,
            },
            Kind::FreezeEtcdLeader => {
                let leader = self.etcd_leader().await?;
                frozen(self.cluster.etcd_members()[leader].identity())?
            }
            Kind::StallEtcdLeader => {
                let leader = self.etcd_leader().await?;
                let leading = &self.cluster.etcd_members()[leader];
                leading.stall()?;
                // A disk that nothing is written to stalls nobody, and a cluster at rest writes nothing.
                if leading.write_something(STALLED_AFTER).await {
                    bail!("{} wrote to a disk that stalls", leading.name());
                }
                Wound::StalledEtcd(leader)
            }
            Kind::FreezePostgres => {
                self.cluster.postgres().signal_all(Signal::STOP)?;
                Wound::FrozenPostgres
            }
            Kind::CutFromEtcd => self.spoil(node, ETCD, road(fault.way))?,
            Kind::CutFromPostgres => self.spoil(node, POSTGRES, road(fault.way))?,
            Kind::CutFromBoth => self.spoil(node, BOTH, road(fault.way))?,
            Kind::SlowNetwork => self.spoil(node, BOTH, Road::Slow(SLOW_BY))?,
            Kind::FillDisk => {
                self.disk.fill()?;
                Wound::FullDisk
            }
            Kind::GreyNode => self.break_browser(&node)?,
            Kind::Leave => {
                let ended = self.cluster.node(&node)?.terminate().await?.context("it ran")?;
                if !ended.success() {
                    bail!("{node} was stopped in order and ended with {ended}");
                }
                Wound::DeadNodes(vec![node])
            }
        })
    }

    /// Ends what lasts.
    pub fn heal(&mut self, wound: &Wound) -> Result<()> {
        match wound {
            Wound::Frozen(frozen) => machine::thaw(frozen),
            Wound::FrozenPostgres => Ok(self.cluster.postgres().signal_all(Signal::CONT)?),
            Wound::BadRoad { node, servers } => Ok(self.cluster.roads().set(node, *servers, Road::Open)?),
            Wound::FullDisk => self.disk.empty(),
            Wound::StalledEtcd(index) => Ok(self.cluster.etcd_members()[*index].let_go()?),
            Wound::Passing
            | Wound::DeadNodes(_)
            | Wound::GreyNode(_)
            | Wound::DeadCoordinator(_)
            | Wound::DeadEtcd(_) => Ok(()),
        }
    }

    /// Starts again what is dead, and mends what nothing else was to mend.
    pub async fn revive(&mut self, wound: &Wound) -> Result<()> {
        match wound {
            Wound::DeadNodes(nodes) => {
                for node in nodes {
                    self.cluster.start_node(node).await?;
                }
            }
            Wound::GreyNode(browser) => browser.mend()?,
            Wound::DeadCoordinator(index) => self.cluster.coordinators()[*index].start().await?,
            Wound::DeadEtcd(index) => self.cluster.etcd_members()[*index].restart().await?,
            Wound::Passing
            | Wound::Frozen(_)
            | Wound::FrozenPostgres
            | Wound::BadRoad { .. }
            | Wound::FullDisk
            | Wound::StalledEtcd(_) => {}
        }
        Ok(())
    }

    /// The standstill that a freeze of this node's machine begins now.
    pub fn standstill(&self, node: &str) -> Standstill {
        let tenants = self.observer.tenants_on(node);
        let here = self.cluster.tenants().iter().filter(|tenant| tenants.contains(&tenant.id));
        let phones = here.map(|tenant| tenant.phone.trim_start_matches('+').to_owned()).collect();
        Standstill { phones, from: now(), until: u64::MAX }
    }

    /// All of them before the first is waited for.
    async fn kill_machines(&mut self, nodes: &[String]) -> Result<()> {
        for node in nodes {
            let child = machine::child(self.cluster.node(node)?).await?;
            self.cluster.node(node)?.signal(Signal::KILL)?;
            child.signal(Signal::KILL)?;
        }
        for node in nodes {
            self.cluster.node(node)?.kill().await?;
        }
        Ok(())
    }

    async fn kill_child(&mut self, node: &str) -> Result<Wound> {
        machine::child(self.cluster.node(node)?).await?.signal(Signal::KILL)?;
        Ok(Wound::Passing)
    }

    async fn kill_browser(&mut self, node: &str) -> Result<Wound> {
        machine::browser(self.cluster.node(node)?).await?.signal(Signal::KILL)?;
        Ok(Wound::Passing)
    }

    /// Those that run are dead as well: whoever ran there is silent until he runs elsewhere.
    fn break_browser(&mut self, node: &str) -> Result<Wound> {
        let browser = self.browsers.get(node).context("each node has a browser of its own")?;
        browser.spoil()?;
        for browser in machine::browsers(self.cluster.node(node)?) {
            browser.signal(Signal::KILL)?;
        }
        Ok(Wound::GreyNode(browser.clone()))
    }

    async fn kill_coordinator(&mut self, index: usize) -> Result<Wound> {
        self.cluster.coordinators()[index].kill().await?;
        Ok(Wound::DeadCoordinator(index))
    }

    fn spoil(&mut self, node: String, servers: Servers, road: Road) -> Result<Wound> {
        self.cluster.roads().set(&node, servers, road)?;
        Ok(Wound::BadRoad { node, servers })
    }

    async fn etcd_leader(&mut self) -> Result<usize> {
        let begun = std::time::Instant::now();
        while begun.elapsed() < LEADER_WITHIN {
            for (index, member) in self.cluster.etcd_members().iter().enumerate() {
                if member.leads().await == Some(true) {
                    return Ok(index);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("no member of etcd leads")
    }

    async fn controller(&mut self) -> Result<Controller> {
        let is_led = || async { self.observer.controller().is_some() };
        roost_devcluster::wait_until("somebody is the controller", LEADER_WITHIN, is_led).await?;
        let holder = self.observer.controller().context("somebody is the controller")?;
        match holder.split_once('/') {
            Some(("node", node)) => Ok(Controller::Node(node.to_owned())),
            Some(("coordinator", id)) => {
                let coordinators = self.cluster.coordinators();
                let index = coordinators.iter().position(|coordinator| coordinator.id() == id);
                Ok(Controller::Coordinator(index.with_context(|| format!("there is a coordinator {id}"))?))
            }
            _ => bail!("{holder:?} is no controller"),
        }
    }
}

enum Controller {
    Coordinator(usize),
    Node(String),
}

fn running(pid: Option<u32>) -> Result<Identity> {
    pid.and_then(Identity::of).context("the process to be frozen runs")
}

fn frozen(process: Identity) -> Result<Wound> {
    process.signal(Signal::STOP)?;
    Ok(Wound::Frozen(vec![process]))
}

fn road(way: Way) -> Road {
    match way {
        Way::ToServer => Road::Held { to_server: true, to_client: false },
        Way::ToNode => Road::Held { to_server: false, to_client: true },
        Way::Both => Road::Held { to_server: true, to_client: true },
        Way::Refused => Road::Cut,
    }
}
