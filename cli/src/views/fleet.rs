//! What an order on many workers would do, and which have failed.

use roost_proto::v1::{BlockedMove, FleetPlan, PlannedWorker, WorkerFailure};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Output, Row},
};

#[derive(Debug, Serialize)]
pub struct FleetPlanView {
    workers: Vec<PlannedWorkerView>,
    total_tenants: i32,
    /// Of a move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked: Vec<StayingView>,
    #[serde(skip)]
    is_move: bool,
}

#[derive(Debug, Serialize)]
struct PlannedWorkerView {
    tenant_id: String,
    node_id: String,
    answers: bool,
    /// Of a move, as the reason is.
    #[serde(skip_serializing_if = "String::is_empty")]
    to_node_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// A worker of a move; one that cannot goes nowhere.
#[derive(Debug, Serialize)]
struct MovingView {
    tenant_id: String,
    node_id: String,
    to_node_id: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct StayingView {
    tenant_id: String,
    from_node_id: String,
    reason: String,
}

#[derive(Debug, Serialize)]
pub struct WorkerFailureView {
    pub tenant_id: String,
    pub error: String,
}

impl FleetPlanView {
    pub fn new(plan: FleetPlan, is_move: bool) -> Self {
        let planned = |worker: PlannedWorker| {
            let PlannedWorker { tenant_id, node_id, answers, to_node_id, reason } = worker;
            PlannedWorkerView { tenant_id, node_id, answers, to_node_id, reason }
        };
        let staying = |blocked: BlockedMove| {
            let BlockedMove { tenant_id, from_node_id, reason } = blocked;
            StayingView { tenant_id, from_node_id, reason }
        };
        Self {
            workers: plan.workers.into_iter().map(planned).collect(),
            total_tenants: plan.total_tenants,
            blocked: plan.blocked.into_iter().map(staying).collect(),
            is_move,
        }
    }

    /// In order, as many as the coordinator names.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        if self.is_move {
            output.list(&self.moves())?;
        } else {
            output.list(&self.workers)?;
        }
        let (named, all) = (self.workers.len(), self.total_tenants);
        let first = if usize::try_from(all).is_ok_and(|all| all > named) {
            format!(", of which these {named} are the first")
        } else {
            String::new()
        };
        let cannot =
            if self.is_move { format!(", {} that cannot move", self.blocked.len()) } else { String::new() };
        output.note(&format!("{all} in all{first}{cannot}; nothing was done"));
        Ok(())
    }

    /// First those that move, then those that stay.
    fn moves(&self) -> Vec<MovingView> {
        let moving = self.workers.iter().map(|worker| MovingView {
            tenant_id: worker.tenant_id.clone(),
            node_id: worker.node_id.clone(),
            to_node_id: worker.to_node_id.clone(),
            reason: worker.reason.clone(),
        });
        let staying = self.blocked.iter().map(|blocked| MovingView {
            tenant_id: blocked.tenant_id.clone(),
            node_id: blocked.from_node_id.clone(),
            to_node_id: String::new(),
            reason: blocked.reason.clone(),
        });
        moving.chain(staying).collect()
    }
}

impl Row for MovingView {
    const HEADER: &'static [&'static str] = &["tenant", "from", "to", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![self.tenant_id.clone(), self.node_id.clone(), self.to_node_id.clone(), self.reason.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

impl Row for PlannedWorkerView {
    const HEADER: &'static [&'static str] = &["tenant", "node", "answers"];

    fn cells(&self) -> Vec<String> {
        let answers = if self.answers { "yes" } else { "no" };
        vec![self.tenant_id.clone(), self.node_id.clone(), answers.to_owned()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

impl From<WorkerFailure> for WorkerFailureView {
    fn from(WorkerFailure { tenant_id, error }: WorkerFailure) -> Self {
        Self { tenant_id, error }
    }
}

impl Row for WorkerFailureView {
    const HEADER: &'static [&'static str] = &["failed", "error"];

    fn cells(&self) -> Vec<String> {
        vec![self.tenant_id.clone(), self.error.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
