//! ReadWorkerLog: a worker's log, followed from one node to the next, and what is left of it when its node is gone.

use anyhow::{Context, Result, bail, ensure};
use roost_proto::v1::{
    LogLevel, ReadWorkerLogRequest, ReadWorkerLogResponse, RestartWorkerRequest, WorkerLogLine,
};
use tokio::time::timeout;
use tonic::{Code, Streaming};

use super::stage::{PATIENCE, Stage, until};

impl Stage {
    async fn read(&self, request: ReadWorkerLogRequest) -> Result<Streaming<ReadWorkerLogResponse>> {
        let request = ReadWorkerLogRequest { tenant_id: self.tenant(), ..request };
        Ok(self.cluster.admin().inspection().read_worker_log(request).await?.into_inner())
    }

    /// All lines and notices of what ends by itself.
    pub async fn log(&self, request: ReadWorkerLogRequest) -> Result<(Vec<WorkerLogLine>, Vec<String>)> {
        let mut answers = self.read(request).await?;
        let (mut lines, mut notices) = (vec![], vec![]);
        while let Some(answer) = answers.message().await? {
            lines.extend(answer.lines);
            notices.extend(Some(answer.notice).filter(|notice| !notice.is_empty()));
        }
        Ok((lines, notices))
    }
}

/// Reads on until a line is so.
async fn line_that(
    followed: &mut Streaming<ReadWorkerLogResponse>,
    is_so: impl Fn(&WorkerLogLine) -> bool,
) -> Result<WorkerLogLine> {
    let mut seen = vec![];
    let reading = async {
        while let Some(answer) = followed.message().await? {
            let found = answer.lines.iter().find(|line| is_so(line)).cloned();
            seen.push(answer);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        bail!("it ended")
    };
    timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| bail!("it is silent"))
        .with_context(|| format!("{seen:?}"))
}

#[tokio::test]
async fn a_log_is_followed_over_a_failover_and_the_dead_owners_is_kept() -> Result<()> {
    let mut stage = Stage::new().await?;
    let worker = stage.describe().await?.worker.context("a worker")?;
    let (first, generation) = (worker.node_id.clone(), worker.generation);
    let (lines, notices) = stage.log(ReadWorkerLogRequest::default()).await?;
    ensure!(notices.is_empty(), "{notices:?}");
    ensure!(lines.iter().any(|line| line.message == "the worker begins"), "{lines:?}");
    let is_of_first = |line: &WorkerLogLine| line.node_id == first && line.generation == generation;
    ensure!(lines.iter().all(is_of_first), "{lines:?}");
    let one = ReadWorkerLogRequest { lines: 1, ..Default::default() };
    ensure!(stage.log(one).await?.0.len() == 1);
    let errors = ReadWorkerLogRequest { level: LogLevel::Error.into(), ..Default::default() };
    ensure!(stage.log(errors).await?.0.is_empty());

    let mut followed = stage.read(ReadWorkerLogRequest { follow: true, ..Default::default() }).await?;
    line_that(&mut followed, |line| line.message == "the worker begins").await?;
    let restart = RestartWorkerRequest { tenant_id: stage.tenant() };
    stage.cluster.admin().workers().restart_worker(restart).await?;
    line_that(&mut followed, |line| is_of_first(line) && line.message == "the worker's state changed")
        .await?;

    // A minute after its first line at the latest the database has the end of it, also of a node that is killed.
    let database = stage.cluster.postgres().url().to_owned();
    let store = roost_store::Store::connect_lazy(&database, 2)?;
    let tenant = stage.tenant().parse()?;
    super::stage::until_within(super::stage::A_SAVE, async || {
        let tails = store.log_tails(&tenant).await?;
        ensure!(tails.iter().any(|tail| tail.generation.0 == generation), "{} are kept", tails.len());
        Ok(())
    })
    .await?;
    stage.cluster.node(&first)?.kill().await?;
    let next =
        line_that(&mut followed, |line| line.node_id != first && line.message == "the worker begins").await?;
    ensure!(next.generation > generation, "{next:?}");

    let previous = ReadWorkerLogRequest { previous: true, ..Default::default() };
    let (lines, notices) = until(async || {
        let told = stage.log(previous.clone()).await?;
        ensure!(!told.0.is_empty(), "{told:?}");
        Ok(told)
    })
    .await?;
    ensure!(lines.iter().all(is_of_first) && lines.iter().any(|line| line.message == "the worker begins"));
    ensure!(notices.len() == 1 && notices[0].contains("kept in the database"), "{notices:?}");

    let both = ReadWorkerLogRequest {
        tenant_id: stage.tenant(),
        previous: true,
        follow: true,
        ..Default::default()
    };
    let refused = stage.cluster.admin().inspection().read_worker_log(both).await.unwrap_err();
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    stage.cluster.stop().await?;
    Ok(())
}
