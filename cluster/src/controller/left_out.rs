//! Tenants that the plan places and the ledger did not: another transaction holds their rows, or the ledger refused
//! the statement. They cost nobody else a wait, and are tried again soon at first, then ever more rarely.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use roost_model::ids::{Generation, NodeId, TenantId};

use crate::plan::Plan;

/// Of one pass; a batch that was refused is halved, so that one tenant cannot keep the others.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) generations: HashMap<TenantId, Generation>,
    refusals: usize,
    refused: HashMap<TenantId, String>,
}

/// Enough to find one tenant among [`super::context::ROWS_AT_ONCE`]. A ledger that refuses everything is not asked more
/// often in a pass.
const MAX_REFUSALS: usize = 16;

impl Placed {
    /// What to try instead of a batch that the ledger refused, having written nothing.
    pub(super) fn refused<'a>(
        &mut self,
        batch: &'a [(TenantId, NodeId)],
        reason: &str,
    ) -> impl Iterator<Item = &'a [(TenantId, NodeId)]> + use<'a> {
        self.refusals += 1;
        let is_divisible = batch.len() > 1 && self.refusals < MAX_REFUSALS;
        if !is_divisible {
            self.refused.extend(batch.iter().map(|(tenant, _)| (tenant.clone(), reason.to_owned())));
        }
        let (first, second) = batch.split_at(batch.len() / 2);
        is_divisible.then_some([second, first]).into_iter().flatten()
    }

    fn reason(&self, tenant: &TenantId) -> &str {
        self.refused.get(tenant).map_or(HELD, String::as_str)
    }
}

const HELD: &str = "another transaction holds its row in the database";
/// Names in a line of the log.
const NAMED: usize = 10;

/// Since when each has been left out, on the config's clock.
#[derive(Default)]
pub(super) struct LeftOut {
    since: BTreeMap<TenantId, Duration>,
}

impl LeftOut {
    /// Takes in what a pass has placed of its plan. Tells when to try again, at `soonest`.
    pub(super) fn step(
        &mut self,
        plan: &Plan,
        placed: &Placed,
        now: Duration,
        soonest: Duration,
    ) -> Option<Duration> {
        let left_out = plan.placements().filter(|(tenant, _)| !placed.generations.contains_key(*tenant));
        let now_out: BTreeMap<TenantId, Duration> = left_out
            .map(|(tenant, _)| (tenant.clone(), self.since.get(tenant).copied().unwrap_or(now)))
            .collect();
        let new: Vec<&TenantId> = now_out.keys().filter(|tenant| !self.since.contains_key(*tenant)).collect();
        if let Some(first) = new.first() {
            let (tenants, reason) = (names(&new), placed.reason(first));
            tracing::warn!(tenants, count = new.len(), reason, "tenants could not be placed now");
        }
        let over: Vec<&TenantId> =
            self.since.keys().filter(|tenant| !now_out.contains_key(*tenant)).collect();
        if !over.is_empty() {
            tracing::info!(tenants = names(&over), "tenants are no longer kept from their places");
        }
        self.since = now_out;
        // As long again as the latest of them has waited.
        self.since.values().max().map(|since| now.saturating_sub(*since).max(soonest))
    }

    /// For the controller's status.
    pub(super) fn complaint(&self, placed: &Placed) -> Option<String> {
        let tenants: Vec<&TenantId> = self.since.keys().collect();
        let reason = placed.reason(tenants.first()?);
        Some(format!("{} cannot be placed: {reason}", names(&tenants)))
    }
}

fn names(tenants: &[&TenantId]) -> String {
    let named: Vec<&str> = tenants.iter().take(NAMED).map(|tenant| tenant.as_str()).collect();
    let more = if tenants.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Action, Cause, Choice, Decision};

    const SOONEST: Duration = Duration::from_millis(10);

    fn tenant(number: usize) -> TenantId {
        TenantId::new(&format!("t{number:02}")).unwrap()
    }

    fn node() -> NodeId {
        NodeId::new("a").unwrap()
    }

    /// Places the first so many tenants.
    fn plan(tenants: usize) -> Plan {
        let decision = |number| {
            let choice = Choice::Order { skipped: 0 };
            let action = Action::Place { node: node(), cause: Cause::New, choice };
            Decision { tenant: tenant(number), action }
        };
        Plan { decisions: (0..tenants).map(decision).collect(), moves: Vec::new() }
    }

    fn placed(numbers: impl IntoIterator<Item = usize>) -> Placed {
        let generations = numbers.into_iter().map(|number| (tenant(number), Generation(1))).collect();
        Placed { generations, ..Placed::default() }
    }

    #[test]
    fn who_is_left_out_is_tried_again_after_as_long_as_it_has_waited() {
        let mut left_out = LeftOut::default();
        let mut at =
            |millis, placed| left_out.step(&plan(2), &placed, Duration::from_millis(millis), SOONEST);
        assert_eq!(at(1_000, placed(0..2)), None);
        assert_eq!(at(2_000, placed([0])), Some(SOONEST));
        assert_eq!(at(2_010, placed([0])), Some(SOONEST));
        assert_eq!(at(2_300, placed([0])), Some(Duration::from_millis(300)));
        assert_eq!(at(2_400, placed([])), Some(SOONEST), "the latest of them counts");
        assert_eq!(at(3_000, placed([0])), Some(Duration::from_secs(1)));
        assert_eq!(at(4_000, placed(0..2)), None);
        assert_eq!(at(5_000, placed([0])), Some(SOONEST), "it begins anew");
    }

    #[test]
    fn ten_of_those_that_are_left_out_are_named() {
        let mut left_out = LeftOut::default();
        left_out.step(&plan(2), &placed([]), Duration::ZERO, SOONEST);
        let held = "t00, t01 cannot be placed: another transaction holds its row in the database";
        assert_eq!(left_out.complaint(&placed([])).as_deref(), Some(held));
        left_out.step(&plan(12), &placed([]), Duration::ZERO, SOONEST);
        let complaint = left_out.complaint(&placed([])).unwrap();
        assert!(complaint.contains("t09, ... cannot be placed") && !complaint.contains("t10"), "{complaint}");
        left_out.step(&plan(12), &placed(0..12), Duration::ZERO, SOONEST);
        assert_eq!(left_out.complaint(&placed(0..12)), None);
    }

    #[test]
    fn a_ledger_that_refuses_everything_is_not_asked_for_each_tenant() {
        let all: Vec<_> = (0..99).map(|number| (tenant(number), node())).collect();
        let mut placed = Placed::default();
        let (mut batches, mut asked) = (vec![&all[..]], 0);
        while let Some(batch) = batches.pop() {
            asked += 1;
            batches.extend(placed.refused(batch, "no"));
        }
        assert!(asked < 2 * MAX_REFUSALS, "{asked}");
        assert!(all.iter().all(|(tenant, _)| placed.reason(tenant) == "no"), "each is accounted for");
    }
}
