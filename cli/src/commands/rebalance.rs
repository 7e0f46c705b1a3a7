//! `roost rebalance`

use roost_proto::v1::{PlanRebalanceRequest, StartRebalanceRequest};

use super::{Context, attribution::Attribution, follow::started};
use crate::{failure::Failure, views::PlanView};

/// Moves tenants until every node has its share, and no more than that takes.
#[derive(Debug, clap::Args)]
pub struct Rebalance {
    /// Only show what would move, and where to.
    #[arg(long, conflicts_with = "detach")]
    plan: bool,
    /// The most tenants on their way at once, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..))]
    max_concurrent: i32,
    /// The most tenants that no node has at one moment, of those that run.
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent)]
    max_unavailable: i32,
    /// Do not wait for the end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    attribution: Attribution,
}

impl Rebalance {
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.admin()?.operations();
        if self.plan {
            let plan = client.plan_rebalance(PlanRebalanceRequest {}).await?.into_inner();
            return PlanView::from(plan).print(&mut context.output);
        }
        let (requested_by, reason) = self.attribution.into_parts();
        let request = StartRebalanceRequest {
            max_concurrent: self.max_concurrent,
            max_unavailable_percent: self.max_unavailable,
            requested_by,
            reason,
        };
        let operation = client.start_rebalance(request).await?.into_inner();
        started(context, operation, self.detach).await
    }
}

/// `10%` or `10`.
pub(super) fn percent(given: &str) -> Result<i32, String> {
    let number = given.strip_suffix('%').unwrap_or(given);
    let wrong = || format!("{given:?} is no percentage; it takes 1% to 100%");
    number.parse().ok().filter(|percent| (1..=100).contains(percent)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_percentage_is_1_to_100_with_or_without_its_sign() {
        assert_eq!((percent("1%"), percent("100"), percent("10%")), (Ok(1), Ok(100), Ok(10)));
        for wrong in ["0%", "101%", "", "%", "ten", "-5%", "5%%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
