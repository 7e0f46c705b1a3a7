//! The phones: somebody writes to every tenant all the time, and the answers are counted.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use parking_lot::Mutex;
use roost_devcluster::{Simulator, TenantRecord, wait_until};
use tokio::{sync::watch, task::JoinHandle};

pub use super::transcript::Count;
use super::transcript::{Millis, Transcript};

/// From one message to a tenant to the next.
const PACE: Duration = Duration::from_millis(400);
const READ_EVERY: Duration = Duration::from_millis(100);
const CHATS: usize = 3;

/// Dropping it stops the writing.
#[derive(Debug)]
pub struct Load {
    transcript: Arc<Mutex<Transcript>>,
    writing: watch::Sender<bool>,
    writer: JoinHandle<Result<()>>,
    reader: JoinHandle<Result<()>>,
}

impl Load {
    pub fn begin(simulator: &Simulator, tenants: &[TenantRecord]) -> Self {
        let transcript = Arc::new(Mutex::new(Transcript::new(tenants)));
        let (writing, goes_on) = watch::channel(true);
        let writer = tokio::spawn(write(simulator.clone(), transcript.clone(), goes_on));
        let reader = tokio::spawn(read(simulator.clone(), transcript.clone()));
        Self { transcript, writing, writer, reader }
    }

    /// Waits until every tenant has answered something that was asked at or after `since`; when that was.
    pub async fn all_answer(&self, since: Millis, within: Duration) -> Result<Millis> {
        let answered =
            || async { self.transcript.lock().all_answered_since(since).is_ok() || self.has_ended() };
        let waited = wait_until("every tenant answers again", within, answered).await;
        if self.has_ended() {
            bail!("the simulator failed the judge: its phones cannot write or read any more");
        }
        match (self.transcript.lock().all_answered_since(since), waited) {
            (Ok(at), _) => Ok(at),
            (Err(silent), _) => bail!("not answered within {within:?}: {}", silent.join(", ")),
        }
    }

    pub fn count(&self) -> Count {
        self.transcript.lock().count()
    }

    /// Nothing more is written, and all that was written is awaited; what came of it.
    pub async fn settle(&self, within: Duration) -> Count {
        self.writing.send_replace(false);
        let settled = || async { self.writer.is_finished() && self.count().missing == 0 };
        // What is missing is in the count, for the judge.
        wait_until("every message has its answer", within, settled).await.ok();
        self.count()
    }

    fn has_ended(&self) -> bool {
        self.reader.is_finished() || self.writer.is_finished()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.writer.abort();
        self.reader.abort();
    }
}

pub(super) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

async fn write(
    simulator: Simulator,
    transcript: Arc<Mutex<Transcript>>,
    mut goes_on: watch::Receiver<bool>,
) -> Result<()> {
    let tenants = transcript.lock().tenants();
    let mut pace = tokio::time::interval(PACE / tenants as u32);
    for number in 0_usize.. {
        tokio::select! {
            _ = pace.tick() => {}
            _ = goes_on.wait_for(|on| !on) => return Ok(()),
        }
        let (tenant, turn) = (number % tenants, number / tenants);
        let from = format!("2557110{:05}", turn % CHATS);
        let body = format!("message {turn}");
        let phone = transcript.lock().phone(tenant);
        // Asked first: an answer may be there before the simulator's own.
        transcript.lock().ask(tenant, &from, body.clone(), now());
        simulator.message(&phone, &from, &body).await?;
    }
    Ok(())
}

async fn read(simulator: Simulator, transcript: Arc<Mutex<Transcript>>) -> Result<()> {
    let mut pace = tokio::time::interval(READ_EVERY);
    let tenants = transcript.lock().tenants();
    loop {
        pace.tick().await;
        for tenant in 0..tenants {
            let (phone, after) = transcript.lock().cursor(tenant);
            let answers = simulator.sent(&phone, after).await?;
            transcript.lock().answered(tenant, answers);
        }
    }
}
