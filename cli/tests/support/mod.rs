//! A coordinator that answers from a script: what the client prints is then the same at every run.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use prost_types::Timestamp;
use roost_proto::{
    error::{ApiError, ErrorCode, Violation},
    v1::{
        cluster_service_server::ClusterServiceServer,
        message_service_server::{MessageService, MessageServiceServer},
        node_service_server::{NodeService, NodeServiceServer},
        operation_service_server::OperationServiceServer,
        session_service_server::{SessionService, SessionServiceServer},
        tenant_service_server::{TenantService, TenantServiceServer},
        worker_service_server::{WorkerService, WorkerServiceServer},
        *,
    },
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

mod orders;

pub const TOKEN: &str = "sesame";

type Answer<T> = Result<Response<T>, Status>;
type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone, Copy)]
struct Script;

/// Serves on a free port until the test's runtime ends.
pub async fn coordinator() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(TenantServiceServer::with_interceptor(Script, authorised))
        .add_service(WorkerServiceServer::with_interceptor(Script, authorised))
        .add_service(SessionServiceServer::with_interceptor(Script, authorised))
        .add_service(MessageServiceServer::with_interceptor(Script, authorised))
        .add_service(NodeServiceServer::with_interceptor(Script, authorised))
        .add_service(OperationServiceServer::with_interceptor(Script, authorised))
        .add_service(ClusterServiceServer::with_interceptor(Script, authorised));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
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

fn tenant(id: &str) -> Result<Tenant, Status> {
    let menu = MenuItem {
        title: "Rooms".into(),
        reply: "From 40,000 a night".into(),
        keywords: vec!["room".into()],
    };
    let lodge = Tenant {
        id: "lodge".into(),
        display_name: "Safari Lodge".into(),
        phone: "+255700000001".into(),
        template: Template::Booking as i32,
        language: Language::En as i32,
        status: TenantStatus::Active as i32,
        texts: Some(BusinessTexts {
            greeting: "Karibu {business}!\nHow can we help?".into(),
            menu: vec![menu],
            ..Default::default()
        }),
        reply_limit_per_minute: Some(10),
        create_time: at(0),
        update_time: at(60),
    };
    let shop = Tenant {
        id: "shop".into(),
        display_name: "Duka la Asha".into(),
        phone: "+255700000002".into(),
        template: Template::Ecommerce as i32,
        language: Language::Sw as i32,
        status: TenantStatus::QrPending as i32,
        texts: None,
        reply_limit_per_minute: Some(0),
        ..lodge.clone()
    };
    match id {
        "lodge" => Ok(lodge),
        "shop" => Ok(shop),
        _ => Err(unknown("tenant", id)),
    }
}

#[tonic::async_trait]
impl TenantService for Script {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Answer<Tenant> {
        let CreateTenantRequest { tenant, tenant_id } = request.into_inner();
        let given = tenant.unwrap_or_default();
        let wrong = |field: &str, description: &str| Violation {
            field: field.into(),
            description: description.into(),
        };
        let mut violations = vec![];
        if given.display_name.is_empty() {
            violations.push(wrong("tenant.display_name", "is empty; it takes 1 to 200 characters"));
        }
        if !given.phone.starts_with('+') {
            violations.push(wrong("tenant.phone", "is not E.164; it takes '+' and 8 to 15 digits"));
        }
        if !violations.is_empty() {
            return Err(ApiError::invalid(violations).into());
        }
        if given.phone == "+255700000001" {
            let taken = "the phone number +255700000001 belongs to another tenant";
            return Err(ApiError::new(ErrorCode::AlreadyExists, taken).into());
        }
        let made = Tenant {
            id: tenant_id,
            status: TenantStatus::New as i32,
            create_time: at(0),
            update_time: at(0),
            ..given
        };
        Ok(Response::new(made))
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Answer<Tenant> {
        tenant(&request.into_inner().id).map(Response::new)
    }

    /// One tenant a page, so that the client has to walk.
    async fn list_tenants(&self, request: Request<ListTenantsRequest>) -> Answer<ListTenantsResponse> {
        let (id, next) =
            if request.into_inner().page_token.is_empty() { ("lodge", "2") } else { ("shop", "") };
        Ok(Response::new(ListTenantsResponse { tenants: vec![tenant(id)?], next_page_token: next.into() }))
    }

    async fn update_tenant(&self, request: Request<UpdateTenantRequest>) -> Answer<Tenant> {
        let UpdateTenantRequest { tenant: given, update_mask } = request.into_inner();
        let given = given.unwrap_or_default();
        let mut changed = tenant(&given.id)?;
        for path in update_mask.unwrap_or_default().paths {
            match path.as_str() {
                "display_name" => changed.display_name.clone_from(&given.display_name),
                "texts" => changed.texts.clone_from(&given.texts),
                "reply_limit_per_minute" => changed.reply_limit_per_minute = given.reply_limit_per_minute,
                other => return Err(Status::invalid_argument(format!("unexpected path {other}"))),
            }
        }
        Ok(Response::new(changed))
    }

    async fn delete_tenant(&self, request: Request<DeleteTenantRequest>) -> Answer<()> {
        tenant(&request.into_inner().id).map(|_| Response::new(()))
    }

    async fn pin_tenant(&self, request: Request<PinTenantRequest>) -> Answer<Worker> {
        let PinTenantRequest { tenant_id, node_id, .. } = request.into_inner();
        Ok(Response::new(Worker { pinned_node_id: node_id, ..worker(&tenant_id)? }))
    }

    async fn unpin_tenant(&self, request: Request<UnpinTenantRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn explain_placement(&self, request: Request<ExplainPlacementRequest>) -> Answer<Placement> {
        tenant(&request.into_inner().tenant_id).map(|tenant| Response::new(orders::placement(tenant.id)))
    }
}

fn worker(tenant_id: &str) -> Result<Worker, Status> {
    let running = Worker {
        tenant_id: "lodge".into(),
        name: "roost-worker-lodge".into(),
        status: WorkerStatus::Running as i32,
        desired_state: DesiredState::Running as i32,
        node_id: "node-2".into(),
        generation: 3,
        last_error: String::new(),
        restarts: 1,
        last_seen_time: at(120),
        session_status: SessionStatus::Connected as i32,
        pinned_node_id: String::new(),
        conflicts: 0,
    };
    let failed = Worker {
        tenant_id: "shop".into(),
        name: "roost-worker-shop".into(),
        status: WorkerStatus::Error as i32,
        node_id: String::new(),
        generation: 1,
        last_error: "not seen for 2m".into(),
        last_seen_time: None,
        session_status: SessionStatus::Disconnected as i32,
        ..running.clone()
    };
    match tenant_id {
        "lodge" => Ok(running),
        "shop" => Ok(failed),
        _ => Err(unknown("tenant", tenant_id)),
    }
}

#[tonic::async_trait]
impl WorkerService for Script {
    type WatchWorkersStream = Items<WatchWorkersResponse>;

    async fn start_worker(&self, request: Request<StartWorkerRequest>) -> Answer<StartWorkerResponse> {
        let worker = Some(worker(&request.into_inner().tenant_id)?);
        Ok(Response::new(StartWorkerResponse { worker, already_running: true }))
    }

    async fn stop_worker(&self, request: Request<StopWorkerRequest>) -> Answer<Worker> {
        let _ = worker(&request.into_inner().tenant_id)?;
        Err(ApiError::unavailable(
            "postgres",
            Duration::from_secs(2),
            "postgres does not answer; nothing was changed",
        )
        .into())
    }

    async fn restart_worker(&self, request: Request<RestartWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn force_restart_worker(&self, request: Request<ForceRestartWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn get_worker(&self, request: Request<GetWorkerRequest>) -> Answer<Worker> {
        worker(&request.into_inner().tenant_id).map(Response::new)
    }

    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Answer<ListWorkersResponse> {
        let workers = vec![worker("lodge")?, worker("shop")?];
        Ok(Response::new(ListWorkersResponse { workers, next_page_token: String::new() }))
    }

    async fn watch_workers(&self, _: Request<WatchWorkersRequest>) -> Answer<Self::WatchWorkersStream> {
        let changes = [("lodge", false), ("shop", true)];
        let change = |(id, deleted)| Ok(WatchWorkersResponse { worker: Some(worker(id)?), deleted });
        Ok(Response::new(items(changes.into_iter().map(change).collect::<Result<Vec<_>, Status>>()?)))
    }
}

fn session(tenant_id: &str) -> Result<Session, Status> {
    let code = QrCode {
        text: "2@code-1".into(),
        data_uri: "data:image/png;base64,AAAA".into(),
        expire_time: at(20),
    };
    let waiting = Session {
        tenant_id: "shop".into(),
        status: SessionStatus::QrReady as i32,
        qr: Some(code),
        ..Default::default()
    };
    let linked = Session {
        tenant_id: "lodge".into(),
        status: SessionStatus::Connected as i32,
        connect_time: at(30),
        last_seen_time: at(120),
        ..Default::default()
    };
    let idle = Session {
        tenant_id: "idle".into(),
        status: SessionStatus::Disconnected as i32,
        ..Default::default()
    };
    match tenant_id {
        "shop" => Ok(waiting),
        "lodge" => Ok(linked),
        "idle" => Ok(idle),
        _ => Err(unknown("tenant", tenant_id)),
    }
}

#[tonic::async_trait]
impl SessionService for Script {
    type WatchQrStream = Items<Session>;

    async fn get_qr(&self, request: Request<GetQrRequest>) -> Answer<Session> {
        session(&request.into_inner().tenant_id).map(Response::new)
    }

    /// A code, then a phone scans it.
    async fn watch_qr(&self, request: Request<WatchQrRequest>) -> Answer<Self::WatchQrStream> {
        let waiting = session(&request.into_inner().tenant_id)?;
        let linked = Session { tenant_id: waiting.tenant_id.clone(), ..session("lodge")? };
        Ok(Response::new(items(vec![waiting, linked])))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Answer<Session> {
        let id = request.into_inner().tenant_id;
        let why = format!("the session of {id} is not connected; there is nothing to log out");
        Err(ApiError::new(ErrorCode::FailedPrecondition, why).into())
    }
}

fn messages() -> Vec<Message> {
    let message = |id, direction: Direction, body: &str| Message {
        id,
        tenant_id: "lodge".into(),
        direction: direction as i32,
        chat_id: "255711111111@c.us".into(),
        body: body.into(),
        whatsapp_id: format!("3EB0{id}"),
        create_time: at(id),
    };
    vec![
        message(2, Direction::Out, "Karibu Safari Lodge!\nHow can we help?"),
        message(1, Direction::In, "Habari \u{1b}[31m"),
    ]
}

#[tonic::async_trait]
impl MessageService for Script {
    type TailMessagesStream = Items<Message>;

    async fn list_messages(&self, _: Request<ListMessagesRequest>) -> Answer<ListMessagesResponse> {
        Ok(Response::new(ListMessagesResponse { messages: messages(), next_page_token: String::new() }))
    }

    async fn tail_messages(&self, _: Request<TailMessagesRequest>) -> Answer<Self::TailMessagesStream> {
        Ok(Response::new(items(messages().into_iter().rev().collect())))
    }
}

fn node(id: &str, tenants: i32) -> Node {
    Node {
        id: id.into(),
        address: "127.0.0.1:4001".into(),
        capacity: 50,
        weight: 100,
        zone: "default".into(),
        version: "0.1.0".into(),
        incarnation: 7_587,
        tenants,
        start_time: at(0),
        live: true,
        ..Default::default()
    }
}

fn known_node(id: &str) -> Result<Node, Status> {
    if id == "node-2" { Ok(node("node-2", 1)) } else { Err(unknown("node", id)) }
}

#[tonic::async_trait]
impl NodeService for Script {
    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Answer<ListNodesResponse> {
        let mut nodes = vec![Node { leaving: true, ..node("node-1", 0) }, node("node-2", 1)];
        nodes.push(Node { cordoned: true, suspect_until_time: at(60), ..node("node-3", 2) });
        nodes.push(Node { cordoned: true, draining: true, ..node("node-4", 3) });
        if request.into_inner().show_lost {
            let lost = Node { id: "node-5".into(), tenants: 4, ..Default::default() };
            nodes.push(Node { restart_window_end_time: at(60), ..lost });
        }
        Ok(Response::new(ListNodesResponse { nodes, next_page_token: String::new() }))
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Answer<Node> {
        known_node(&request.into_inner().id).map(Response::new)
    }

    async fn cordon(&self, request: Request<CordonRequest>) -> Answer<Node> {
        let CordonRequest { id, requested_by, reason } = request.into_inner();
        let node = known_node(&id)?;
        Ok(Response::new(Node { cordoned: true, cordoned_by: requested_by, cordon_reason: reason, ..node }))
    }

    async fn uncordon(&self, request: Request<UncordonRequest>) -> Answer<Node> {
        known_node(&request.into_inner().id).map(Response::new)
    }

    async fn set_restart_window(&self, request: Request<SetRestartWindowRequest>) -> Answer<Node> {
        let SetRestartWindowRequest { id, window, .. } = request.into_inner();
        let seconds = window.map(|window| window.seconds).unwrap_or_default();
        Ok(Response::new(Node { restart_window_end_time: at(seconds), ..known_node(&id)? }))
    }

    async fn clear_restart_window(&self, request: Request<ClearRestartWindowRequest>) -> Answer<Node> {
        known_node(&request.into_inner().id).map(Response::new)
    }
}
