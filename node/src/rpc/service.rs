//! What a node answers.

use std::{
    io,
    time::{Duration, Instant},
};

use roost_engine::Vitals;
use roost_model::{causes, ids::TenantId};
use roost_proto::{
    error::{ApiError, ErrorCode},
    internal::{
        Browser, EffectiveSetting, GetStatusRequest, GetStatusResponse, HeldTenant, ImportSessionRequest,
        InspectWorkerRequest, InspectWorkerResponse, ProcessTree, ReadLogRequest, TakeScreenshotRequest,
        TakeScreenshotResponse,
        node_agent_service_server::{NodeAgentService, NodeAgentServiceServer},
    },
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status, Streaming, async_trait,
    service::InterceptorLayer,
    transport::{self, Server},
};

use super::{
    args::RpcAccess,
    auth::SecretCheck,
    import_session::{self, SessionImporter},
    read_log::{self, Answers},
    screenshot::Screenshots,
};
use crate::{
    blocking::run_blocking,
    health::NodeHealth,
    host::worker_table::{HeldTenantStatus, WorkerTable},
    resources::{GroupUsage, Resources},
    worker::{Setting, WorkerHandle},
    worker_log::WorkerLog,
};

/// Calls at a time on one connection; a coordinator has one.
const MAX_CALLS: u32 = 256;
/// A connection that is silent for so long is asked whether its peer is still there, and closed when it is not.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest are parts of a profile, which were requests of the admin API before, of 1 MiB at most.
const MAX_REQUEST: usize = (1 << 20) + (4 << 10);
/// How long the processes of a browser are looked at: the kernel counts hundredths of a second.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
#[error("the server for coordinators failed")]
pub struct ServeRpcError(#[from] transport::Error);

/// Cheap to clone.
#[derive(Clone)]
pub struct RpcService {
    pub health: NodeHealth,
    pub workers: WorkerTable,
    pub resources: Resources,
    pub log: WorkerLog,
    pub importer: SessionImporter,
    pub screenshots: Screenshots,
}

/// Serves until the process ends.
pub async fn serve(
    listener: TcpListener,
    service: RpcService,
    access: RpcAccess,
) -> Result<(), ServeRpcError> {
    let (tls, secret) = match access {
        RpcAccess::Tls(tls) => (Some(tls), None),
        RpcAccess::Secret(secret) => (None, Some(secret)),
    };
    Server::builder()
        .max_concurrent_streams(MAX_CALLS)
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(InterceptorLayer::new(SecretCheck::new(secret)))
        .add_service(NodeAgentServiceServer::new(service).max_decoding_message_size(MAX_REQUEST))
        .serve_with_incoming(roost_tls::accept(TcpListenerStream::new(listener), tls))
        .await?;
    Ok(())
}

#[async_trait]
impl NodeAgentService for RpcService {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let status = self.health.status();
        let tenants: Vec<_> = self.workers.statuses().into_iter().map(held_tenant).collect();
        Ok(Response::new(GetStatusResponse {
            node_id: status.node.into(),
            version: status.version.to_owned(),
            incarnation: status.incarnation.map_or(0, |incarnation| incarnation.0),
            standing: status.standing.to_owned(),
            leaving: status.leaving,
            tenants,
        }))
    }

    async fn inspect_worker(
        &self,
        request: Request<InspectWorkerRequest>,
    ) -> Result<Response<InspectWorkerResponse>, Status> {
        let tenant = tenant_id(&request.get_ref().tenant_id)?;
        let Some((held, worker)) = self.workers.status(&tenant) else {
            let message = format!("this node does not hold the tenant {tenant}");
            return Err(ApiError::new(ErrorCode::NotFound, message).about("tenant", tenant.as_str()).into());
        };
        let vitals = match &worker {
            Some(worker) => worker.vitals().await,
            None => None,
        };
        let browser = match vitals {
            Some(vitals) => Some(browser(vitals, &self.resources).await),
            None => None,
        };
        Ok(Response::new(InspectWorkerResponse {
            held: Some(held_tenant(held)),
            reconnect_attempts: worker.as_ref().map_or(0, WorkerHandle::attempts),
            timing: worker
                .map(|worker| worker.settings().into_iter().map(setting).collect())
                .unwrap_or_default(),
            node_version: env!("CARGO_PKG_VERSION").to_owned(),
            browser,
        }))
    }

    type ReadLogStream = Answers;

    async fn read_log(
        &self,
        request: Request<ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        Ok(Response::new(read_log::read_log(&self.log, &self.workers, request.get_ref()).await?))
    }

    async fn take_screenshot(
        &self,
        request: Request<TakeScreenshotRequest>,
    ) -> Result<Response<TakeScreenshotResponse>, Status> {
        let request = request.into_inner();
        let tenant = tenant_id(&request.tenant_id)?;
        Ok(Response::new(self.screenshots.take(&tenant, request).await?))
    }

    type ImportSessionStream = import_session::Answers;

    async fn import_session(
        &self,
        request: Request<Streaming<ImportSessionRequest>>,
    ) -> Result<Response<Self::ImportSessionStream>, Status> {
        Ok(Response::new(self.importer.import(request.into_inner())))
    }
}

fn tenant_id(given: &str) -> Result<TenantId, ApiError> {
    TenantId::new(given)
        .map_err(|_| ApiError::new(ErrorCode::InvalidArgument, format!("{given:?} is no tenant's id")))
}

fn held_tenant(held: HeldTenantStatus) -> HeldTenant {
    HeldTenant {
        tenant_id: held.tenant.into(),
        generation: held.generation.0,
        state: held.state,
        since_proof: held.since_proof.map(duration),
    }
}

fn setting(Setting { name, value, is_tenants_own }: Setting) -> EffectiveSetting {
    EffectiveSetting { name: name.to_owned(), value, is_tenants_own }
}

async fn browser(vitals: Vitals, resources: &Resources) -> Browser {
    let processes = match vitals.pid {
        Some(pid) => process_tree(pid)
            .await
            .map_err(|error| {
                tracing::warn!(error = %causes(&error), "what a browser uses cannot be seen");
            })
            .ok(),
        None => None,
    };
    Browser {
        uptime: Some(duration(vitals.since.elapsed())),
        browser_version: vitals.browser_version,
        bridge_version: vitals.bridge_version.to_owned(),
        library_version: vitals.library_version,
        page_version: vitals.page_version.unwrap_or_default(),
        processes,
        limits_held_by: vitals.pid.map(|pid| resources.limits_held_by(pid)).unwrap_or_default(),
    }
}

async fn process_tree(pid: u32) -> io::Result<ProcessTree> {
    let begun = Instant::now();
    let before = run_blocking(move || GroupUsage::of(pid)).await?;
    tokio::time::sleep(LOOK).await;
    let usage = run_blocking(move || GroupUsage::of(pid)).await?;
    // A process that has ended meanwhile took its time with it.
    let spent = usage.cpu.saturating_sub(before.cpu);
    Ok(ProcessTree {
        pid: pid.cast_signed(),
        processes: usage.processes,
        pss_bytes: usage.share_bytes,
        own_bytes: usage.private_bytes,
        cpu_time: Some(duration(usage.cpu)),
        cpu_share: spent.as_secs_f64() / begun.elapsed().as_secs_f64(),
    })
}

/// One that is too long for the message's field is the longest that it takes.
fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}
