//! Becoming a live node: a lease, and under it the keys `nodes/<node>` and `acks/<node>`, created in one step that fails
//! when the node's name is in use.
//!
//! A key of that name may be a leftover of this node's own last life, which the guard is about to revoke or which ends
//! by its TTL. So a newcomer waits for somewhat longer than a lease can live; a name that is still in use then, by the
//! same incarnation all the while, is another living node's, and the newcomer is refused.

use std::time::Duration;

use roost_cluster::{
    clock::boottime,
    fence::Fence,
    ids::{Incarnation, Revision},
    keys,
    records::{AckRecord, NodeRecord},
    registry::{Commit, Guard, Op, RegistryError, SharedRegistry},
    timing::Timing,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::HostError;

/// On top of the TTL: expiry is noticed by etcd up to 0.6 s late.
const PATIENCE_BEYOND_TTL: Duration = Duration::from_secs(2);

/// One life of the node, begun.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    pub(super) record: NodeRecord,
    /// Counts from before the lease was asked for.
    pub(super) fence: Fence,
    /// When `nodes/<node>` was created; the guard of every later write to it.
    created: Revision,
}

impl Registration {
    pub(super) fn incarnation(&self) -> Incarnation {
        self.record.incarnation
    }

    /// Tells the controller to place this node's tenants elsewhere, one by one as they are released.
    pub(super) async fn announce_leaving(&self, registry: &SharedRegistry) -> Result<(), RegistryError> {
        let key = keys::node(&self.record.node);
        let record = NodeRecord { leaving: true, ..self.record.clone() };
        let guard = Guard::CreatedAt { key: key.clone(), revision: self.created };
        let put = Op::Put { key, value: keys::encode(&record), lease: Some(self.incarnation()) };
        match registry.commit(&[guard], &[put]).await? {
            Commit::Done { .. } => Ok(()),
            Commit::Refused => Err(RegistryError::LeaseLost { lease: self.incarnation() }),
        }
    }
}

/// Registers, however long the registry is out of reach. `record` is complete but for its incarnation. None when the
/// node is asked to stop first; that is looked at between attempts, so that none is left half done.
pub(super) async fn register(
    registry: &SharedRegistry,
    record: &NodeRecord,
    timing: &Timing,
    stop: &CancellationToken,
) -> Result<Option<Registration>, HostError> {
    // Whose the name is, and since when it has been that one's.
    let mut rival: Option<(Incarnation, Instant)> = None;
    loop {
        match attempt(registry, record, timing).await {
            Ok(Attempt::Registered(registration)) => return Ok(Some(registration)),
            Ok(Attempt::InUse(other)) => {
                let since = match rival {
                    Some((incarnation, since)) if incarnation == other.incarnation => since,
                    _ => {
                        tracing::info!(incarnation = %other.incarnation, "the name is in use; waiting for that life to end");
                        Instant::now()
                    }
                };
                rival = Some((other.incarnation, since));
                if since.elapsed() > timing.ttl + PATIENCE_BEYOND_TTL {
                    return Err(HostError::NameInUse { node: other.node, address: other.address });
                }
            }
            Err(error @ RegistryError::Corrupt { .. }) => return Err(error.into()),
            Err(error) => {
                // A rival's silence cannot be timed while nobody can be asked.
                rival = None;
                tracing::warn!(%error, "not registered yet");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(timing.watch_retry) => {}
        }
    }
}

enum Attempt {
    Registered(Registration),
    InUse(NodeRecord),
}

async fn attempt(
    registry: &SharedRegistry,
    record: &NodeRecord,
    timing: &Timing,
) -> Result<Attempt, RegistryError> {
    let key = keys::node(&record.node);
    if let Some(entry) = registry.get(&key).await? {
        return Ok(Attempt::InUse(keys::decode(&entry)?));
    }
    let mut fence = Fence::new(timing);
    let sent_at = boottime();
    let incarnation = registry.grant(timing.ttl).await?;
    fence.renewed(sent_at);
    let record = NodeRecord { incarnation, ..record.clone() };
    let nothing_held = AckRecord { incarnation, applied: Revision(0), held: Vec::new() };
    let lease = Some(incarnation);
    let ops = [
        Op::Put { key: key.clone(), value: keys::encode(&record), lease },
        Op::Put { key: keys::ack(&record.node), value: keys::encode(&nothing_held), lease },
    ];
    match registry.commit(&[Guard::Absent { key: key.clone() }], &ops).await {
        Ok(Commit::Done { revision }) => {
            Ok(Attempt::Registered(Registration { record, fence, created: revision }))
        }
        Ok(Commit::Refused) => {
            give_back(registry, incarnation).await;
            let taken = registry.get(&key).await?;
            // Gone again already: the next attempt will tell.
            taken.map_or(Err(RegistryError::LeaseLost { lease: incarnation }), |entry| {
                Ok(Attempt::InUse(keys::decode(&entry)?))
            })
        }
        Err(error) => {
            // It may have been written all the same; ending the lease undoes it.
            give_back(registry, incarnation).await;
            Err(error)
        }
    }
}

/// Ends a lease of this process under which no browser lives. If the registry does not take it, the TTL ends it.
pub(super) async fn give_back(registry: &SharedRegistry, lease: Incarnation) {
    if let Err(error) = registry.revoke(lease).await {
        tracing::warn!(%lease, %error, "a lease could not be given back and will run out");
    }
}
