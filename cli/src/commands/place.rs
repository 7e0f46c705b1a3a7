//! `roost tenant move|pin|unpin` and `roost explain`

use roost_proto::v1::{
    ExplainPlacementRequest, PinTenantRequest, PlanMoveRequest, StartMoveRequest, UnpinTenantRequest,
};

use super::{Context, attribution::Attribution, follow::started};
use crate::{
    failure::Failure,
    views::{PlacementView, PlanView, WorkerView},
};

#[derive(Debug, clap::Args)]
pub struct Move {
    tenant: String,
    node: String,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// Do not wait for the end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attribution: Attribution,
}

/// To the node, followed to its end.
pub async fn move_one(context: &mut Context, tenant_id: String, node_id: String) -> Result<(), Failure> {
    let request = StartMoveRequest { tenant_id, node_id, ..Default::default() };
    let operation = context.admin()?.operations().start_move(request).await?.into_inner();
    started(context, operation, false).await
}

impl Move {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.operations();
        let (tenant_id, node_id) = (self.tenant, self.node);
        if self.plan {
            let plan = client.plan_move(PlanMoveRequest { tenant_id, node_id }).await?.into_inner();
            return PlanView::from(plan).print(&mut context.output);
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = StartMoveRequest { tenant_id, node_id, requested_by, reason };
        let operation = client.start_move(request).await?.into_inner();
        started(context, operation, self.detach).await
    }
}

pub async fn pin(
    context: &mut Context,
    tenant: String,
    node: String,
    attribution: Attribution,
) -> Result<(), Failure> {
    let (requested_by, reason) = attribution.into_parts();
    let request = PinTenantRequest { tenant_id: tenant, node_id: node, requested_by, reason };
    let worker = context.admin()?.tenants().pin_tenant(request).await?.into_inner();
    context.output.one(&WorkerView::from(worker))
}

pub async fn unpin(
    context: &mut Context,
    tenant_id: String,
    attribution: Attribution,
) -> Result<(), Failure> {
    let (requested_by, reason) = attribution.into_parts();
    let request = UnpinTenantRequest { tenant_id, requested_by, reason };
    let worker = context.admin()?.tenants().unpin_tenant(request).await?.into_inner();
    context.output.one(&WorkerView::from(worker))
}

pub async fn explain(context: &mut Context, tenant_id: String) -> Result<(), Failure> {
    let request = ExplainPlacementRequest { tenant_id };
    let placement = context.admin()?.tenants().explain_placement(request).await?.into_inner();
    PlacementView::from(placement).print(&mut context.output)
}
