//! One cluster for one test.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use roost_devcluster::{Cluster, Options, TenantRecord};
use roost_proto::v1::{CreateTenantRequest, GetTenantRequest, StartWorkerRequest, Tenant};
use tempfile::TempDir;

use crate::{conversation::Conversation, judge};

/// What any single step may take on a loaded machine with two cores. Long on purpose: scenarios prove that things
/// happen; how fast is for the benchmarks to say.
pub const SOON: Duration = Duration::from_secs(60);

/// A running cluster with its tenants connected. Dropping it kills everything; [`Scenario::finish`] also judges.
pub struct Scenario {
    pub cluster: Cluster,
    dir: TempDir,
    expected_errors: Vec<&'static str>,
}

impl Scenario {
    /// Echoing tenants on so many nodes, all connected; the simulated site is hard on them.
    pub async fn start(nodes: usize, tenants: usize) -> Result<Self> {
        Self::start_with(|options| (options.nodes, options.tenants) = (nodes, tenants)).await
    }

    /// The same with any options.
    pub async fn start_with(adjust: impl FnOnce(&mut Options)) -> Result<Self> {
        let scenario = Self::starting(adjust).await?;
        scenario.cluster.connected(SOON).await?;
        Ok(scenario)
    }

    /// The same, with tenants that may not be connected yet. The directory's name is one of those that programs trip over.
    pub async fn starting(adjust: impl FnOnce(&mut Options)) -> Result<Self> {
        let dir = TempDir::with_prefix("roost scenario \u{c4}").context("a directory for the cluster")?;
        let mut options = Options::new(dir.path());
        (options.echo, options.hard) = (true, true);
        // Those that count browsers, or kill one of them, mean those of the tenants.
        options.spare_browsers = Some(0);
        adjust(&mut options);
        let cluster = Cluster::start(options).await?;
        Ok(Self { cluster, dir, expected_errors: vec![] })
    }

    pub fn tenant(&self, index: usize) -> TenantRecord {
        self.cluster.tenants()[index].clone()
    }

    /// The node that owns a tenant now.
    pub async fn owner(&self, tenant: &TenantRecord) -> Result<String> {
        Ok(self.cluster.worker(&tenant.id).await?.node_id)
    }

    pub fn conversation(&self, tenant: &TenantRecord) -> Result<Conversation> {
        Ok(Conversation::new(self.cluster.simulator()?.clone(), tenant))
    }

    /// A message and its answer, as the plainest sign of life.
    pub async fn answers(&self, tenant: &TenantRecord, body: &str) -> Result<()> {
        let answer = self.cluster.ask(tenant, "+255711000111", body, SOON).await?;
        ensure!(
            answer.body == format!("echo: {body}"),
            "{} answered {:?} to {body:?}",
            tenant.id,
            answer.body
        );
        Ok(())
    }

    /// This scenario does what a person must be told of: a log line with this text is no failure.
    pub fn expect_error(&mut self, text: &'static str) {
        self.expected_errors.push(text);
    }

    /// Everything that was said has been answered once, in order.
    pub async fn settle(&self, conversation: &Conversation, within: Duration) -> Result<()> {
        match conversation.settle(within).await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error}\n{}", self.cluster.diagnose().await),
        }
    }

    /// Judges the run, stops the cluster, and sees that nothing of it is left.
    pub async fn finish(mut self) -> Result<()> {
        let connections = self.cluster.simulator()?.connections().await?;
        judge::never_two_browsers(&connections)?;
        judge::nothing_needless_was_sent(self.cluster.simulator()?, self.cluster.tenants()).await?;
        let database = self.cluster.postgres().url().to_owned();
        judge::sends_were_claimed(&database, self.cluster.simulator()?, self.cluster.tenants()).await?;
        self.end().await
    }

    /// The same for one in which no page was to be connected.
    pub async fn finish_without_a_connection(self) -> Result<()> {
        let seen = self.cluster.simulator()?.connections().await?.connections;
        ensure!(seen.is_empty(), "a page was connected: {seen:?}");
        self.end().await
    }

    /// Ends everything at once and keeps its directory, logs and database, for whoever looks into a failure.
    pub fn keep(self) -> PathBuf {
        let Self { cluster, dir, .. } = self;
        drop(cluster);
        dir.keep()
    }

    async fn end(self) -> Result<()> {
        let Self { cluster, dir, expected_errors } = self;
        let logs = cluster.logs();
        cluster.stop().await?;
        judge::no_error_was_logged(&logs, &expected_errors)?;
        let left = processes_that_name(&dir.path().display().to_string())?;
        ensure!(left.is_empty(), "processes are left: {left:#?}");
        let path = dir.path().to_owned();
        dir.close().with_context(|| format!("removing {}", path.display()))
    }
}

/// Command lines of living processes in which a text occurs.
pub fn processes_that_name(text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let Ok(cmdline) = fs::read(entry?.path().join("cmdline")) else { continue };
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        if cmdline.contains(text) {
            found.push(cmdline);
        }
    }
    Ok(found)
}

/// Makes a tenant and starts its worker, for tests that hold the phone themselves.
pub async fn create_started(cluster: &mut Cluster, record: &TenantRecord) -> Result<()> {
    let tenant =
        Tenant { display_name: record.name.clone(), phone: record.phone.clone(), ..Tenant::default() };
    let create = CreateTenantRequest { tenant: Some(tenant), tenant_id: record.id.clone() };
    cluster.admin().tenants().create_tenant(create).await?;
    let start = StartWorkerRequest { tenant_id: record.id.clone() };
    cluster.admin().workers().start_worker(start).await?;
    Ok(())
}

/// The tenant as the admin API tells it.
pub async fn tenant(cluster: &Cluster, id: &str) -> Result<Tenant> {
    Ok(cluster.admin().tenants().get_tenant(GetTenantRequest { id: id.to_owned() }).await?.into_inner())
}
