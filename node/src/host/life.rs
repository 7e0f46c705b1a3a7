//! One life of the node: from its registration until its lease is lost or the node has been asked to stop. Whatever it
//! began has ended when [`live`] returns.

use std::sync::Arc;

use roost_cluster::{
    clock::BootClock, keys, lease_deadline::Standing, registry::SharedRegistry, timing::Timing,
};
use roost_engine::Engine;
use roost_store::Store;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
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
    serve::{Ended, serve},
    supervisor::Supervisor,
    tenure::Shared,
};
use crate::{
    guard::GuardLink,
    health::Board,
    launches::LaunchQueue,
    session::{Profiles, Vault},
};

/// What outlives a life.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) registry: SharedRegistry,
    pub(super) store: Store,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) vault: Vault,
    pub(super) profiles: Profiles,
    pub(super) launches: Arc<LaunchQueue>,
    pub(super) link: Arc<GuardLink>,
    pub(super) removed: Arc<Notify>,
    pub(super) roster: Roster,
    pub(super) board: Board,
    pub(super) timing: Timing,
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
        deadline: registration.deadline,
        link: parts.link.clone(),
        standing: standing_tx,
    };
    // Before anything else, so that no browser is ever without a deadline.
    keeper.tell_guard();
    let mut keeper = tokio::spawn(keeper.run());
    let mut helpers = JoinSet::new();
    let (mut supervisor, mut assigned) = begin(parts, &registration, standing, &mut helpers);

    let lost = async {
        // Also when the keeper has panicked: without it nobody knows the standing.
        drop((&mut keeper).await);
    };
    let ended = serve(&mut supervisor, &mut assigned, lost, stop, || {
        parts.board.leave();
        helpers.spawn(announce_leaving(parts.registry.clone(), registration.clone()));
    });
    let ended = ended.await;

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
) -> (Supervisor<Shared>, watch::Receiver<Assigned>) {
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
