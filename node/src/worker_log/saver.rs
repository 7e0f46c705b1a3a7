//! Keeps the end of each worker's log in the database, where it survives this machine.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use roost_model::{
    causes,
    ids::{Generation, NodeId},
};
use roost_store::{LogTail, Store};
use tokio::time::{sleep_until, timeout};

use super::{handle::WorkerLog, line::LineFilter, unsaved::WorkerKey};
use crate::blocking::run_blocking;

/// Of the lines of a worker, before they are compressed: a start and some trouble.
pub const TAIL_BYTES: usize = 64 << 10;
/// In one statement, which has 1 MiB at the most then.
const AT_ONCE: usize = 32;
/// Without anything to save it is looked whether files are to go.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

pub struct LogSaver {
    pub log: WorkerLog,
    pub store: Store,
    pub node: NodeId,
}

impl LogSaver {
    /// For as long as the process.
    pub async fn run(self: Arc<Self>) {
        let mut sweep_at = Instant::now() + SWEEP_EVERY;
        loop {
            if Instant::now() >= sweep_at {
                sweep_at = Instant::now() + SWEEP_EVERY;
                self.log.sweep().await;
            }
            if !self.save_due().await {
                let wake_at = self.log.unsaved.next_due().map_or(sweep_at, |due| due.min(sweep_at));
                tokio::select! {
                    () = self.log.unsaved.sooner.notified() => {}
                    () = sleep_until(wake_at.into()) => {}
                }
            }
        }
    }

    /// What has been logged until now, at most for so long.
    pub async fn flush(&self, within: Duration) {
        let saved = timeout(within, async {
            self.log.until_written().await;
            self.log.unsaved.hurry();
            while self.save_due().await {}
        });
        if saved.await.is_err() {
            tracing::warn!("the ends of some workers' logs are on this machine alone");
        }
    }

    /// False when nothing was due.
    async fn save_due(&self) -> bool {
        let due = self.log.unsaved.take_due(Instant::now(), AT_ONCE);
        if due.is_empty() {
            return false;
        }
        let mut tails = Vec::with_capacity(due.len());
        for worker in &due {
            tails.extend(self.tail(worker).await);
        }
        if let Err(error) = self.store.save_log_tails(&self.node, &tails).await {
            tracing::warn!(error = %causes(&error), workers = due.len(), "the ends of workers' logs were not saved");
            self.log.unsaved.put_back(due, Instant::now());
        }
        true
    }

    /// None when nothing of it can be read any more.
    async fn tail(&self, (tenant, generation): &WorkerKey) -> Option<LogTail> {
        let open = self.log.open(tenant).await.ok()?;
        let filter = LineFilter { generation: Some(*generation), ..LineFilter::default() };
        let lines = run_blocking(move || {
            let lines = open.last(&filter, usize::MAX, TAIL_BYTES)?.join("\n");
            zstd::encode_all(lines.as_bytes(), 0)
        });
        let lines = lines.await.ok()?;
        Some(LogTail { tenant: tenant.clone(), generation: Generation(*generation), lines })
    }
}
