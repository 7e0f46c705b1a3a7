//! grpc.health.v1: each service serves while what it stands on answers, the server as a whole ("") while all of it does.

use std::time::Duration;

use roost_proto::v1::{
    cluster_service_server as cluster, message_service_server as messages, node_service_server as nodes,
    operation_service_server as operations, session_service_server as sessions,
    tenant_service_server as tenants, worker_service_server as workers,
};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::errors::{ETCD, POSTGRES};
use crate::app::{App, Dependencies};

/// From one look at the dependencies to the next.
const PROBE_EVERY: Duration = Duration::from_secs(1);

const ON_POSTGRES: [&str; 4] =
    [tenants::SERVICE_NAME, workers::SERVICE_NAME, sessions::SERVICE_NAME, messages::SERVICE_NAME];
/// These stand on etcd as well, as the server as a whole does.
const ON_BOTH: [&str; 4] =
    [nodes::SERVICE_NAME, operations::SERVICE_NAME, cluster::SERVICE_NAME, WHOLE_SERVER];
const WHOLE_SERVER: &str = "";

const NOTHING: Dependencies = Dependencies { postgres: false, etcd: false };

/// Says that nothing serves, which is true until the first look.
pub async fn begin(reporter: &HealthReporter) {
    report(reporter, NOTHING).await;
}

/// Looks and reports until stopped; then says that nothing serves any more, and ends the streams of those who watch, for
/// the server waits for them.
pub async fn run(mut reporter: HealthReporter, app: App, stop: CancellationToken) {
    let mut last = NOTHING;
    let watching = async {
        loop {
            let now = app.dependencies().await;
            tell(POSTGRES, last.postgres, now.postgres);
            tell(ETCD, last.etcd, now.etcd);
            if now != last {
                report(&reporter, now).await;
                last = now;
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    };
    stop.run_until_cancelled(watching).await;
    report(&reporter, NOTHING).await;
    for service in ON_POSTGRES.into_iter().chain(ON_BOTH) {
        reporter.clear_service_status(service).await;
    }
}

fn tell(dependency: &str, before: bool, now: bool) {
    match (before, now) {
        (false, true) => tracing::info!(dependency, "dependency answers"),
        (true, false) => tracing::warn!(dependency, "dependency does not answer"),
        (true, true) | (false, false) => {}
    }
}

async fn report(reporter: &HealthReporter, answering: Dependencies) {
    for service in ON_POSTGRES {
        reporter.set_service_status(service, status(answering.postgres)).await;
    }
    for service in ON_BOTH {
        reporter.set_service_status(service, status(answering.postgres && answering.etcd)).await;
    }
}

fn status(serving: bool) -> ServingStatus {
    if serving { ServingStatus::Serving } else { ServingStatus::NotServing }
}
