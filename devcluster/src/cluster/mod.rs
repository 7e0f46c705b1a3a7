//! A whole cluster on this machine: private etcd and PostgreSQL, the simulator, coordinators and nodes, tenants with
//! phones. `roost dev` and `roost demo` show it to people; the scenario tests break it.
//!
//! Every process can be killed, stopped, frozen and started again on its own. Nothing is restarted behind the caller's
//! back: a killed node stays dead, so that one can see what the others do.

mod inventory;
mod starts;

use std::path::{Path, PathBuf};

use super::{
    certificates::Certificates,
    error::{DevError, Result},
    etcd::Etcd,
    launches::{self, SimulatedSite},
    member::Member,
    options::Options,
    phones::Phones,
    postgres::Postgres,
    record::TenantRecord,
    roads::Roads,
    simulator::Simulator,
    state_dir::{Started, StateDir},
    tenants,
};
use roost_proto::client::Admin;

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
    certificates: Option<Certificates>,
    /// One for each coordinator.
    admins: Vec<Admin>,
    tenants: Vec<TenantRecord>,
    portal_url: Option<String>,
    setup_url: Option<String>,
    console_url: Option<String>,
    options: Options,
    ended_leftovers: Vec<Started>,
    // Last, for the lock: the directory is free when all of it is gone.
    state_dir: StateDir,
}

impl Cluster {
    /// Starts everything, makes the tenants that are missing, and starts their workers. Returns when all processes
    /// serve; [`Cluster::connected`] waits for the tenants.
    pub async fn start(options: Options) -> Result<Self> {
        let programs = launches::Programs::find(&options)?;
        let (state_dir, ended_leftovers) = StateDir::take(&options.state_dir)?;
        let token = state_dir.token()?;
        let postgres_port = state_dir.port("postgres", options.ports.postgres)?;
        let tls_dir = state_dir.root().join("tls");
        let certificates = options.tls.then(|| Certificates::make(&tls_dir)).transpose()?;
        let (etcd, postgres, simulator) = tokio::try_join!(
            launches::start_etcd(&state_dir, &options, certificates.as_ref()),
            Postgres::start_on(state_dir.root(), Some(postgres_port), certificates.as_ref()),
            launches::start_simulator(&programs, &state_dir, &options),
        )?;
        let roads = launches::build_roads(&options, &etcd, &postgres).await?;
        let services = launches::Services {
            etcd: &etcd,
            roads: &roads,
            postgres: &postgres,
            simulator: simulator.as_ref(),
            certificates: certificates.as_ref(),
        };
        let coordinators = launches::start_coordinators(&programs, &state_dir, &options, &services).await?;
        let admins = coordinators.iter().map(|coordinator| admin(coordinator, &token, certificates.as_ref()));
        let admins = admins.collect::<Result<Vec<_>>>()?;
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
            certificates,
            admins,
            tenants,
            portal_url: None,
            setup_url: None,
            console_url: None,
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

    /// HOST:PORT where the first coordinator serves in JSON over HTTP.
    pub fn http_addr(&self) -> Option<&str> {
        self.coordinators[0].http_addr()
    }

    /// Has somebody use the portal for the first tenant, if there is one: by a link, or as who has come in at an earlier start.
    pub async fn invite_owner(&mut self) -> Result<()> {
        if let Some(tenant) = self.tenants.first() {
            let link = tenants::invite_owner(self.admin(), tenant).await?;
            self.portal_url = link.or_else(|| self.site("/"));
        }
        Ok(())
    }

    /// Has somebody ask for a business of his own.
    pub async fn invite_applicant(&mut self) -> Result<()> {
        self.setup_url = Some(tenants::invite_applicant(self.admin()).await?);
        Ok(())
    }

    /// Where that is done, once somebody was invited to.
    pub fn setup_url(&self) -> Option<&str> {
        self.setup_url.as_deref()
    }

    /// A page that stands for a phone, to try with.
    pub fn phone_url(&self) -> Option<String> {
        let site = self.simulator.as_ref()?;
        Some(format!("{}/phone", site.client.url().trim_end_matches('/')))
    }

    /// The same of the console, for an admin.
    pub async fn invite_admin(&mut self) -> Result<()> {
        let link = tenants::invite_admin(self.admin()).await?;
        self.console_url = link.or_else(|| self.site("/console"));
        Ok(())
    }

    fn site(&self, path: &str) -> Option<String> {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        self.http_addr().map(|addr| format!("{scheme}://{addr}{path}"))
    }

    /// Where an admin comes in, once one was invited.
    pub fn console_url(&self) -> Option<&str> {
        self.console_url.as_deref()
    }

    /// Where a person comes in, once somebody was invited.
    pub fn portal_url(&self) -> Option<&str> {
        self.portal_url.as_deref()
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
}

fn admin(coordinator: &Member, token: &str, certificates: Option<&Certificates>) -> Result<Admin> {
    Ok(match certificates {
        Some(certificates) => Admin::secured(coordinator.addr(), token, certificates.admin()?)?,
        None => Admin::new(coordinator.addr(), token)?,
    })
}
