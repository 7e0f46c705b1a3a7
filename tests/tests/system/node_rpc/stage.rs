//! A cluster of null-engine nodes, and what tests wait for on it.

use std::time::Duration;

use anyhow::{Result, bail};
use roost_devcluster::{Cluster, Options};
use roost_proto::v1::{DescribeWorkerRequest, WorkerDescription};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A worker's first lines are kept in the database a minute later.
pub const A_SAVE: Duration = Duration::from_secs(100);
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub cluster: Cluster,
    /// Removed after the cluster.
    _dir: TempDir,
}

impl Stage {
    /// Two nodes without browsers, and one tenant that is connected.
    pub async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = Options {
            nodes: 2,
            tenants: 1,
            phones_scan: false,
            lease_ttl: Duration::from_secs(3),
            node_args: ["--engine", "null"].map(str::to_owned).to_vec(),
            ..Options::new(dir.path().join("state"))
        };
        let cluster = Cluster::start(options).await?;
        let stage = Self { cluster, _dir: dir };
        stage.described(|told| told.live.as_ref().is_some_and(|live| live.since_proof.is_some())).await?;
        Ok(stage)
    }

    pub fn tenant(&self) -> String {
        self.cluster.tenants()[0].id.clone()
    }

    pub async fn describe(&self) -> Result<WorkerDescription> {
        let request = DescribeWorkerRequest { tenant_id: self.tenant() };
        Ok(self.cluster.admin().inspection().describe_worker(request).await?.into_inner())
    }

    /// Waits until the tenant's worker is described so.
    pub async fn described(&self, is_so: impl Fn(&WorkerDescription) -> bool) -> Result<WorkerDescription> {
        until(async || {
            let told = self.describe().await?;
            if is_so(&told) { Ok(told) } else { bail!("it is {told:?}") }
        })
        .await
    }
}

/// The first success, or the last failure.
pub async fn until<T>(attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    until_within(PATIENCE, attempt).await
}

pub async fn until_within<T>(within: Duration, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match attempt().await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(100)).await,
            outcome => return outcome,
        }
    }
}
