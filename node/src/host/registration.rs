//! Becoming a live node: a lease, and under it the keys `nodes/<node>` and `acks/<node>`, created in one step that fails
//! when the node's name is in use.
//!
//! A key of that name may be a leftover of this node's own last life, which the guard is about to revoke or which ends
//! by its TTL, counted from a last keepalive that may still have been on its way. So a newcomer waits for somewhat more than
//! twice that; a name that is still in use then, by the same incarnation all the while, is another living node's, and the
//! newcomer is refused.

use std::time::Duration;

use roost_cluster::{
    clock::Clock,
    keys,
    lease_deadline::LeaseDeadline,
    records::{AckRecord, NodeRecord},
    registry::{Commit, Guard, Op, RegistryError, SharedRegistry},
    timing::Timing,
};
use roost_model::{
    causes,
    ids::{Incarnation, Revision},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::HostError;

/// On top of twice the TTL: expiry is noticed by etcd up to 0.6 s late.
const PATIENCE_BEYOND_TTL: Duration = Duration::from_secs(2);

/// One life of the node, begun.
#[derive(Debug, Clone)]
pub struct Registration {
    pub record: NodeRecord,
    /// Counts from before the lease was asked for.
    pub deadline: LeaseDeadline,
}

impl Registration {
    pub fn incarnation(&self) -> Incarnation {
        self.record.incarnation
    }
}

/// Registers, however long the registry is out of reach. `record` is complete but for its incarnation; `last_life` is this
/// process's own, which has ended. None when the node is asked to stop first; that is looked at between attempts, so that
/// none is left half done.
pub async fn register(
    registry: &SharedRegistry,
    record: &NodeRecord,
    timing: &Timing,
    clock: &dyn Clock,
    last_life: Option<Incarnation>,
    stop: &CancellationToken,
) -> Result<Option<Registration>, HostError> {
    // Whose the name is, and since when it has been that one's.
    let mut rival: Option<(Incarnation, Instant)> = None;
    let mut is_told = false;
    loop {
        match attempt(registry, record, timing, clock).await {
            Ok(Attempt::Registered(registration)) => return Ok(Some(registration)),
            // A keepalive of that life may have arrived after all, however late; nobody lives under it.
            Ok(Attempt::InUse(other)) if Some(other.incarnation) == last_life => {
                rival = None;
                revoke_lease(registry, other.incarnation).await;
            }
            Ok(Attempt::InUse(other)) => {
                let since = match rival {
                    Some((incarnation, since)) if incarnation == other.incarnation => since,
                    _ => {
                        tracing::info!(incarnation = %other.incarnation, "the name is in use; waiting for that life to end");
                        Instant::now()
                    }
                };
                rival = Some((other.incarnation, since));
                if since.elapsed() > timing.ttl * 2 + PATIENCE_BEYOND_TTL {
                    return Err(HostError::NameInUse { node: other.node, address: other.address });
                }
            }
            Err(error @ RegistryError::Corrupt { .. }) => return Err(error.into()),
            Err(error) => {
                // A rival's silence cannot be timed while nobody can be asked.
                rival = None;
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(error = %causes(&error), "not registered yet; trying on");
                }
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
    clock: &dyn Clock,
) -> Result<Attempt, RegistryError> {
    let key = keys::node(&record.node);
    if let Some(entry) = registry.get(&key).await? {
        return Ok(Attempt::InUse(keys::decode(&entry)?));
    }
    let mut deadline = LeaseDeadline::new(timing);
    let sent_at = clock.now();
    let incarnation = registry.grant(timing.ttl).await?;
    deadline.renewed(sent_at);
    let record = NodeRecord { incarnation, ..record.clone() };
    let nothing_held = AckRecord {
        incarnation,
        applied: Revision(0),
        held: Vec::new(),
        prepared: Vec::new(),
        failed: Vec::new(),
    };
    let lease = Some(incarnation);
    let ops = [
        Op::Put { key: key.clone(), value: keys::encode(&record), lease },
        Op::Put { key: keys::ack(&record.node), value: keys::encode(&nothing_held), lease },
    ];
    match registry.commit(&[Guard::Absent { key: key.clone() }], &ops).await {
        Ok(Commit::Done { .. }) => Ok(Attempt::Registered(Registration { record, deadline })),
        Ok(Commit::Refused) => {
            revoke_lease(registry, incarnation).await;
            let taken = registry.get(&key).await?;
            // Gone again already: the next attempt will tell.
            taken.map_or(Err(RegistryError::LeaseLost { lease: incarnation }), |entry| {
                Ok(Attempt::InUse(keys::decode(&entry)?))
            })
        }
        Err(error) => {
            // It may have been written all the same; ending the lease undoes it.
            revoke_lease(registry, incarnation).await;
            Err(error)
        }
    }
}

/// Ends a lease of this process under which no browser lives. If the registry does not take it, the TTL ends it.
pub async fn revoke_lease(registry: &SharedRegistry, lease: Incarnation) {
    if let Err(error) = registry.revoke(lease).await {
        tracing::warn!(%lease, error = %causes(&error), "a lease could not be given back and will run out");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roost_cluster::{clock::BootClock, registry::MemoryRegistry};

    use super::*;
    use crate::host::test_node::a_node;

    async fn registered(registry: &SharedRegistry) -> Registration {
        let (timing, stop) = (Timing::default(), CancellationToken::new());
        register(registry, &a_node(), &timing, &BootClock, None, &stop).await.unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_leftover_of_the_last_life_is_waited_out() {
        let registry: SharedRegistry = Arc::new(MemoryRegistry::new("m"));
        let first = registered(&registry).await;
        let second = registered(&registry).await;
        assert_ne!(first.incarnation(), second.incarnation());
        let entry = registry.get("nodes/a").await.unwrap().unwrap();
        assert_eq!(keys::decode::<NodeRecord>(&entry).unwrap(), second.record);
        let ack: AckRecord = keys::decode(&registry.get("acks/a").await.unwrap().unwrap()).unwrap();
        assert_eq!((ack.incarnation, ack.held), (second.incarnation(), Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_of_a_living_node_is_refused() {
        let registry: SharedRegistry = Arc::new(MemoryRegistry::new("m"));
        let first = registered(&registry).await;
        let living = registry.clone();
        tokio::spawn(async move {
            while living.keep_alive(first.incarnation(), "nodes/a").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let (timing, stop) = (Timing::default(), CancellationToken::new());
        let refused = register(&registry, &a_node(), &timing, &BootClock, None, &stop).await.unwrap_err();
        assert!(refused.is_final());
        assert!(refused.to_string().contains("127.0.0.1:1"), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_last_life_whose_lease_will_not_end_is_ended() {
        let registry: SharedRegistry = Arc::new(MemoryRegistry::new("m"));
        let first = registered(&registry).await.incarnation();
        // As a keepalive does that was on its way for longer than the life lasted.
        let late = registry.clone();
        tokio::spawn(async move {
            while late.keep_alive(first, "nodes/a").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let (timing, stop) = (Timing::default(), CancellationToken::new());
        let again = register(&registry, &a_node(), &timing, &BootClock, Some(first), &stop).await.unwrap();
        assert_ne!(again.unwrap().incarnation(), first);
    }

    #[tokio::test(start_paused = true)]
    async fn an_etcd_that_is_down_is_waited_for_until_the_node_is_to_stop() {
        let memory = Arc::new(MemoryRegistry::new("m"));
        let registry: SharedRegistry = memory.clone();
        memory.cut_off();
        let (timing, stop) = (Timing::default(), CancellationToken::new());
        let record = a_node();
        let waiting = register(&registry, &record, &timing, &BootClock, None, &stop);
        assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err());
        memory.reconnect();
        assert!(register(&registry, &record, &timing, &BootClock, None, &stop).await.unwrap().is_some());
        memory.cut_off();
        stop.cancel();
        assert!(register(&registry, &record, &timing, &BootClock, None, &stop).await.unwrap().is_none());
    }
}
