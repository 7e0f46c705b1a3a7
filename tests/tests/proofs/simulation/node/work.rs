//! The node's working process: one life after the other, as in the product's `host`, of the product's own parts.

use std::{sync::Arc, time::Duration};

use roost_cluster::{fence::Standing, keys};
use roost_node::{
    guard::GuardLink,
    host::{
        acks::Acks,
        assignments::{self, Assigned},
        keepalive::Keeper,
        registration::{self, Registration},
    },
};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Machine, supervisor::Supervisor, tenure::Post};

/// As the product's.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(16);

/// The name is another living node's.
#[derive(Debug)]
pub struct Refused;

#[derive(PartialEq, Eq)]
enum Ended {
    Lost,
    Stopped,
}

pub async fn run(
    machine: Arc<Machine>,
    link: Arc<GuardLink>,
    stop: CancellationToken,
) -> Result<(), Refused> {
    let (registry, timing) = (machine.child_registry(), machine.shared.timing);
    loop {
        let clock = machine.clock();
        let registered =
            registration::register(&registry, &machine.record(), &timing, clock.as_ref(), &stop).await;
        match registered {
            Ok(Some(registration)) => {
                machine.shared.judge.note(format!("{} is registered", machine.id));
                if live(&machine, &link, registration, &stop).await == Ended::Stopped {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(_) => return Err(Refused),
        }
    }
}

async fn live(
    machine: &Arc<Machine>,
    link: &Arc<GuardLink>,
    registration: Registration,
    stop: &CancellationToken,
) -> Ended {
    let (registry, process) = (machine.child_registry(), machine.child());
    let incarnation = registration.incarnation();
    let (standing_tx, standing) = watch::channel(Standing::Good);
    let keeper = Keeper {
        registry: registry.clone(),
        lease: incarnation,
        timing: machine.shared.timing,
        clock: machine.clock(),
        fence: registration.fence,
        link: link.clone(),
        standing: standing_tx,
    };
    keeper.tell_guard();
    let mut keepers = JoinSet::new();
    keepers.spawn(process.clone().run(keeper.run()));
    let mut helpers = JoinSet::new();
    let (assigned_tx, mut assigned) = watch::channel(Assigned::default());
    let key = keys::assignments(&machine.id);
    let follower =
        assignments::follow(registry.clone(), key, incarnation, machine.shared.timing, assigned_tx);
    helpers.spawn(process.clone().run(follower));
    let (acks, writer) = Acks::new(registry.clone(), &machine.id, incarnation, machine.shared.timing);
    helpers.spawn(process.clone().run(writer.run()));
    let post = Arc::new(Post { machine: machine.clone(), process: process.clone(), standing });
    let mut supervisor = Supervisor::new(post, incarnation, acks);

    let mut hand_over_by: Option<Instant> = None;
    let ended = loop {
        if hand_over_by.is_some() && supervisor.is_empty() {
            break Ended::Stopped;
        }
        tokio::select! {
            biased;
            _ = keepers.join_next() => break Ended::Lost,
            () = stop.cancelled(), if hand_over_by.is_none() => {
                hand_over_by = Some(Instant::now() + HAND_OVER_WITHIN);
                supervisor.leave();
                let (registry, registration) = (registry.clone(), registration.clone());
                let announce = async move {
                    let _placed_when_the_lease_ends = registration.announce_leaving(&registry).await;
                };
                helpers.spawn(process.clone().run(announce));
            }
            () = tokio::time::sleep_until(hand_over_by.unwrap_or_else(Instant::now)), if hand_over_by.is_some() => {
                break Ended::Stopped;
            }
            changed = assigned.changed() => {
                changed.expect("the follower lives as long as its receiver");
                let assigned = assigned.borrow_and_update().clone();
                supervisor.assign(assigned);
            }
            () = supervisor.progress() => {}
        }
    };
    supervisor.kill_all().await;
    link.stood_down();
    keepers.shutdown().await;
    helpers.shutdown().await;
    registration::give_back(&registry, incarnation).await;
    link.unlease(incarnation.0);
    ended
}
