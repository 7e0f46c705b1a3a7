//! Notifications of changes, from the triggers of the tables (LISTEN). A hint that saves waiting, never a fact: the connection
//! may be down while a change happens, and a slow receiver loses old ones, so every user also looks by itself from
//! time to time.

use std::time::Duration;

use roost_model::ids::{OperationId, TenantId};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{
    sync::broadcast,
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    connecting::Connecting,
    turnover::{Turnover, is_read_only},
};

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

/// What concerns the cluster as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClusterChange {
    /// An operator has ordered something. Not: the controller has noted something.
    Orders,
    /// The operation has begun, gone on or ended.
    Operation(OperationId),
    /// There is a new event.
    Event,
    /// A tenant was deleted, and its messages are to be removed.
    Deletion,
    /// The setup request was submitted, looked at or decided.
    SetupRequest(i64),
}

#[derive(Clone)]
struct Senders {
    tenants: broadcast::Sender<Change>,
    cluster: broadcast::Sender<ClusterChange>,
}

/// The one task of a process that listens. It ends with the [`Store`](crate::Store) it belongs to.
pub(crate) struct Listener {
    senders: Senders,
    task: AbortHandle,
}

impl Listener {
    pub(crate) fn spawn(connecting: Connecting, turnover: Turnover) -> Self {
        let senders =
            Senders { tenants: broadcast::Sender::new(BACKLOG), cluster: broadcast::Sender::new(BACKLOG) };
        let task = tokio::spawn(keep_listening(connecting, turnover, senders.clone())).abort_handle();
        Self { senders, task }
    }

    pub(crate) fn tenants(&self) -> broadcast::Receiver<Change> {
        self.senders.tenants.subscribe()
    }

    pub(crate) fn cluster(&self) -> broadcast::Receiver<ClusterChange> {
        self.senders.cluster.subscribe()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_listening(connecting: Connecting, turnover: Turnover, senders: Senders) {
    loop {
        let Err(reason) = listen(&connecting, &turnover, &senders).await;
        tracing::info!(%reason, "lost the connection that listens for changes, listening again soon");
        sleep(RECONNECT_AFTER).await;
    }
}

/// Listens until the connection fails, or leads to a server where nobody can change anything.
async fn listen(
    connecting: &Connecting,
    turnover: &Turnover,
    senders: &Senders,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut server_changes = turnover.subscribe();
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT);
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(connecting.options())).await?;
    timeout(CONNECT_TIMEOUT, listener.listen(CHANNEL))
        .await
        .map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
    loop {
        let heard = tokio::select! {
            heard = timeout(SILENCE, listener.try_recv()) => heard,
            // An error means that the store is gone, and this task is about to be.
            _ = server_changes.changed() => return Err(read_only()),
        };
        match heard {
            Ok(notification) => {
                let notification = notification?.ok_or(sqlx::Error::WorkerCrashed)?;
                publish(notification.payload(), senders);
            }
            Err(_elapsed) => {
                let asked = timeout(CONNECT_TIMEOUT, is_read_only(&mut listener)).await;
                if asked.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?? {
                    return Err(read_only());
                }
            }
        }
    }
}

fn read_only() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other("the server has become read-only"))
}

fn publish(payload: &str, senders: &Senders) {
    match parse(payload) {
        // Without receivers there is nobody to notify.
        Some(Notification::Tenant(change)) => drop(senders.tenants.send(change)),
        Some(Notification::Cluster(change)) => drop(senders.cluster.send(change)),
        None => tracing::warn!(payload, "notification of a change that this version does not know"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Notification {
    Tenant(Change),
    Cluster(ClusterChange),
}

fn parse(payload: &str) -> Option<Notification> {
    let (kind, of) = payload.split_once(':').unwrap_or((payload, ""));
    let tenant = |kind| Some(Notification::Tenant(Change { kind, tenant: TenantId::new(of).ok()? }));
    match kind {
        "spec" => tenant(ChangeKind::Spec),
        "worker" => tenant(ChangeKind::Worker),
        "session" => tenant(ChangeKind::Session),
        "orders" => Some(Notification::Cluster(ClusterChange::Orders)),
        "operation" => Some(Notification::Cluster(ClusterChange::Operation(OperationId(of.parse().ok()?)))),
        "event" => Some(Notification::Cluster(ClusterChange::Event)),
        "deletion" => Some(Notification::Cluster(ClusterChange::Deletion)),
        "setup_request" => Some(Notification::Cluster(ClusterChange::SetupRequest(of.parse().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use roost_model::ids::{OperationId, TenantId};

    use super::{Change, ChangeKind, ClusterChange, Notification, parse};

    #[test]
    fn what_the_triggers_say_is_understood() {
        let tenant = TenantId::new("duka-1").expect("an id");
        assert_eq!(
            parse("session:duka-1"),
            Some(Notification::Tenant(Change { kind: ChangeKind::Session, tenant }))
        );
        assert_eq!(parse("orders"), Some(Notification::Cluster(ClusterChange::Orders)));
        assert_eq!(
            parse("operation:7"),
            Some(Notification::Cluster(ClusterChange::Operation(OperationId(7))))
        );
        assert_eq!(parse("event"), Some(Notification::Cluster(ClusterChange::Event)));
        assert_eq!(parse("deletion"), Some(Notification::Cluster(ClusterChange::Deletion)));
        assert_eq!(parse("setup_request:7"), Some(Notification::Cluster(ClusterChange::SetupRequest(7))));
        assert_eq!(parse("weather:duka-1"), None);
        assert_eq!(parse("spec"), None);
        assert_eq!(parse("operation:x"), None);
    }
}
