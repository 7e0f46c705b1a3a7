//! What an operation would do.

use roost_proto::v1::{BlockedMove, Plan, PlannedMove};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Output, Row},
};

/// What an operation would do.
#[derive(Debug, Serialize)]
pub struct PlanView {
    moves: Vec<PlannedView>,
    blocked: Vec<BlockedView>,
}

#[derive(Debug, Serialize)]
struct PlannedView {
    tenant_id: String,
    from_node_id: String,
    to_node_id: String,
    reason: String,
}

#[derive(Debug, Serialize)]
struct BlockedView {
    tenant_id: String,
    from_node_id: String,
    reason: String,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        let moves =
            plan.moves.into_iter().map(|PlannedMove { tenant_id, from_node_id, to_node_id, reason }| {
                PlannedView { tenant_id, from_node_id, to_node_id, reason }
            });
        let blocked = plan.blocked.into_iter().map(|BlockedMove { tenant_id, from_node_id, reason }| {
            BlockedView { tenant_id, from_node_id, reason }
        });
        Self { moves: moves.collect(), blocked: blocked.collect() }
    }
}

impl PlanView {
    /// Two tables: what moves, and, where there is any, what cannot.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        if self.moves.is_empty() && self.blocked.is_empty() {
            return output.text("nothing to move");
        }
        if !self.moves.is_empty() {
            output.list(&self.moves)?;
        }
        if !self.blocked.is_empty() {
            output.text(if self.moves.is_empty() { "cannot move:" } else { "\ncannot move:" })?;
            output.list(&self.blocked)?;
        }
        output.note(&format!(
            "{} to move, {} that cannot; nothing was done",
            self.moves.len(),
            self.blocked.len()
        ));
        Ok(())
    }
}

impl Row for PlannedView {
    const HEADER: &'static [&'static str] = &["tenant", "from", "to", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![self.tenant_id.clone(), self.from_node_id.clone(), self.to_node_id.clone(), self.reason.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

impl Row for BlockedView {
    const HEADER: &'static [&'static str] = &["tenant", "on", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![self.tenant_id.clone(), self.from_node_id.clone(), self.reason.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
