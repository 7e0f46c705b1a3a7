//! The gRPC server: its services, what is around them, and its limits.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use http::{Request, Response};

use roost_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        access_service_server::AccessServiceServer,
        chat_service_server::ChatServiceServer,
        cluster_service_server::ClusterServiceServer,
        member_service_server::MemberServiceServer,
        message_service_server::MessageServiceServer,
        node_service_server::NodeServiceServer,
        operation_service_server::OperationServiceServer,
        session_service_server::SessionServiceServer,
        setup_service_server::SetupServiceServer,
        tenant_service_server::TenantServiceServer,
        user_service_server::UserServiceServer,
        version_service_server::{self, VersionServiceServer},
        worker_inspection_service_server::WorkerInspectionServiceServer,
        worker_service_server::WorkerServiceServer,
    },
};
use roost_tls::ServerTls;
use tokio::net::TcpListener;
use tonic::{
    body::Body,
    service::{Routes, RoutesBuilder},
    transport::{self, Server},
};
use tonic_health::{
    pb::{self as health, health_server::HealthServer},
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as Reflection;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use super::{
    admit::{AdmitLayer, Desk},
    auth::{AuthLayer, Door},
    connections::{MAX_CONNECTIONS, bounded},
    gate::Gated,
    limits::{Limits, LimitsLayer},
    pace::{PaceLayer, Turnstile},
    services::{
        Accesses, Chats, Clusters, Members, Messages, Nodes, Operations, Sessions, Setups, Tenants, Users,
        Versions, WorkerInspection, Workers,
    },
    trace,
};
use crate::app::{
    App,
    access::{Access, pace::Paces},
    people::PortalAddress,
};

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

/// The services with what is around them: the same for every face that calls come by.
#[derive(Clone)]
pub struct Calls {
    routes: Routes,
    auth: AuthLayer,
    pace: PaceLayer,
    admit: AdmitLayer,
    limits: LimitsLayer,
}

/// The services with what is around them, for a face that brings calls in another form.
pub type InProcess = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

impl Calls {
    pub fn new(
        (app, access): (App, Arc<Access>),
        paces: Paces,
        health: HealthReporter,
        portal: Option<PortalAddress>,
        keeps_secrets: bool,
        serves_admin: bool,
    ) -> Result<Self, ServeError> {
        let limits = LimitsLayer::new(app.streams().clone());
        let mut routes = Routes::builder();
        routes
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .add_service(HealthServer::new(HealthService::from_health_reporter(health)));
        if serves_admin {
            add_services(&mut routes, app, portal, keeps_secrets);
        }
        let (auth, admit) = (AuthLayer::of(Door::new(access.clone())), AdmitLayer::of(Desk::new(access)));
        let pace = PaceLayer::of(Turnstile::new(paces));
        Ok(Self { routes: routes.routes().prepare(), auth, pace, admit, limits })
    }

    /// Calls go through what `reader` makes of them when their token is known, and not before.
    pub fn in_process<L>(self, reader: L) -> InProcess
    where
        L: Layer<Gated<Limits<Routes>, Desk>>,
        L::Service: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send + 'static,
    {
        let around = ServiceBuilder::new()
            .layer(trace::layer())
            .layer(self.auth)
            .layer(self.pace)
            .layer(reader)
            .layer(self.admit)
            .layer(self.limits);
        let calls = around.service(self.routes);
        BoxCloneSyncService::new(calls.map_response(|response| response.map(Body::new)))
    }
}

fn add_services(routes: &mut RoutesBuilder, app: App, portal: Option<PortalAddress>, keeps_secrets: bool) {
    let tenants = Tenants { app: app.clone() };
    let workers = Workers { app: app.clone() };
    let inspection = WorkerInspection { app: app.clone() };
    let sessions = Sessions { app: app.clone(), portal: portal.clone() };
    let messages = Messages { app: app.clone() };
    let operations = Operations { app: app.clone() };
    let cluster = Clusters { app: app.clone() };
    let versions = Versions { app: app.clone() };
    let access = Accesses { app: app.clone() };
    let members = Members { app: app.clone(), portal: portal.clone() };
    let setups = Setups { app: app.clone(), portal: portal.clone() };
    let users = Users { app: app.clone(), portal, keeps_secrets };
    let chats = Chats { app: app.clone() };
    let nodes = Nodes { app };
    routes
        .add_service(AccessServiceServer::new(access).max_decoding_message_size(MAX_REQUEST))
        .add_service(ChatServiceServer::new(chats).max_decoding_message_size(MAX_REQUEST))
        .add_service(MemberServiceServer::new(members).max_decoding_message_size(MAX_REQUEST))
        .add_service(SetupServiceServer::new(setups).max_decoding_message_size(MAX_REQUEST))
        .add_service(UserServiceServer::new(users).max_decoding_message_size(MAX_REQUEST))
        .add_service(TenantServiceServer::new(tenants).max_decoding_message_size(MAX_REQUEST))
        .add_service(WorkerServiceServer::new(workers).max_decoding_message_size(MAX_REQUEST))
        .add_service(WorkerInspectionServiceServer::new(inspection).max_decoding_message_size(MAX_REQUEST))
        .add_service(SessionServiceServer::new(sessions).max_decoding_message_size(MAX_REQUEST))
        .add_service(MessageServiceServer::new(messages).max_decoding_message_size(MAX_REQUEST))
        .add_service(NodeServiceServer::new(nodes).max_decoding_message_size(MAX_REQUEST))
        .add_service(OperationServiceServer::new(operations).max_decoding_message_size(MAX_REQUEST))
        .add_service(VersionServiceServer::new(versions).max_decoding_message_size(MAX_VERSION))
        .add_service(ClusterServiceServer::new(cluster).max_decoding_message_size(MAX_REQUEST));
}

/// The largest request that a service takes.
pub fn max_request(service: &str) -> usize {
    if service == version_service_server::SERVICE_NAME { MAX_VERSION } else { MAX_REQUEST }
}

/// Serves until `stop` resolves and every call has ended; by TLS, if there is any.
pub async fn serve(
    listener: TcpListener,
    tls: Option<ServerTls>,
    calls: Calls,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    Server::builder()
        .max_concurrent_streams(MAX_CALLS)
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(trace::layer())
        .layer(calls.auth)
        .layer(calls.pace)
        .layer(calls.admit)
        .layer(calls.limits)
        .add_routes(calls.routes)
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
