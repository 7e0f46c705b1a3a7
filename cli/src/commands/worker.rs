//! `roost worker`

use std::cmp::Reverse;

use clap::{Subcommand, ValueEnum, builder::NonEmptyStringValueParser};
use roost_proto::v1::{
    DescribeWorkerRequest, ForceRestartWorkerRequest, GetWorkerRequest, ListConditionChangesRequest,
    ListWorkersRequest, RestartWorkerRequest, StartWorkerRequest, StopWorkerRequest, WatchWorkersRequest,
    WorkerAction, WorkerStatus,
};

use super::{
    Context, all_pages, cluster,
    consent::Consent,
    fleet::{Unavailability, Workers},
    labels::Selection,
    log_level, logs, place, screenshot, wait,
};
use crate::{
    failure::Failure,
    views::{ConditionChangeView, WorkerDescriptionView, WorkerView},
};

#[derive(Debug, Subcommand)]
pub enum WorkerVerb {
    /// Starts a tenant's worker, or many; one is placed on a node and stays placed until it is stopped.
    Start(Workers),
    /// Stops it gracefully and keeps its session; one tenant's, or many.
    Stop(Workers),
    /// Clears a worker's last error and restarts it gracefully on its node with its session; one tenant's, or many, a few at a
    /// time, as an operation.
    Restart {
        #[command(flatten)]
        workers: Workers,
        #[command(flatten)]
        unavailability: Unavailability,
    },
    /// Moves a worker to another node with its session, or many, a few at a time, as an operation: prepared there before it stops here.
    Move {
        #[command(flatten)]
        workers: Workers,
        /// To this node. Without it each of many goes away from where it is, to wherever its place is then.
        #[arg(long, value_name = "NODE", required_unless_present_any = ["selector", "all"], value_parser = NonEmptyStringValueParser::new())]
        to: Option<String>,
        #[command(flatten)]
        unavailability: Unavailability,
    },
    /// Kills its browser without asking and starts afresh; one tenant's, or many.
    ForceRestart {
        #[command(flatten)]
        workers: Workers,
        #[command(flatten)]
        unavailability: Unavailability,
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
    /// Writes what its page shows at this moment into a file, for support. Who asked is in the events.
    Screenshot(screenshot::Screenshot),
    /// Has more or less written in its log for a time, on whichever node it is; it ends by itself.
    LogLevel(log_level::LogLevelOrder),
    /// Lists workers by tenant.
    List {
        #[command(flatten)]
        choice: WorkerChoice,
        /// Those that use most first, and not by tenant; all of them are read for it.
        #[arg(long, value_enum)]
        sort: Option<SortArg>,
        /// At most this many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Waits until a worker is connected, stopped or otherwise as it is wanted. The exit code says whether it is.
    Wait(wait::Wait),
    /// Lists what happened to a tenant, the newest first.
    Events {
        tenant: String,
        /// Print the last events, the oldest first, then each new one, until Ctrl-C.
        #[arg(short, long)]
        follow: bool,
        /// At most this many from before.
        #[arg(long, default_value_t = cluster::EVENTS)]
        limit: usize,
    },
    /// Lists what a worker's condition has been, with its node and the reason, the newest first: the last 100 changes.
    Conditions { tenant: String },
    /// Prints the workers as they are, then each change, until Ctrl-C. One that does not meet the choice any more is LEFT.
    Watch {
        /// Only this tenant's.
        #[arg(conflicts_with_all = ["node", "status", "selector"])]
        tenant: Option<String>,
        #[command(flatten)]
        choice: WorkerChoice,
    },
}

/// Which workers, by what the coordinator knows of them.
#[derive(Debug, clap::Args)]
pub struct WorkerChoice {
    /// Only workers on this node.
    #[arg(long)]
    pub node: Option<String>,
    /// Only workers in this status.
    #[arg(long, value_enum)]
    pub status: Option<StatusArg>,
    #[command(flatten)]
    pub selection: Selection,
}

impl WorkerChoice {
    /// As WatchWorkers takes it.
    pub fn watched(self) -> WatchWorkersRequest {
        WatchWorkersRequest {
            node_id: self.node.unwrap_or_default(),
            status: wire_status(self.status),
            selector: self.selection.selector,
            ..Default::default()
        }
    }
}

fn wire_status(status: Option<StatusArg>) -> i32 {
    status.map_or(WorkerStatus::Unspecified, WorkerStatus::from) as i32
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StatusArg {
    Running,
    Stopped,
    Error,
}

/// What a worker's browser used when it was last looked at.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SortArg {
    Memory,
    Cpu,
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
            Self::Start(Workers { tenant: Some(tenant), .. }) => return start(context, tenant).await,
            Self::Start(workers) => return workers.tell(context, WorkerAction::Start, None).await,
            Self::List { choice, sort, limit } => return list(context, choice, sort, limit).await,
            Self::Logs(logs) => return logs.run(context).await,
            Self::LogLevel(order) => return order.run(context).await,
            Self::Screenshot(order) => return order.run(context).await,
            Self::Describe { tenant } => return describe(context, tenant).await,
            Self::Watch { tenant, choice } => return watch(context, tenant, choice).await,
            Self::Wait(wait) => return wait.run(context).await,
            Self::Conditions { tenant } => return conditions(context, tenant).await,
            Self::Events { tenant, follow, limit } => {
                return cluster::events(context, String::new(), tenant, follow, limit).await;
            }
            Self::Stop(Workers { tenant: Some(tenant_id), .. }) => {
                client.stop_worker(StopWorkerRequest { tenant_id }).await?
            }
            Self::Stop(workers) => return workers.tell(context, WorkerAction::Stop, None).await,
            Self::Restart { workers: Workers { tenant: Some(tenant_id), .. }, .. } => {
                client.restart_worker(RestartWorkerRequest { tenant_id }).await?
            }
            Self::Restart { workers, unavailability } => {
                return workers.tell(context, WorkerAction::Restart, Some(unavailability)).await;
            }
            Self::Move { workers: Workers { tenant: Some(tenant), .. }, to, .. } => {
                return place::move_one(context, tenant, to.unwrap_or_default()).await;
            }
            Self::Move { workers, to, unavailability } => {
                return workers.move_to(context, to.unwrap_or_default(), unavailability).await;
            }
            Self::ForceRestart { workers, unavailability, wipe_session, consent } => {
                if wipe_session && !workers.plan {
                    consent.obtain(&format!("forget the {}", workers.sessions()))?;
                }
                let Some(tenant_id) = workers.tenant else {
                    let action = if wipe_session { WorkerAction::Relink } else { WorkerAction::ForceRestart };
                    return workers.tell(context, action, Some(unavailability)).await;
                };
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

async fn conditions(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let request = ListConditionChangesRequest { tenant_id };
    let told = context.admin()?.inspection().list_condition_changes(request).await?.into_inner();
    let rows: Vec<_> = told.changes.into_iter().map(ConditionChangeView::from).collect();
    context.output.list(&rows)
}

async fn list(
    context: &mut Context,
    choice: WorkerChoice,
    sort: Option<SortArg>,
    limit: Option<usize>,
) -> Result<(), Failure> {
    let admin = context.admin()?;
    let status = wire_status(choice.status);
    let node_id = choice.node.unwrap_or_default();
    let workers = all_pages(limit.filter(|_| sort.is_none()), |page_size, page_token| {
        let mut client = admin.workers();
        let selector = choice.selection.selector.clone();
        let request =
            ListWorkersRequest { page_size, page_token, node_id: node_id.clone(), status, selector };
        async move {
            let page = client.list_workers(request).await?.into_inner();
            Ok((page.workers, page.next_page_token))
        }
    });
    let mut rows: Vec<_> = workers.await?.into_iter().map(WorkerView::from).collect();
    match sort {
        Some(SortArg::Memory) => rows.sort_by_key(|row| Reverse(row.memory_bytes())),
        Some(SortArg::Cpu) => rows.sort_by_key(|row| Reverse(row.cpu_millicores())),
        None => {}
    }
    rows.truncate(limit.unwrap_or(usize::MAX));
    context.output.list(&rows)
}

async fn watch(context: &mut Context, tenant: Option<String>, choice: WorkerChoice) -> Result<(), Failure> {
    let request = WatchWorkersRequest { tenant_id: tenant.unwrap_or_default(), ..choice.watched() };
    let mut changes = context.admin()?.workers().watch_workers(request).await?.into_inner();
    context.output.header::<WorkerView>()?;
    while let Some(change) = changes.message().await? {
        let worker = WorkerView::from(change.worker.unwrap_or_default());
        context.output.event(&match (change.deleted, change.no_longer_fits) {
            (true, _) => worker.deleted(),
            (false, true) => worker.no_longer_fits(),
            (false, false) => worker,
        })?;
    }
    Ok(())
}
