//! Watches the fencing numbers in PostgreSQL, directly and not by a relay: generations and the controller's term only
//! grow (I2).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use parking_lot::Mutex;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Dropping it ends the watch.
#[derive(Debug)]
pub struct Fences {
    seen: Arc<Mutex<Seen>>,
    watcher: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How often it was looked.
    pub looks: u64,
    pub term: i64,
    pub violations: Vec<String>,
    generations: BTreeMap<String, i64>,
}

impl Fences {
    pub fn watch(url: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let watcher = tokio::spawn(look_for_ever(url.to_owned(), seen.clone()));
        Self { seen, watcher }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }
}

impl Drop for Fences {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

async fn look_for_ever(url: String, seen: Arc<Mutex<Seen>>) {
    loop {
        // PostgreSQL is frozen and killed on purpose: the next look is on a new connection.
        look_until_it_fails(&url, &seen).await.ok();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look_until_it_fails(url: &str, seen: &Mutex<Seen>) -> Result<()> {
    let mut connection = tokio::time::timeout(ANSWER_WITHIN, PgConnection::connect(url)).await??;
    loop {
        let (generations, term) = tokio::time::timeout(ANSWER_WITHIN, read(&mut connection)).await??;
        seen.lock().take(generations, term);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn read(connection: &mut PgConnection) -> Result<(Vec<(String, i64)>, i64)> {
    let generations = sqlx::query_as("select tenant_id, generation from worker_processes");
    let generations = generations.fetch_all(&mut *connection).await?;
    let (term,) = sqlx::query_as("select term from controller_term").fetch_one(connection).await?;
    Ok((generations, term))
}

impl Seen {
    fn take(&mut self, generations: Vec<(String, i64)>, term: i64) {
        self.looks += 1;
        if term < self.term {
            self.violations.push(format!("PostgreSQL: the term went from {} to {term}", self.term));
        }
        self.term = term;
        for (tenant, generation) in generations {
            let before = self.generations.insert(tenant.clone(), generation);
            if let Some(before) = before.filter(|before| *before > generation) {
                self.violations.push(format!(
                    "PostgreSQL: the generation of {tenant} went from {before} to {generation}"
                ));
            }
        }
    }
}
