//! The phones: somebody writes to every tenant all the time, and the answers are counted.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use parking_lot::Mutex;
use roost_devcluster::{Simulator, TenantRecord, wait_until};
use tokio::{sync::watch, task::JoinHandle};

pub use super::book::Count;
use super::book::{Book, Millis};

/// From one message to a tenant to the next.
const PACE: Duration = Duration::from_millis(400);
const READ_EVERY: Duration = Duration::from_millis(100);
const CHATS: usize = 3;

/// Dropping it stops the writing.
#[derive(Debug)]
pub struct Load {
    book: Arc<Mutex<Book>>,
    writing: watch::Sender<bool>,
    writer: JoinHandle<Result<()>>,
    reader: JoinHandle<Result<()>>,
}

impl Load {
    pub fn begin(simulator: &Simulator, tenants: &[TenantRecord]) -> Self {
        let book = Arc::new(Mutex::new(Book::new(tenants)));
        let (writing, goes_on) = watch::channel(true);
        let writer = tokio::spawn(write(simulator.clone(), book.clone(), goes_on));
        let reader = tokio::spawn(read(simulator.clone(), book.clone()));
        Self { book, writing, writer, reader }
    }

    /// Waits until every tenant has answered something that was asked at or after `since`; when that was.
    pub async fn all_answer(&self, since: Millis, within: Duration) -> Result<Millis> {
        let answered = || async { self.book.lock().all_answered_since(since).is_ok() || self.has_ended() };
        let waited = wait_until("every tenant answers again", within, answered).await;
        if self.has_ended() {
            bail!("the simulator failed the judge: its phones cannot write or read any more");
        }
        match (self.book.lock().all_answered_since(since), waited) {
            (Ok(at), _) => Ok(at),
            (Err(silent), _) => bail!("not answered within {within:?}: {}", silent.join(", ")),
        }
    }

    pub fn count(&self) -> Count {
        self.book.lock().count()
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
    book: Arc<Mutex<Book>>,
    mut goes_on: watch::Receiver<bool>,
) -> Result<()> {
    let tenants = book.lock().tenants();
    let mut pace = tokio::time::interval(PACE / tenants as u32);
    for number in 0_usize.. {
        tokio::select! {
            _ = pace.tick() => {}
            _ = goes_on.wait_for(|on| !on) => return Ok(()),
        }
        let (tenant, turn) = (number % tenants, number / tenants);
        let from = format!("2557110{:05}", turn % CHATS);
        let body = format!("message {turn}");
        let phone = book.lock().phone(tenant);
        // Asked first: an answer may be there before the simulator's own.
        book.lock().ask(tenant, &from, body.clone(), now());
        simulator.message(&phone, &from, &body).await?;
    }
    Ok(())
}

async fn read(simulator: Simulator, book: Arc<Mutex<Book>>) -> Result<()> {
    let mut pace = tokio::time::interval(READ_EVERY);
    let tenants = book.lock().tenants();
    loop {
        pace.tick().await;
        for tenant in 0..tenants {
            let (phone, after) = book.lock().bookmark(tenant);
            let answers = simulator.sent(&phone, after).await?;
            book.lock().answered(tenant, answers);
        }
    }
}
