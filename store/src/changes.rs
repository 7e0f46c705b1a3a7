//! Word of changes, from the triggers of the tables (LISTEN). A hint that saves waiting, never a fact: the connection
//! may be down while a change happens, and a slow receiver loses old ones, so every user also looks by itself from
//! time to time.

use std::time::Duration;

use roost_cluster::ids::TenantId;
use sqlx::{
    Executor,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::broadcast,
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::Store;

const CHANNEL: &str = "roost_changes";
/// Changes that a receiver may be behind before it loses the oldest.
const BACKLOG: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// A connection that has said nothing for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    pub tenant: TenantId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The tenant came, went or changed, or its worker was asked to start, stop or restart.
    Spec,
    /// The worker's status, place or error changed, or it went with its tenant. Not: it was seen.
    Worker,
    /// The session's status or QR code changed.
    Session,
}

impl Store {
    /// The changes from now on. One connection serves all receivers of a process.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.listener().sender.subscribe()
    }
}

/// The one task of a process that listens. It ends with the [`Store`] it belongs to.
pub(crate) struct Listener {
    sender: broadcast::Sender<Change>,
    task: AbortHandle,
}

impl Listener {
    pub(crate) fn spawn(options: PgConnectOptions) -> Self {
        let (sender, _receiver) = broadcast::channel(BACKLOG);
        let task = tokio::spawn(keep_listening(options, sender.clone())).abort_handle();
        Self { sender, task }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_listening(options: PgConnectOptions, sender: broadcast::Sender<Change>) {
    loop {
        let Err(reason) = listen(&options, &sender).await;
        tracing::info!(%reason, "lost the database's word of changes; listening again soon");
        sleep(RECONNECT_AFTER).await;
    }
}

/// Listens until the connection fails.
async fn listen(
    options: &PgConnectOptions,
    sender: &broadcast::Sender<Change>,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options.clone())).await?;
    timeout(CONNECT_TIMEOUT, listener.listen(CHANNEL))
        .await
        .map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(word) => {
                let word = word?.ok_or(sqlx::Error::WorkerCrashed)?;
                publish(word.payload(), sender);
            }
            Err(_elapsed) => {
                let asked = timeout(CONNECT_TIMEOUT, listener.execute("select 1")).await;
                asked.map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
            }
        }
    }
}

fn publish(payload: &str, sender: &broadcast::Sender<Change>) {
    match parse(payload) {
        // Without receivers there is nobody to tell.
        Some(change) => drop(sender.send(change)),
        None => tracing::warn!(payload, "the database told of a change that this version does not know"),
    }
}

fn parse(payload: &str) -> Option<Change> {
    let (kind, tenant) = payload.split_once(':')?;
    let kind = match kind {
        "spec" => ChangeKind::Spec,
        "worker" => ChangeKind::Worker,
        "session" => ChangeKind::Session,
        _ => return None,
    };
    Some(Change { kind, tenant: TenantId::new(tenant).ok()? })
}

#[cfg(test)]
mod tests {
    use super::{ChangeKind, parse};

    #[test]
    fn what_the_triggers_say_is_understood() {
        let change = parse("session:duka-1").expect("a known kind");
        assert_eq!((change.kind, change.tenant.as_str()), (ChangeKind::Session, "duka-1"));
        assert_eq!(parse("weather:duka-1"), None);
        assert_eq!(parse("spec"), None);
    }
}
