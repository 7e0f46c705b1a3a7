//! The node's working process: one life after the other, as in the product's `host`, of the product's own parts.

use std::sync::Arc;

use roost_cluster::{keys, lease_deadline::Standing};
use roost_node::{
    guard::GuardLink,
    host::{
        announcer::Announcer,
        assignments::{self, AckPublisher, Assigned},
        keepalive::LeaseKeeper,
        pause_detector::PauseDetector,
        registration::{self, Registration},
        supervisor::{IncarnationEnd, Supervisor},
    },
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Machine, runtime::SimulatedRuntime};

/// The name is another living node's.
#[derive(Debug)]
pub struct Refused;

pub async fn run(
    machine: Arc<Machine>,
    link: Arc<GuardLink>,
    stop: CancellationToken,
) -> Result<(), Refused> {
    let (registry, timing) = (machine.child_registry(), machine.shared.timing);
    let mut last_life = None;
    loop {
        let clock = machine.clock();
        let registered =
            registration::register(&registry, &machine.record(), &timing, clock.as_ref(), last_life, &stop)
                .await;
        match registered {
            Ok(Some(registration)) => {
                machine.shared.judge.note(format!("{} is registered", machine.id));
                last_life = Some(registration.incarnation());
                if live(&machine, &link, registration, &stop).await == IncarnationEnd::Stopped {
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
) -> IncarnationEnd {
    let (registry, process) = (machine.child_registry(), machine.child());
    let incarnation = registration.incarnation();
    let (standing_tx, standing) = watch::channel(Standing::Good);
    let (clock, timing) = (machine.clock(), machine.shared.timing);
    let keeper = LeaseKeeper {
        registry: registry.clone(),
        lease: incarnation,
        key: keys::node(&registration.record.node),
        timing,
        pauses: PauseDetector::new(timing.pause_tolerated, clock.as_ref()),
        clock,
        deadline: registration.deadline,
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
    let (acks, writer) = AckPublisher::new(registry.clone(), &machine.id, incarnation, machine.shared.timing);
    helpers.spawn(process.clone().run(writer.run()));
    let runtime = Arc::new(SimulatedRuntime { machine: machine.clone(), process: process.clone(), standing });
    let mut supervisor = Supervisor::new(runtime, incarnation, acks);

    let lost = async {
        keepers.join_next().await;
    };
    let leaving = CancellationToken::new();
    let announcer = Announcer {
        registry: registry.clone(),
        record: registration.record.clone(),
        timing,
        leaving: leaving.clone(),
        impairments: watch::channel(Vec::new()).1,
        memory: watch::channel(registration.record.memory).1,
    };
    helpers.spawn(process.clone().run(announcer.run()));
    let ended = supervisor.serve(&mut assigned, lost, stop, || leaving.cancel()).await;
    supervisor.kill_all().await;
    link.stood_down();
    keepers.shutdown().await;
    helpers.shutdown().await;
    registration::revoke_lease(&registry, incarnation).await;
    link.unlease(incarnation.0);
    ended
}
