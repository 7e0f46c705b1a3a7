//! `roost worker restart`: of one worker at once, of many as an operation.

use roost_proto::v1::{PlanRestartRequest, RestartWorkerRequest, StartRestartRequest};

use super::{Context, attribution::Attribution, follow::started, rebalance::percent};
use crate::{
    failure::Failure,
    views::{RestartPlanView, WorkerView},
};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("workers").required(true).args(["tenant", "selector", "all"])))]
pub struct Restart {
    /// Only this tenant's, at once.
    #[arg(conflicts_with_all = ["plan", "max_concurrent", "max_unavailable", "detach", "reason"])]
    tenant: Option<String>,
    /// Those of the tenants that meet all of these now, a few at a time: terms as in `roost worker list --selector`.
    #[arg(short = 'l', long, value_name = "TERMS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    selector: Option<String>,
    /// Those of all tenants, a few at a time.
    #[arg(long)]
    all: bool,
    /// Only show which, and in what order.
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// The most restarts under way at once, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..))]
    max_concurrent: i32,
    /// The most of the chosen that do not answer at one moment, of those that did when it started.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    max_unavailable: i32,
    /// Do not wait for the end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attribution: Attribution,
}

impl Restart {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        if let Some(tenant_id) = self.tenant {
            let request = RestartWorkerRequest { tenant_id };
            let worker = context.admin()?.workers().restart_worker(request).await?.into_inner();
            return context.output.one(&WorkerView::from(worker));
        }
        let mut client = context.admin()?.operations();
        let (selector, all) = (self.selector.unwrap_or_default(), self.all);
        if self.plan {
            let plan = client.plan_restart(PlanRestartRequest { selector, all }).await?.into_inner();
            return RestartPlanView::from(plan).print(&mut context.output);
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = StartRestartRequest {
            selector,
            all,
            max_concurrent: self.max_concurrent,
            max_unavailable_percent: self.max_unavailable,
            requested_by,
            reason,
        };
        let operation = client.start_restart(request).await?.into_inner();
        started(context, operation, self.detach).await
    }
}
