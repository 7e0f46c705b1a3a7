//! What an order on many workers would do, and which have failed.

use roost_proto::v1::{FleetPlan, PlannedWorker, WorkerFailure};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Output, Row},
};

#[derive(Debug, Serialize)]
pub struct FleetPlanView {
    workers: Vec<PlannedWorkerView>,
    total_tenants: i32,
}

#[derive(Debug, Serialize)]
struct PlannedWorkerView {
    tenant_id: String,
    node_id: String,
    answers: bool,
}

#[derive(Debug, Serialize)]
pub struct WorkerFailureView {
    tenant_id: String,
    error: String,
}

impl From<FleetPlan> for FleetPlanView {
    fn from(plan: FleetPlan) -> Self {
        let planned =
            |PlannedWorker { tenant_id, node_id, answers }| PlannedWorkerView { tenant_id, node_id, answers };
        Self { workers: plan.workers.into_iter().map(planned).collect(), total_tenants: plan.total_tenants }
    }
}

impl FleetPlanView {
    /// In order, as many as the coordinator names.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        output.list(&self.workers)?;
        let (named, all) = (self.workers.len(), self.total_tenants);
        let first = if usize::try_from(all).is_ok_and(|all| all > named) {
            format!(", of which these {named} are the first")
        } else {
            String::new()
        };
        output.note(&format!("{all} in all{first}; nothing was done"));
        Ok(())
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
