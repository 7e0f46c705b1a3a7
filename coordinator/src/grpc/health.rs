//! grpc.health.v1: each service serves while what it stands on answers, the server as a whole ("") while all of it does.
//! Whether the cluster is led has a name of its own, for it is no reason to ask another coordinator.

use roost_proto::v1::{
    cluster_service_server as cluster, message_service_server as messages, node_service_server as nodes,
    operation_service_server as operations, session_service_server as sessions,
    tenant_service_server as tenants, worker_inspection_service_server as inspection,
    worker_service_server as workers,
};
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::app::health::Health;

const ON_POSTGRES: [&str; 5] = [
    tenants::SERVICE_NAME,
    workers::SERVICE_NAME,
    inspection::SERVICE_NAME,
    sessions::SERVICE_NAME,
    messages::SERVICE_NAME,
];
/// These stand on etcd as well, as the server as a whole does.
const ON_BOTH: [&str; 4] =
    [nodes::SERVICE_NAME, operations::SERVICE_NAME, cluster::SERVICE_NAME, WHOLE_SERVER];
const WHOLE_SERVER: &str = "";
/// Somebody leads, here or elsewhere, and can do so. No service that could be called.
const CONTROLLER: [&str; 1] = ["roost.Controller"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Serving {
    on_postgres: bool,
    on_both: bool,
    controller: bool,
}

impl Serving {
    fn of(health: &Health) -> Self {
        Self {
            on_postgres: health.has_database(),
            on_both: health.is_ready(),
            controller: health.controller.is_none(),
        }
    }

    fn by_service(self) -> impl Iterator<Item = (&'static str, bool)> {
        let groups: [(&[&str], bool); 3] =
            [(&ON_POSTGRES, self.on_postgres), (&ON_BOTH, self.on_both), (&CONTROLLER, self.controller)];
        groups.into_iter().flat_map(|(names, serves)| names.iter().map(move |name| (*name, serves)))
    }
}

/// Says that nothing serves, which is true until the first look.
pub async fn begin(reporter: &HealthReporter) {
    report(reporter, Serving::default()).await;
}

/// Reports what is found until nobody looks any more; then says that nothing serves, and ends the streams of those who
/// watch, for the server waits for them.
pub async fn run(mut reporter: HealthReporter, mut health: watch::Receiver<Health>) {
    let mut last = Serving::default();
    while health.changed().await.is_ok() {
        let now = Serving::of(&health.borrow_and_update());
        if now != last {
            report(&reporter, now).await;
            last = now;
        }
    }
    report(&reporter, Serving::default()).await;
    for (service, _) in Serving::default().by_service() {
        reporter.clear_service_status(service).await;
    }
}

async fn report(reporter: &HealthReporter, serving: Serving) {
    for (service, serves) in serving.by_service() {
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status(service, status).await;
    }
}
