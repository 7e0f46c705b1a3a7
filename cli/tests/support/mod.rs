//! A coordinator that answers from a script: what the client prints is then the same at every run.

use std::{net::SocketAddr, pin::Pin};

use futures::{Stream, StreamExt, stream};
use prost_types::Timestamp;
use roost_proto::{
    error::{ApiError, ErrorCode},
    v1::{
        access_service_server::AccessServiceServer, chat_service_server::ChatServiceServer,
        cluster_service_server::ClusterServiceServer, member_service_server::MemberServiceServer,
        message_service_server::MessageServiceServer, node_service_server::NodeServiceServer,
        operation_service_server::OperationServiceServer, session_service_server::SessionServiceServer,
        setup_service_server::SetupServiceServer, tenant_service_server::TenantServiceServer,
        user_service_server::UserServiceServer, version_service_server::VersionServiceServer,
        worker_inspection_service_server::WorkerInspectionServiceServer,
        worker_service_server::WorkerServiceServer,
    },
};
use roost_tls::{ServerTls, accept};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

mod access;
mod apply;
mod chats;
mod imports;
mod inspection;
mod members;
mod nodes;
mod orders;
mod sessions;
mod settings;
mod setups;
mod tenants;
mod users;
mod versions;
mod workers;

pub use workers::HOSTILE;

pub const TOKEN: &str = "sesame";

type Answer<T> = Result<Response<T>, Status>;
type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone, Copy)]
struct Script;

/// Serves on a free port until the test's runtime ends.
pub async fn coordinator() -> SocketAddr {
    serve(None).await
}

/// The same, by TLS.
pub async fn coordinator_by(tls: ServerTls) -> SocketAddr {
    serve(Some(tls)).await
}

async fn serve(tls: Option<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(AccessServiceServer::with_interceptor(Script, authorised))
        .add_service(MemberServiceServer::with_interceptor(Script, authorised))
        .add_service(ChatServiceServer::with_interceptor(Script, authorised))
        .add_service(SetupServiceServer::with_interceptor(Script, authorised))
        .add_service(UserServiceServer::with_interceptor(Script, authorised))
        .add_service(TenantServiceServer::with_interceptor(Script, authorised))
        .add_service(WorkerServiceServer::with_interceptor(Script, authorised))
        .add_service(WorkerInspectionServiceServer::with_interceptor(Script, authorised))
        .add_service(SessionServiceServer::with_interceptor(Script, authorised))
        .add_service(MessageServiceServer::with_interceptor(Script, authorised))
        .add_service(NodeServiceServer::with_interceptor(Script, authorised))
        .add_service(OperationServiceServer::with_interceptor(Script, authorised))
        .add_service(VersionServiceServer::with_interceptor(Script, authorised))
        .add_service(ClusterServiceServer::with_interceptor(Script, authorised));
    tokio::spawn(server.serve_with_incoming(accept(TcpListenerStream::new(listener), tls)));
    addr
}

fn authorised(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization") {
        Some(token) if token == format!("Bearer {TOKEN}").as_str() => Ok(request),
        _ => {
            Err(ApiError::new(ErrorCode::Unauthenticated, "the token is unknown; give one of the token file")
                .into())
        }
    }
}

/// Long ago, so that tables show it as a date.
fn at(second: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_700_000_000 + second, nanos: 0 })
}

fn unknown(kind: &str, id: &str) -> Status {
    ApiError::new(ErrorCode::NotFound, format!("there is no {kind} {id:?}; list them to see which there are"))
        .about(kind, id)
        .into()
}

fn items<T: Send + 'static>(items: Vec<T>) -> Items<T> {
    stream::iter(items.into_iter().map(Ok)).boxed()
}
