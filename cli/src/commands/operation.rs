//! `roost operation`

use clap::{Subcommand, ValueEnum};
use roost_proto::v1::{
    CancelOperationRequest, GetOperationRequest, ListOperationsRequest, Operation, OperationState,
    PlanSettingsUndoRequest, ResumeOperationRequest, StartSettingsUndoRequest,
};

use super::{
    Context, all_pages,
    attribution::Attribution,
    fleet::Course,
    follow::{follow, started},
};
use crate::{
    failure::Failure,
    output::Row,
    views::{MoveView, OperationView, SettingsPlanView, WorkerFailureView},
};

#[derive(Debug, Subcommand)]
pub enum OperationVerb {
    /// Lists operations, the newest first.
    List {
        /// Only operations in this state.
        #[arg(long, value_enum)]
        state: Option<StateArg>,
        /// Only drains of this node and moves to it.
        #[arg(long)]
        node: Option<String>,
        /// Only moves of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        /// At most this many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Shows an operation and what it moved, or which workers have failed.
    Get { id: i64 },
    /// Follows an operation to its end. Ctrl-C ends the watching and not the operation.
    Watch { id: i64 },
    /// Begins nothing more of an operation; what is on its way arrives.
    Cancel {
        id: i64,
        #[command(flatten)]
        attribution: Attribution,
    },
    /// Puts back the settings that an operation has changed, as another operation. Who has other values by now is left out, and named.
    Undo {
        id: i64,
        /// Only show what would be put back.
        #[arg(long, conflicts_with = "detach")]
        plan: bool,
        #[command(flatten)]
        course: Course,
    },
    /// Goes on with an operation that has paused at a failure.
    Resume {
        id: i64,
        #[command(flatten)]
        attribution: Attribution,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StateArg {
    Running,
    Done,
    Failed,
    Cancelled,
}

impl From<StateArg> for OperationState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Running => OperationState::Running,
            StateArg::Done => OperationState::Done,
            StateArg::Failed => OperationState::Failed,
            StateArg::Cancelled => OperationState::Cancelled,
        }
    }
}

impl OperationVerb {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List { state, node, tenant, limit } => {
                let filter = ListOperationsRequest {
                    state: state.map_or(OperationState::Unspecified, OperationState::from) as i32,
                    node_id: node.unwrap_or_default(),
                    tenant_id: tenant.unwrap_or_default(),
                    ..Default::default()
                };
                let operations = listed(context, filter, limit).await?;
                let rows: Vec<_> = operations.into_iter().map(OperationView::from).collect();
                context.output.list(&rows)
            }
            Self::Get { id } => get(context, id).await,
            Self::Watch { id } => follow(context, id).await,
            Self::Cancel { id, attribution } => cancel(context, id, attribution).await,
            Self::Undo { id, plan: true, .. } => plan_undo(context, id).await,
            Self::Undo { id, course, .. } => {
                let Course { max_concurrent, paused_on_failure: pause_on_failure, detach, attribution } =
                    course;
                let (requested_by, reason) = attribution.into_parts();
                let request =
                    StartSettingsUndoRequest { id, max_concurrent, pause_on_failure, requested_by, reason };
                undo(context, request, detach).await
            }
            Self::Resume { id, attribution } => resume(context, id, attribution).await,
        }
    }
}

/// Every operation that the filter lets through, or the newest `limit` of them.
pub(super) async fn listed(
    context: &Context,
    filter: ListOperationsRequest,
    limit: Option<usize>,
) -> Result<Vec<Operation>, Failure> {
    let admin = context.admin()?;
    all_pages(limit, |page_size, page_token| {
        let mut client = admin.operations();
        let request = ListOperationsRequest { page_size, page_token, ..filter.clone() };
        async move {
            let page = client.list_operations(request).await?.into_inner();
            Ok((page.operations, page.next_page_token))
        }
    })
    .await
}

async fn get(context: &mut Context, id: i64) -> Result<(), Failure> {
    let request = GetOperationRequest { id };
    let operation = context.admin()?.operations().get_operation(request).await?.into_inner();
    let moves: Vec<_> = operation.moves.iter().cloned().map(MoveView::from).collect();
    let failures: Vec<_> = operation.failures.iter().cloned().map(WorkerFailureView::from).collect();
    context.output.one(&OperationView::from(operation))?;
    list_beneath(context, &moves)?;
    list_beneath(context, &failures)
}

/// JSON and YAML have them in the operation.
fn list_beneath<R: Row>(context: &mut Context, rows: &[R]) -> Result<(), Failure> {
    if context.output.is_data() || rows.is_empty() {
        return Ok(());
    }
    context.output.text("")?;
    context.output.list(rows)
}

pub(super) async fn cancel(context: &mut Context, id: i64, attribution: Attribution) -> Result<(), Failure> {
    let (requested_by, reason) = attribution.into_parts();
    let request = CancelOperationRequest { id, requested_by, reason };
    let operation = context.admin()?.operations().cancel_operation(request).await?.into_inner();
    context.output.one(&OperationView::from(operation))
}

async fn plan_undo(context: &mut Context, id: i64) -> Result<(), Failure> {
    let request = PlanSettingsUndoRequest { id };
    let plan = context.admin()?.tenants().plan_settings_undo(request).await?.into_inner();
    SettingsPlanView::from(plan).print(&mut context.output)
}

async fn undo(context: &mut Context, request: StartSettingsUndoRequest, detach: bool) -> Result<(), Failure> {
    let operation = context.admin()?.tenants().start_settings_undo(request).await?.into_inner();
    for left in &operation.left_out {
        context.output.note(&format!("{} is left out: {}", left.tenant_id, left.error));
    }
    started(context, operation, detach).await
}

async fn resume(context: &mut Context, id: i64, attribution: Attribution) -> Result<(), Failure> {
    let (requested_by, reason) = attribution.into_parts();
    let request = ResumeOperationRequest { id, requested_by, reason };
    let operation = context.admin()?.operations().resume_operation(request).await?.into_inner();
    context.output.one(&OperationView::from(operation))
}
