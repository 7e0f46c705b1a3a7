//! SetWorkerLogLevel: what is written in a worker's log follows it within seconds, on the next node after a failover too, and no longer
//! than it was asked for.

use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use roost_proto::v1::{
    LogLevel, ReadWorkerLogRequest, RestartWorkerRequest, SetWorkerLogLevelRequest, TenantLogLevel,
    WorkerLogLine,
};

use super::stage::{Stage, until};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

impl Stage {
    async fn set_level(
        &self,
        level: LogLevel,
        span: Option<prost_types::Duration>,
    ) -> Result<TenantLogLevel> {
        let request = SetWorkerLogLevelRequest {
            tenant_id: self.tenant(),
            level: level.into(),
            duration: span,
            requested_by: "asha".into(),
            reason: "ticket 7".into(),
        };
        Ok(self.cluster.admin().inspection().set_worker_log_level(request).await?.into_inner())
    }

    /// Has the worker say something at DEBUG, if that is written.
    async fn restart(&self) -> Result<()> {
        let restart = RestartWorkerRequest { tenant_id: self.tenant() };
        self.cluster.admin().workers().restart_worker(restart).await?;
        Ok(())
    }

    async fn lines(&self, generation: i64) -> Result<Vec<WorkerLogLine>> {
        let (lines, _) = self.log(ReadWorkerLogRequest { lines: 10_000, ..Default::default() }).await?;
        Ok(lines.into_iter().filter(|line| line.generation == generation).collect())
    }

    /// Restarts until a line at DEBUG comes, which the node writes once it has heard of the level.
    async fn debugged(&self, generation: i64) -> Result<()> {
        until(async || {
            self.restart().await?;
            let lines = self.lines(generation).await?;
            ensure!(lines.iter().any(|line| line.level() == LogLevel::Debug), "{lines:?}");
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn a_level_for_a_time_goes_with_its_tenant_and_ends_by_itself() -> Result<()> {
    let mut stage = Stage::new().await?;
    let worker = stage.describe().await?.worker.context("a worker")?;
    let (first, generation) = (worker.node_id.clone(), worker.generation);
    let before = stage.lines(generation).await?;
    ensure!(!before.is_empty() && before.iter().all(|line| line.level() != LogLevel::Debug), "{before:?}");

    let set = stage.set_level(LogLevel::Debug, None).await?;
    ensure!(set.temporary_level() == LogLevel::Debug && set.until_time.is_some(), "{set:?}");
    let described = stage.describe().await?.log_level.context("what holds")?;
    ensure!(described == set, "{described:?}");
    stage.debugged(generation).await?;

    stage.cluster.node(&first)?.kill().await?;
    let next = stage
        .described(|told| {
            let worker = told.worker.as_ref();
            worker.is_some_and(|worker| worker.node_id != first && worker.generation > generation)
                && told.live.as_ref().is_some_and(|live| live.since_proof.is_some())
        })
        .await?;
    let generation = next.worker.context("a worker")?.generation;
    stage.debugged(generation).await?;

    // It is over by itself: nobody is told, and nothing more is written.
    stage.set_level(LogLevel::Debug, seconds(2)).await?;
    stage.described(|told| told.log_level.is_none()).await?;
    let over = prost_types::Timestamp::from(SystemTime::now());
    stage.restart().await?;
    let after = until(async || {
        let mut lines = stage.lines(generation).await?;
        lines.retain(|line| line.time.is_some_and(|at| (at.seconds, at.nanos) > (over.seconds, over.nanos)));
        let is_up = |line: &WorkerLogLine| line.fields_json.contains("\"to\":\"running\"");
        ensure!(lines.iter().any(is_up), "{lines:?}");
        Ok(lines)
    })
    .await?;
    ensure!(after.iter().all(|line| line.level() != LogLevel::Debug), "{after:?}");
    Ok(())
}
