//! An order on one worker at once, or on many, a few at a time, as an operation.

use clap::builder::NonEmptyStringValueParser;
use prost_types::FieldMask;
use roost_proto::v1::{
    BlockedMove, PlanFleetOperationRequest, PlanSettingsUpdateRequest, StartFleetOperationRequest,
    StartSettingsUpdateRequest, Tenant, WorkerAction,
};

use super::{Context, attribution::Attribution, follow::started, rebalance::percent};
use crate::{
    failure::Failure,
    views::{FleetPlanView, SettingsPlanView},
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("workers").required(true).args(["tenant", "selector", "all"])))]
pub struct Workers {
    /// Only this tenant's, at once.
    #[arg(conflicts_with_all = ["plan", "max_concurrent", "paused_on_failure", "detach", "reason"])]
    pub tenant: Option<String>,
    /// Those of the tenants that meet all of these now, a few at a time: terms as in `roost worker list --selector`.
    #[arg(short = 'l', long, value_name = "TERMS", value_parser = NonEmptyStringValueParser::new())]
    pub selector: Option<String>,
    /// Those of all tenants, a few at a time.
    #[arg(long)]
    all: bool,
    /// Only show which, and in what order.
    #[arg(long, conflicts_with = "detach")]
    pub plan: bool,
    #[command(flatten)]
    course: Course,
}

/// How an operation on many goes.
#[derive(Debug, clap::Args)]
pub struct Course {
    /// The most under way at once, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..))]
    pub max_concurrent: i32,
    /// When one has failed, begin no other until `roost operation resume`.
    #[arg(long)]
    pub paused_on_failure: bool,
    /// Do not wait for the end.
    #[arg(short, long)]
    pub detach: bool,
    #[command(flatten)]
    pub attribution: Attribution,
}

/// Of what takes workers away that are connected.
#[derive(Debug, clap::Args)]
pub struct Unavailability {
    /// The most of the chosen that do not answer at one moment, of those that did when it started.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, conflicts_with = "tenant")]
    max_unavailable: i32,
}

impl Workers {
    /// Whose, for a question.
    pub fn sessions(&self) -> String {
        match (&self.tenant, &self.selector) {
            (Some(tenant), _) => format!("session of {tenant}"),
            (None, Some(selector)) => format!("sessions of all tenants of {selector}"),
            (None, None) => "sessions of all tenants".to_owned(),
        }
    }

    /// Which, as they were chosen.
    pub fn options(&self) -> String {
        self.selector.as_ref().map_or_else(|| "--all".to_owned(), |selector| format!("--selector {selector}"))
    }

    /// Gives many the settings that the mask names.
    pub async fn update(
        self,
        context: &mut Context,
        (settings, paths): (Tenant, Vec<String>),
    ) -> Result<(), Failure> {
        let mut client = context.admin()?.tenants();
        let update_mask = Some(FieldMask { paths });
        let (settings, selector, all) = (Some(settings), self.selector.unwrap_or_default(), self.all);
        if self.plan {
            let request = PlanSettingsUpdateRequest { settings, update_mask, selector, all };
            let plan = client.plan_settings_update(request).await?.into_inner();
            return SettingsPlanView::from(plan).print(&mut context.output);
        }
        let Course { max_concurrent, paused_on_failure: pause_on_failure, detach, attribution } = self.course;
        let (requested_by, reason) = attribution.into_parts();
        let request = StartSettingsUpdateRequest {
            settings,
            update_mask,
            selector,
            all,
            max_concurrent,
            pause_on_failure,
            requested_by,
            reason,
        };
        let operation = client.start_settings_update(request).await?.into_inner();
        started(context, operation, detach).await
    }

    /// Of many. Without `unavailability` all of them may be away.
    pub async fn tell(
        self,
        context: &mut Context,
        action: WorkerAction,
        unavailability: Option<Unavailability>,
    ) -> Result<(), Failure> {
        self.order(context, action, unavailability, String::new()).await
    }

    /// Moves many: to the node, or away from where each one is when that is empty.
    pub async fn move_to(
        self,
        context: &mut Context,
        node_id: String,
        unavailability: Unavailability,
    ) -> Result<(), Failure> {
        self.order(context, WorkerAction::Move, Some(unavailability), node_id).await
    }

    async fn order(
        self,
        context: &mut Context,
        action: WorkerAction,
        unavailability: Option<Unavailability>,
        node_id: String,
    ) -> Result<(), Failure> {
        let mut client = context.admin()?.operations();
        let (selector, all, action) = (self.selector.unwrap_or_default(), self.all, action.into());
        if self.plan {
            let request = PlanFleetOperationRequest { action, selector, all, node_id };
            let plan = client.plan_fleet_operation(request).await?.into_inner();
            return FleetPlanView::new(plan, action == i32::from(WorkerAction::Move))
                .print(&mut context.output);
        }
        let Course { max_concurrent, paused_on_failure: pause_on_failure, detach, attribution } = self.course;
        let (requested_by, reason) = attribution.into_parts();
        let request = StartFleetOperationRequest {
            action,
            selector,
            all,
            max_concurrent,
            max_unavailable_percent: unavailability.map_or(0, |given| given.max_unavailable),
            pause_on_failure,
            requested_by,
            reason,
            node_id,
        };
        let operation = client.start_fleet_operation(request).await?.into_inner();
        operation.blocked.iter().for_each(|blocked| context.output.note(&stays(blocked)));
        started(context, operation, detach).await
    }
}

/// Who is left out of a move, and why.
fn stays(blocked: &BlockedMove) -> String {
    let BlockedMove { tenant_id, from_node_id, reason } = blocked;
    let at = if from_node_id.is_empty() { String::new() } else { format!(" on {from_node_id}") };
    format!("{tenant_id} stays{at}: {reason}")
}
