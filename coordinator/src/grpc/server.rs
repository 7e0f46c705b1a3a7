//! The gRPC server: its services, what is around them, and its limits.

use std::{future::Future, time::Duration};

use roost_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        cluster_service_server::ClusterServiceServer, message_service_server::MessageServiceServer,
        node_service_server::NodeServiceServer, operation_service_server::OperationServiceServer,
        session_service_server::SessionServiceServer, tenant_service_server::TenantServiceServer,
        version_service_server::VersionServiceServer,
        worker_inspection_service_server::WorkerInspectionServiceServer,
        worker_service_server::WorkerServiceServer,
    },
};
use roost_tls::ServerTls;
use tokio::net::TcpListener;
use tonic::transport::{self, Server};
use tonic_health::{
    pb::{self as health, health_server::HealthServer},
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as Reflection;

use super::{
    auth::AuthLayer,
    connections::{MAX_CONNECTIONS, bounded},
    limits::LimitsLayer,
    services::{
        Clusters, Messages, Nodes, Operations, Sessions, Tenants, Versions, WorkerInspection, Workers,
    },
    trace,
};
use crate::app::App;

/// The largest request. The largest valid one, a tenant with every text at its limit, is 0.4 MiB. A larger request is
/// answered with OUT_OF_RANGE and not read.
const MAX_REQUEST: usize = 1 << 20;
/// That of a version, whose content may have 3 MiB.
const MAX_VERSION: usize = 4 << 20;
/// Calls at a time on one connection.
const MAX_CALLS: u32 = 256;
/// A connection that is silent for so long is asked whether its peer is still there, and closed when it is not: the
/// streams of a caller that vanished end.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `stop` resolves and every call has ended; by TLS, if there is any.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ServerTls>,
    app: App,
    auth: AuthLayer,
    health: HealthReporter,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let limits = LimitsLayer::new(app.streams().clone());
    let tenants = Tenants { app: app.clone() };
    let workers = Workers { app: app.clone() };
    let inspection = WorkerInspection { app: app.clone() };
    let sessions = Sessions { app: app.clone() };
    let messages = Messages { app: app.clone() };
    let operations = Operations { app: app.clone() };
    let cluster = Clusters { app: app.clone() };
    let versions = Versions { app: app.clone() };
    let nodes = Nodes { app };

    Server::builder()
        .max_concurrent_streams(MAX_CALLS)
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(trace::layer())
        .layer(auth)
        .layer(limits)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
        .add_service(TenantServiceServer::new(tenants).max_decoding_message_size(MAX_REQUEST))
        .add_service(WorkerServiceServer::new(workers).max_decoding_message_size(MAX_REQUEST))
        .add_service(WorkerInspectionServiceServer::new(inspection).max_decoding_message_size(MAX_REQUEST))
        .add_service(SessionServiceServer::new(sessions).max_decoding_message_size(MAX_REQUEST))
        .add_service(MessageServiceServer::new(messages).max_decoding_message_size(MAX_REQUEST))
        .add_service(NodeServiceServer::new(nodes).max_decoding_message_size(MAX_REQUEST))
        .add_service(OperationServiceServer::new(operations).max_decoding_message_size(MAX_REQUEST))
        .add_service(VersionServiceServer::new(versions).max_decoding_message_size(MAX_VERSION))
        .add_service(ClusterServiceServer::new(cluster).max_decoding_message_size(MAX_REQUEST))
        .serve_with_incoming_shutdown(roost_tls::accept(bounded(listener, MAX_CONNECTIONS), tls), stop)
        .await?;
    Ok(())
}

fn reflection() -> Reflection<'static> {
    Reflection::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(health::FILE_DESCRIPTOR_SET)
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the API's own description is not readable")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the server failed")]
    Transport(#[from] transport::Error),
}
