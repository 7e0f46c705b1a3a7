//! One life of the node: from its registration until its lease is lost or the node has been asked to stop. Whatever it
//! began has ended when [`run`] returns.

use std::sync::Arc;

use roost_cluster::{clock::BootClock, keys, lease_deadline::Standing};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    announcer::Announcer,
    assignments::{self, AckPublisher, Assigned},
    env::{HostEnv, IncarnationEnv},
    heartbeat,
    keepalive::LeaseKeeper,
    ownership::RegistryOwnership,
    pause_detector::PauseDetector,
    preparation::Preparation,
    registration::{Registration, revoke_lease},
    supervisor::{IncarnationEnd, Supervisor},
    tenant_run::TenantRun,
    tenant_runtime::{PrepareRequest, RunRequest, TenantRuntime},
};
use crate::worker::WarmStandby;

/// Hosts what is assigned to this life.
pub(super) async fn run(
    host: &Arc<HostEnv>,
    registration: Registration,
    stop: &CancellationToken,
) -> IncarnationEnd {
    let incarnation = registration.incarnation();
    let (standing_tx, standing) = watch::channel(Standing::Good);
    host.health.begin(incarnation, standing.clone());
    let keeper = LeaseKeeper {
        registry: host.registry.clone(),
        lease: incarnation,
        key: keys::node(&registration.record.node),
        timing: host.timing,
        clock: Arc::new(BootClock),
        deadline: registration.deadline,
        link: host.guard.clone(),
        standing: standing_tx,
        pauses: PauseDetector::new(host.timing.pause_tolerated, &BootClock),
    };
    // Before anything else, so that no browser is ever without a deadline.
    keeper.tell_guard();
    let mut keepers = JoinSet::new();
    keepers.spawn(keeper.run());
    let mut helpers = JoinSet::new();
    let leaving = CancellationToken::new();
    let announcer = Announcer {
        registry: host.registry.clone(),
        record: registration.record.clone(),
        timing: host.timing,
        leaving: leaving.clone(),
        impairments: host.impairments.subscribe(),
        memory: host.memory.subscribe(),
    };
    helpers.spawn(announcer.run());
    let (mut supervisor, mut assigned) = begin(host, &registration, standing, &mut helpers);

    let lost = async {
        // Also when the keeper has panicked: without it nobody knows the standing.
        drop(keepers.join_next().await);
    };
    let ended = supervisor.serve(&mut assigned, lost, stop, || {
        host.health.leave();
        leaving.cancel();
    });
    let ended = ended.await;

    supervisor.kill_all().await;
    // First, for a renewal that is answered now would give the guard a new deadline.
    keepers.shutdown().await;
    host.guard.stood_down();
    helpers.shutdown().await;
    host.health.end();
    revoke_lease(&host.registry, incarnation).await;
    host.guard.unlease(incarnation.0);
    ended
}

fn begin(
    host: &Arc<HostEnv>,
    registration: &Registration,
    standing: watch::Receiver<Standing>,
    helpers: &mut JoinSet<()>,
) -> (Supervisor<NodeRuntime>, watch::Receiver<Assigned>) {
    let node = registration.record.node.clone();
    let incarnation = registration.incarnation();
    let (assigned_tx, assigned) = watch::channel(Assigned::default());
    helpers.spawn(assignments::follow(
        host.registry.clone(),
        keys::assignments(&node),
        incarnation,
        host.timing,
        assigned_tx,
    ));
    let (acks, writer) = AckPublisher::new(host.registry.clone(), &node, incarnation, host.timing);
    helpers.spawn(writer.run());
    let ownership = Arc::new(RegistryOwnership { registry: host.registry.clone(), node, incarnation });
    helpers.spawn(heartbeat::run(host.node.clone(), host.workers.clone(), ownership.clone(), host.timing));
    let runtime = NodeRuntime(Arc::new(IncarnationEnv { host: host.clone(), standing, ownership }));
    (Supervisor::new(Arc::new(runtime), incarnation, acks), assigned)
}

/// Workers with browsers.
struct NodeRuntime(Arc<IncarnationEnv>);

impl TenantRuntime for NodeRuntime {
    type Standby = WarmStandby;

    fn run(self: &Arc<Self>, request: RunRequest<WarmStandby>) -> impl Future<Output = ()> + Send + 'static {
        TenantRun { env: self.0.clone(), request, uid: None }.run()
    }

    fn prepare(
        self: &Arc<Self>,
        request: PrepareRequest<WarmStandby>,
    ) -> impl Future<Output = ()> + Send + 'static {
        Preparation { env: self.0.clone(), request }.run()
    }
}
