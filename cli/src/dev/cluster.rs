//! A whole cluster on this machine: private etcd and PostgreSQL, the simulator, coordinators and nodes, tenants with
//! phones. `roost dev` and `roost demo` show it to people; the scenario tests break it.
//!
//! Every process can be killed, stopped, frozen and started again on its own. Nothing is restarted behind the caller's
//! back: a killed node stays dead, so that one can see what the others do.

use std::path::{Path, PathBuf};

use futures::future::try_join_all;

use super::{
    error::{DevError, Result},
    etcd::Etcd,
    launches,
    member::Member,
    options::Options,
    phones::Phones,
    postgres::Postgres,
    record::{CoordinatorRecord, DevRecord, EtcdRecord, NodeRecord, PostgresRecord, TenantRecord},
    roads::Roads,
    simulator::Simulator,
    state_dir::{Started, StateDir},
    tenants,
};
use crate::admin::Admin;

/// Dropping it kills every process; [`Cluster::stop`] stops them gracefully.
#[derive(Debug)]
pub struct Cluster {
    // Fields are dropped in this order: first those that would notice that others are gone.
    phones: Option<Phones>,
    nodes: Vec<Member>,
    coordinators: Vec<Member>,
    simulator: Option<SimulatedSite>,
    postgres: Postgres,
    /// One, or all members.
    etcd: Vec<Etcd>,
    roads: Roads,
    /// One for each coordinator.
    admins: Vec<Admin>,
    tenants: Vec<TenantRecord>,
    options: Options,
    ended_leftovers: Vec<Started>,
    // Last, for the lock: the directory is free when all of it is gone.
    state_dir: StateDir,
}

#[derive(Debug)]
pub(super) struct SimulatedSite {
    pub member: Member,
    pub client: Simulator,
    pub tls_addr: String,
}

impl Cluster {
    /// Starts everything, makes the tenants that are missing, and starts their workers. Returns when all processes
    /// serve; [`Cluster::connected`] waits for the tenants.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = launches::Programs::find(&options)?;
        let (state_dir, ended_leftovers) = StateDir::take(&options.state_dir)?;
        let token = state_dir.token()?;
        let postgres_port = state_dir.port("postgres", options.ports.postgres)?;
        let (etcd, postgres, simulator) = tokio::try_join!(
            launches::start_etcd(&state_dir, &options),
            Postgres::start_on(state_dir.root(), Some(postgres_port)),
            launches::start_simulator(&programs, &state_dir, &options),
        )?;
        let roads = launches::build_roads(&options, &etcd, &postgres).await?;
        let site = simulator.as_ref();
        let services =
            launches::Services { etcd: &etcd, roads: &roads, postgres: &postgres, simulator: site };
        let coordinators = launches::start_coordinators(&programs, &state_dir, &options, &services).await?;
        let admins = coordinators.iter().map(|coordinator| Admin::new(coordinator.addr(), &token));
        let admins = admins.collect::<std::result::Result<Vec<_>, _>>()?;
        for admin in &admins {
            tenants::served(admin).await?;
        }
        let tenants: Vec<_> = (0..options.tenants).map(tenants::demo_tenant).collect();
        let mut cluster = Self {
            phones: None,
            nodes: vec![],
            coordinators,
            simulator,
            postgres,
            etcd,
            roads,
            admins,
            tenants,
            options,
            ended_leftovers,
            state_dir,
        };
        cluster.remember()?;
        cluster.start_nodes().await?;
        tenants::prepare_all(cluster.admin(), &cluster.tenants, cluster.options.echo).await?;
        if cluster.options.phones_scan
            && let Some(site) = &cluster.simulator
        {
            cluster.phones = Some(Phones::watch(cluster.admin(), &site.client, &cluster.tenants));
        }
        Ok(cluster)
    }

    /// Stops all of it gracefully, those that need others first. Everything is tried; the first error is returned.
    pub async fn stop(mut self) -> Result<()> {
        self.phones = None;
        let nodes = futures::future::join_all(self.nodes.iter_mut().map(Member::terminate)).await;
        let coordinators =
            futures::future::join_all(self.coordinators.iter_mut().map(Member::terminate)).await;
        let simulator = match &mut self.simulator {
            Some(site) => site.member.terminate().await.map(drop),
            None => Ok(()),
        };
        let postgres = self.postgres.stop().await;
        // Together: the last one of several would wait in vain for the others.
        let etcd = futures::future::join_all(self.etcd.iter_mut().map(Etcd::stop)).await;
        let stores = etcd.into_iter().chain([postgres, self.state_dir.forget()]);
        nodes
            .into_iter()
            .chain(coordinators)
            .map(|ended| ended.map(drop))
            .chain([simulator])
            .chain(stores)
            .collect()
    }

    pub fn state_dir(&self) -> &Path {
        self.state_dir.root()
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What a crashed run had left in the state directory, and this one has ended.
    pub fn ended_leftovers(&self) -> &[Started] {
        &self.ended_leftovers
    }

    pub fn tenants(&self) -> &[TenantRecord] {
        &self.tenants
    }

    /// The client of the first coordinator's admin API, with the token.
    pub fn admin(&self) -> &Admin {
        &self.admins[0]
    }

    /// A client of each coordinator's.
    pub fn admins(&self) -> &[Admin] {
        &self.admins
    }

    pub fn token_file(&self) -> PathBuf {
        self.state_dir.token_file()
    }

    /// The phones' side. An error when the cluster runs against another site.
    pub fn simulator(&self) -> Result<&Simulator> {
        let site = self.simulator.as_ref().map(|site| &site.client);
        let page_url = || self.options.page_url.clone().unwrap_or_default();
        site.ok_or_else(|| DevError::NoSimulator { page_url: page_url() })
    }

    /// How many codes the phones have scanned.
    pub fn scans(&self) -> u64 {
        self.phones.as_ref().map_or(0, Phones::scans)
    }

    /// The only member of etcd, or the first one.
    pub fn etcd(&mut self) -> &mut Etcd {
        &mut self.etcd[0]
    }

    pub fn etcd_members(&mut self) -> &mut [Etcd] {
        &mut self.etcd
    }

    /// What lies between the processes and the servers; see [`Options::relays`].
    pub fn roads(&self) -> &Roads {
        &self.roads
    }

    pub fn postgres(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    pub fn coordinator(&mut self) -> &mut Member {
        &mut self.coordinators[0]
    }

    pub fn coordinators(&mut self) -> &mut [Member] {
        &mut self.coordinators
    }

    pub fn nodes(&mut self) -> &mut [Member] {
        &mut self.nodes
    }

    /// The node with this id, running or not.
    pub fn node(&mut self, id: &str) -> Result<&mut Member> {
        let found = self.nodes.iter_mut().find(|node| node.id() == id);
        found.ok_or_else(|| DevError::UnknownNode { id: id.to_owned() })
    }

    /// Starts one node more; its id.
    pub async fn add_node(&mut self) -> Result<String> {
        let number = self.nodes.len() + 1;
        if self.options.relays {
            self.roads.build(&launches::node_id(number), &self.etcd, &self.postgres).await?;
        }
        let mut node = self.new_node(number)?;
        node.start().await?;
        let id = node.id().to_owned();
        self.nodes.push(node);
        self.remember()?;
        Ok(id)
    }

    /// Makes one demo tenant more, with its phone, and starts its worker.
    pub async fn add_tenant(&mut self) -> Result<TenantRecord> {
        let index = self.tenants.len();
        let tenant = tenants::demo_tenant(index);
        tenants::prepare(self.admin(), index, &tenant, self.options.echo).await?;
        self.tenants.push(tenant.clone());
        if let (Some(phones), Some(site)) = (&mut self.phones, &self.simulator) {
            phones.add(self.admins[0].clone(), site.client.clone(), tenant.clone());
        }
        Ok(tenant)
    }

    /// Starts a node that is dead again, with the profiles that it has on its disk.
    pub async fn start_node(&mut self, id: &str) -> Result<()> {
        self.node(id)?.start().await?;
        self.remember()
    }

    /// Starts again whatever is dead; the names of what was.
    pub async fn revive(&mut self) -> Result<Vec<String>> {
        let mut revived = vec![];
        if !self.postgres.is_running() {
            self.postgres.restart().await?;
            revived.push("postgres".to_owned());
        }
        // Together: one of several alone would wait in vain for the others.
        let dead = self.etcd.iter_mut().filter_map(|member| (!member.is_running()).then_some(member));
        let restarted = dead.map(async |member| member.restart().await.map(|()| member.name().to_owned()));
        revived.extend(try_join_all(restarted).await?);
        let members = self.simulator.as_mut().map(|site| &mut site.member).into_iter();
        for member in members.chain(&mut self.coordinators).chain(&mut self.nodes) {
            if !member.is_running() {
                member.start_again().await?;
                revived.push(member.id().to_owned());
            }
        }
        self.remember()?;
        Ok(revived)
    }

    /// The coordinators, the simulator and the stores: the name of each, its pid, and whether it runs.
    pub fn services(&mut self) -> Vec<(String, u32, bool)> {
        let etcd = self.etcd.iter_mut();
        let mut services: Vec<_> =
            etcd.map(|member| (member.name().to_owned(), member.pid(), member.is_running())).collect();
        services.push(("postgres".to_owned(), self.postgres.pid(), self.postgres.is_running()));
        let members =
            self.simulator.as_mut().map(|site| &mut site.member).into_iter().chain(&mut self.coordinators);
        services.extend(
            members.map(|member| {
                (member.id().to_owned(), member.pid().unwrap_or_default(), member.is_running())
            }),
        );
        services
    }

    /// Writes dev.json: what runs now.
    pub fn publish(&mut self) -> Result<()> {
        self.remember()?;
        let record = self.record();
        self.state_dir.publish(&record)
    }

    /// What dev.json says.
    pub fn record(&mut self) -> DevRecord {
        let nodes = self.nodes.iter_mut().filter_map(|node| {
            let (id, addr) = (node.id().to_owned(), node.addr().to_owned());
            if node.is_running() { Some(NodeRecord { id, pid: node.pid()?, addr }) } else { None }
        });
        let nodes = nodes.collect();
        let coordinators = self.coordinators.iter().filter_map(|coordinator| {
            let admin_addr = coordinator.addr().to_owned();
            Some(CoordinatorRecord { id: coordinator.id().to_owned(), pid: coordinator.pid()?, admin_addr })
        });
        DevRecord {
            etcd: EtcdRecord { endpoint: self.etcd[0].endpoint().to_owned(), pid: self.etcd[0].pid() },
            postgres: PostgresRecord { url: self.postgres.url().to_owned(), pid: self.postgres.pid() },
            admin_addr: self.admin().address().to_owned(),
            token_file: self.token_file(),
            simulator_url: self.simulator.as_ref().map(|site| site.client.url().to_owned()),
            simulator_tls_addr: self.simulator.as_ref().map(|site| site.tls_addr.clone()),
            coordinators: coordinators.collect(),
            nodes,
            tenants: self.tenants.clone(),
        }
    }

    /// Every log, with the name of its process.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let members = self.simulator.as_ref().map(|site| &site.member).into_iter();
        let members = members.chain(&self.coordinators).chain(&self.nodes);
        let stores = self.etcd.iter().map(Etcd::name).chain(["postgres"]);
        let stores = stores.map(|name| (name.to_owned(), self.state_dir.log(name)));
        members.map(|member| (member.id().to_owned(), member.log().to_owned())).chain(stores).collect()
    }

    async fn start_nodes(&mut self) -> Result<()> {
        let nodes =
            (1..=self.options.nodes).map(|number| self.new_node(number)).collect::<Result<Vec<_>>>()?;
        self.nodes = nodes;
        try_join_all(self.nodes.iter_mut().map(Member::start)).await?;
        self.remember()
    }

    fn new_node(&self, number: usize) -> Result<Member> {
        let programs = launches::Programs::find(&self.options)?;
        let simulator = self.simulator.as_ref();
        let (etcd, roads, postgres) = (&self.etcd, &self.roads, &self.postgres);
        let services = launches::Services { etcd, roads, postgres, simulator };
        launches::node(&launches::node_id(number), &programs, &self.state_dir, &self.options, &services)
    }

    fn remember(&self) -> Result<()> {
        let members = self.simulator.as_ref().map(|site| &site.member).into_iter();
        let members = members.chain(&self.coordinators).chain(&self.nodes).filter_map(Member::started);
        let etcd = self.etcd.iter().map(|member| (member.name(), member.identity()));
        let stores = etcd.chain([("postgres", self.postgres.identity())]);
        let stores = stores.map(|(name, identity)| Started { name: name.to_owned(), identity });
        self.state_dir.remember(&stores.chain(members).collect::<Vec<_>>())
    }
}
