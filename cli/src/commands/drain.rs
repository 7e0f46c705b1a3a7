//! `roost node drain`

use std::time::Duration;

use roost_proto::v1::{
    ListOperationsRequest, Operation, OperationKind, OperationState, PlanDrainRequest, StartDrainRequest,
};

use super::{Context, attribution::Attribution, consent::Consent, follow::started, operation, wire_duration};
use crate::{failure::Failure, views::PlanView};

#[derive(Debug, clap::Args)]
pub struct Drain {
    pub node: String,
    /// After so long, such as 10m, the rest is moved at once, neither prepared nor paced; at most 24h.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    deadline: Option<Duration>,
    /// Move at once from the beginning, and even if no other node takes tenants. Asks first.
    #[arg(long)]
    force: bool,
    /// Only show what would move, and where to.
    #[arg(long, conflicts_with_all = ["cancel", "detach", "deadline"])]
    plan: bool,
    /// Cancel the drain of the node that runs.
    #[arg(long, conflicts_with_all = ["force", "detach", "deadline"])]
    cancel: bool,
    /// Do not wait for the end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    attribution: Attribution,
}

impl Drain {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.operations();
        if self.cancel {
            let running = running_drain(context, &self.node).await?;
            return operation::cancel(context, running.id, self.attribution).await;
        }
        if self.plan {
            let request = PlanDrainRequest { node_id: self.node, force: self.force };
            let plan = client.plan_drain(request).await?.into_inner();
            return PlanView::from(plan).print(&mut context.output);
        }
        if self.force {
            let node = &self.node;
            self.consent
                .obtain(&format!("drain {node} by force, before other nodes are ready for its tenants"))?;
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = StartDrainRequest {
            node_id: self.node,
            deadline: self.deadline.map(wire_duration).transpose()?,
            force: self.force,
            requested_by,
            reason,
        };
        let operation = client.start_drain(request).await?.into_inner();
        started(context, operation, self.detach).await
    }
}

async fn running_drain(context: &Context, node: &str) -> Result<Operation, Failure> {
    let filter = ListOperationsRequest {
        state: OperationState::Running as i32,
        node_id: node.to_owned(),
        ..Default::default()
    };
    let running = operation::listed(context, filter, None).await?;
    running.into_iter().find(|operation| operation.kind() == OperationKind::Drain).ok_or_else(|| {
        Failure::Refused(format!("no drain of {node} runs; see `roost operation list` for what does"))
    })
}
