//! The operator: drains, moves and rebalances while the nemesis is at work, and cancels some of them.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, bail};
use roost_devcluster::{TenantRecord, wait_until};
use roost_proto::client::Admin;
use roost_proto::v1::{
    CancelOperationRequest, GetClusterStatusRequest, GetOperationRequest, Operation, OperationState,
    StartDrainRequest, StartMoveRequest, StartRebalanceRequest, UncordonRequest,
};
use tonic::{Code, Status};

use super::dice::Dice;

/// A drain gives up waiting for what cannot move after this.
const DRAIN_DEADLINE: prost_types::Duration = prost_types::Duration { seconds: 20, nanos: 0 };
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// One operation in so many is cancelled.
const CANCELLED: usize = 3;
/// Apart from the schedule's numbers.
const SALT: u64 = 0x006f_7065_7261_746f;

pub(super) struct Operator {
    admins: Vec<Admin>,
    nodes: Vec<String>,
    tenants: Vec<TenantRecord>,
    dice: Dice,
    pub orders: Orders,
}

/// What became of the operator's orders.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    pub done: usize,
    pub failed: usize,
    pub cancelled: usize,
    /// The cluster said no, with a reason: a move to the node that the tenant is on, for example.
    pub refused: usize,
    /// The latest reasons of those that failed.
    pub failures: Vec<String>,
}

/// An operation that was started.
#[derive(Debug)]
pub(super) struct Running {
    id: i64,
    drained: Option<String>,
    cancel: bool,
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, failed, cancelled, refused, .. } = self;
        write!(f, "{done} done, {cancelled} cancelled, {failed} failed, {refused} refused")
    }
}

impl Operator {
    pub fn begin(admins: &[Admin], nodes: Vec<String>, tenants: &[TenantRecord], seed: u64) -> Self {
        let (admins, tenants, dice) = (admins.to_vec(), tenants.to_vec(), Dice::new(seed ^ SALT));
        Self { admins, nodes, tenants, dice, orders: Orders::default() }
    }

    /// Starts something, every other time.
    pub async fn start(&mut self) -> Result<Option<Running>> {
        if self.dice.roll(2) == 0 {
            return Ok(None);
        }
        let mut operations = self.admin().await?.operations();
        let node = self.nodes[self.dice.roll(self.nodes.len())].clone();
        let tenant = self.tenants[self.dice.roll(self.tenants.len())].id.clone();
        let what = self.dice.roll(3);
        let answer = match what {
            0 => operations.start_drain(drain(&node)).await,
            1 => operations.start_rebalance(StartRebalanceRequest::default()).await,
            _ => operations.start_move(start_move(tenant, node.clone())).await,
        };
        let cancel = self.dice.roll(CANCELLED) == 0;
        match answer.map(tonic::Response::into_inner) {
            Ok(operation) => {
                Ok(Some(Running { id: operation.id, drained: (what == 0).then_some(node), cancel }))
            }
            Err(refusal) if is_refusal(&refusal) => {
                self.orders.refused += 1;
                Ok(None)
            }
            Err(status) => bail!("an operation could not be started: {status}"),
        }
    }

    /// Cancels what is to be cancelled, and waits until the operation is over, one way or another.
    pub async fn end(&mut self, running: Running, within: Duration) -> Result<()> {
        let admin = self.admin().await?;
        if running.cancel {
            cancel(&admin, running.id).await?;
        }
        let over = || async {
            let operation = get(&admin, running.id).await;
            operation.is_ok_and(|operation| operation.state() != OperationState::Running)
        };
        let waited = wait_until("the operation is over", within, over).await;
        let operation = get(&admin, running.id).await.context("reading the operation")?;
        waited.with_context(|| format!("{operation:?}"))?;
        match operation.state() {
            OperationState::Done => self.orders.done += 1,
            OperationState::Cancelled => self.orders.cancelled += 1,
            OperationState::Failed => {
                self.orders.failed += 1;
                self.orders.failures.push(format!(
                    "{}: {}",
                    operation.kind().as_str_name(),
                    operation.message
                ));
            }
            state => bail!("an operation ended as {state:?}"),
        }
        if let Some(id) = running.drained {
            let request = UncordonRequest { id: id.clone(), ..UncordonRequest::default() };
            admin.nodes().uncordon(request).await.with_context(|| format!("uncordon {id}"))?;
        }
        Ok(())
    }

    /// Of one of the coordinators, once it answers: it may have been killed a moment ago.
    async fn admin(&mut self) -> Result<Admin> {
        let admin = self.admins[self.dice.roll(self.admins.len())].clone();
        let answers =
            || async { admin.cluster().get_cluster_status(GetClusterStatusRequest {}).await.is_ok() };
        wait_until("the coordinator answers", ANSWERS_WITHIN, answers).await?;
        Ok(admin)
    }
}

async fn cancel(admin: &Admin, id: i64) -> Result<()> {
    let request = CancelOperationRequest { id, ..CancelOperationRequest::default() };
    match admin.operations().cancel_operation(request).await {
        Ok(_) => Ok(()),
        // It was over before.
        Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
        Err(status) => bail!("operation {id} could not be cancelled: {status}"),
    }
}

async fn get(admin: &Admin, id: i64) -> Result<Operation, Status> {
    let operation = admin.operations().get_operation(GetOperationRequest { id }).await;
    operation.map(tonic::Response::into_inner)
}

fn drain(node: &str) -> StartDrainRequest {
    StartDrainRequest {
        node_id: node.to_owned(),
        deadline: Some(DRAIN_DEADLINE),
        ..StartDrainRequest::default()
    }
}

fn start_move(tenant_id: String, node_id: String) -> StartMoveRequest {
    StartMoveRequest { tenant_id, node_id, ..StartMoveRequest::default() }
}

fn is_refusal(status: &Status) -> bool {
    // A node that is not back yet is not found.
    matches!(
        status.code(),
        Code::FailedPrecondition | Code::InvalidArgument | Code::NotFound | Code::ResourceExhausted
    )
}
