//! One life of the node: from its registration until its lease is lost or the node has been asked to stop. Whatever it
//! began has ended when [`live`] returns.

use std::{sync::Arc, time::Duration};

use roost_cluster::{clock::BootClock, fence::Standing, keys, registry::SharedRegistry, timing::Timing};
use roost_store::Store;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    acks::Acks,
    assignments::{self, Assigned},
    heartbeat,
    keepalive::Keeper,
    ownership::Ownership,
    registration::{Registration, give_back},
    roster::Roster,
    supervisor::Supervisor,
    tenure::Shared,
};
use crate::{engine::Engine, guard::GuardLink, health::Board, launches::LaunchQueue, session::Vault};

/// How long the tenants may take to be handed over. What follows, giving the lease back and resigning, takes seconds
/// when etcd is slow, and at 20 s the guard kills.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(16);

/// What outlives a life.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) registry: SharedRegistry,
    pub(super) store: Store,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) vault: Vault,
    pub(super) profiles: std::path::PathBuf,
    pub(super) launches: Arc<LaunchQueue>,
    pub(super) link: Arc<GuardLink>,
    pub(super) removed: Arc<Notify>,
    pub(super) roster: Roster,
    pub(super) board: Board,
    pub(super) timing: Timing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The lease is gone, and every browser with it.
    Lost,
    /// Asked to; the tenants have been handed over.
    Stopped,
}

/// Hosts what is assigned to this life.
pub(super) async fn live(parts: &Parts, registration: Registration, stop: &CancellationToken) -> Ended {
    let incarnation = registration.incarnation();
    let (standing_tx, standing) = watch::channel(Standing::Good);
    parts.board.begin(incarnation, standing.clone());
    let keeper = Keeper {
        registry: parts.registry.clone(),
        lease: incarnation,
        timing: parts.timing,
        clock: Arc::new(BootClock),
        fence: registration.fence,
        link: parts.link.clone(),
        standing: standing_tx,
    };
    // Before anything else, so that no browser is ever without a deadline.
    keeper.tell_guard();
    let mut keeper = tokio::spawn(keeper.run());
    let mut helpers = JoinSet::new();
    let (mut supervisor, mut assigned) = begin(parts, &registration, standing, &mut helpers);

    let mut hand_over_by: Option<Instant> = None;
    let ended = loop {
        if hand_over_by.is_some() && supervisor.is_empty() {
            break Ended::Stopped;
        }
        tokio::select! {
            biased;
            // Also when the keeper has panicked: without it nobody knows the standing.
            _ = &mut keeper => break Ended::Lost,
            () = stop.cancelled(), if hand_over_by.is_none() => {
                tracing::info!("handing the tenants over");
                hand_over_by = Some(Instant::now() + HAND_OVER_WITHIN);
                parts.board.leave();
                supervisor.leave();
                helpers.spawn(announce_leaving(parts.registry.clone(), registration.clone()));
            }
            () = tokio::time::sleep_until(hand_over_by.unwrap_or_else(Instant::now)), if hand_over_by.is_some() => {
                tracing::warn!("not every tenant could be handed over in time");
                break Ended::Stopped;
            }
            // A leaving node still takes records in: they say that its tenants are released.
            changed = assigned.changed() => match changed {
                Ok(()) => {
                    let assigned = assigned.borrow_and_update().clone();
                    supervisor.assign(assigned);
                }
                Err(_) => unreachable!("the follower lives as long as its receiver"),
            },
            () = supervisor.progress() => {}
        }
    };

    supervisor.kill_all().await;
    parts.link.stood_down();
    keeper.abort();
    helpers.shutdown().await;
    parts.board.end();
    give_back(&parts.registry, incarnation).await;
    parts.link.unlease(incarnation.0);
    ended
}

fn begin(
    parts: &Parts,
    registration: &Registration,
    standing: watch::Receiver<Standing>,
    helpers: &mut JoinSet<()>,
) -> (Supervisor, watch::Receiver<Assigned>) {
    let node = registration.record.node.clone();
    let incarnation = registration.incarnation();
    let (assigned_tx, assigned) = watch::channel(Assigned::default());
    helpers.spawn(assignments::follow(
        parts.registry.clone(),
        keys::assignments(&node),
        incarnation,
        parts.timing,
        assigned_tx,
    ));
    let (acks, writer) = Acks::new(parts.registry.clone(), &node, incarnation, parts.timing);
    helpers.spawn(writer.run());
    let ownership = Arc::new(Ownership { registry: parts.registry.clone(), node, incarnation });
    helpers.spawn(heartbeat::run(parts.store.clone(), parts.roster.clone(), ownership.clone(), parts.timing));
    let shared = Shared {
        store: parts.store.clone(),
        engine: parts.engine.clone(),
        vault: parts.vault.clone(),
        profiles: parts.profiles.clone(),
        launches: parts.launches.clone(),
        standing,
        ownership,
        roster: parts.roster.clone(),
        removed: parts.removed.clone(),
    };
    (Supervisor::new(Arc::new(shared), incarnation, acks), assigned)
}

async fn announce_leaving(registry: SharedRegistry, registration: Registration) {
    if let Err(error) = registration.announce_leaving(&registry).await {
        // Its tenants are placed elsewhere when the lease is given back, at the latest.
        tracing::warn!(%error, "the cluster could not be told that this node leaves");
    }
}
