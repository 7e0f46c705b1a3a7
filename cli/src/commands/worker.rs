//! `roost worker`

use clap::{Subcommand, ValueEnum};
use roost_proto::v1::{
    DescribeWorkerRequest, ForceRestartWorkerRequest, GetWorkerRequest, ListWorkersRequest,
    StartWorkerRequest, StopWorkerRequest, WatchWorkersRequest, WorkerStatus,
};

use super::{Context, all_pages, consent::Consent, labels::Selection, logs, restart};
use crate::{
    failure::Failure,
    output::Row,
    views::{WorkerDescriptionView, WorkerView},
};

#[derive(Debug, Subcommand)]
pub enum WorkerVerb {
    /// Starts a tenant's worker; it is placed on a node and stays placed until it is stopped.
    Start { tenant: String },
    /// Stops it gracefully and keeps its session.
    Stop { tenant: String },
    /// Clears a worker's last error and restarts it gracefully on its node with its session; one tenant's, or many, a few at a
    /// time, as an operation.
    Restart(restart::Restart),
    /// Kills its browser without asking and starts afresh.
    ForceRestart {
        tenant: String,
        /// Forget the session: a new QR code must be scanned. Asks first.
        #[arg(long)]
        wipe_session: bool,
        #[command(flatten)]
        consent: Consent,
    },
    /// Shows a tenant's worker.
    Get { tenant: String },
    /// Shows all that is known of a tenant's worker, and what its node knows of it at this moment.
    Describe { tenant: String },
    /// Shows what a tenant's worker has logged, from wherever it runs or ran.
    Logs(logs::Logs),
    /// Lists workers by tenant.
    List {
        /// Only workers on this node.
        #[arg(long)]
        node: Option<String>,
        /// Only workers in this status.
        #[arg(long, value_enum)]
        status: Option<StatusArg>,
        #[command(flatten)]
        selection: Selection,
        /// At most this many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Prints the workers as they are, then each change, until Ctrl-C.
    Watch {
        /// Only this tenant's.
        tenant: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StatusArg {
    Running,
    Stopped,
    Error,
}

impl From<StatusArg> for WorkerStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Running => WorkerStatus::Running,
            StatusArg::Stopped => WorkerStatus::Stopped,
            StatusArg::Error => WorkerStatus::Error,
        }
    }
}

impl WorkerVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.workers();
        let worker = match self {
            Self::Start { tenant } => return start(context, tenant).await,
            Self::List { node, status, selection, limit } => {
                return list(context, node, status, selection, limit).await;
            }
            Self::Logs(logs) => return logs.run(context).await,
            Self::Describe { tenant } => return describe(context, tenant).await,
            Self::Watch { tenant } => return watch(context, tenant).await,
            Self::Stop { tenant: tenant_id } => client.stop_worker(StopWorkerRequest { tenant_id }).await?,
            Self::Restart(restart) => return restart.run(context).await,
            Self::ForceRestart { tenant: tenant_id, wipe_session, consent } => {
                if wipe_session {
                    consent.obtain(&format!("forget the session of {tenant_id}"))?;
                }
                client.force_restart_worker(ForceRestartWorkerRequest { tenant_id, wipe_session }).await?
            }
            Self::Get { tenant: tenant_id } => client.get_worker(GetWorkerRequest { tenant_id }).await?,
        };
        context.output.one(&WorkerView::from(worker.into_inner()))
    }
}

async fn start(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let request = StartWorkerRequest { tenant_id };
    let answer = context.admin()?.workers().start_worker(request).await?.into_inner();
    let worker = answer.worker.unwrap_or_default();
    if answer.already_running {
        context.output.note(&format!("{} runs already", worker.name));
    }
    context.output.one(&WorkerView::from(worker))
}

async fn describe(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let request = DescribeWorkerRequest { tenant_id };
    let told = context.admin()?.inspection().describe_worker(request).await?.into_inner();
    context.output.one(&WorkerDescriptionView::from(told))
}

async fn list(
    context: &mut Context,
    node: Option<String>,
    status: Option<StatusArg>,
    selection: Selection,
    limit: Option<usize>,
) -> Result<(), Failure> {
    let admin = context.admin()?;
    let status = status.map_or(WorkerStatus::Unspecified, WorkerStatus::from) as i32;
    let node_id = node.unwrap_or_default();
    let workers = all_pages(limit, |page_size, page_token| {
        let mut client = admin.workers();
        let selector = selection.selector.clone();
        let request =
            ListWorkersRequest { page_size, page_token, node_id: node_id.clone(), status, selector };
        async move {
            let page = client.list_workers(request).await?.into_inner();
            Ok((page.workers, page.next_page_token))
        }
    });
    let rows: Vec<_> = workers.await?.into_iter().map(WorkerView::from).collect();
    context.output.list(&rows)
}

async fn watch(context: &mut Context, tenant: Option<String>) -> Result<(), Failure> {
    let request = WatchWorkersRequest { tenant_id: tenant.unwrap_or_default() };
    let mut changes = context.admin()?.workers().watch_workers(request).await?.into_inner();
    if !context.output.is_json() {
        context.output.text(&WorkerView::HEADER.join("  ").to_uppercase())?;
    }
    while let Some(change) = changes.message().await? {
        let worker = WorkerView::from(change.worker.unwrap_or_default());
        context.output.event(&if change.deleted { worker.deleted() } else { worker })?;
    }
    Ok(())
}
