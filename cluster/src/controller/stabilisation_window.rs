//! When the policy's own rebalance is due: the cluster has been calm for a while, and moving would do some good.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::{NodeId, Revision};

use crate::{
    ledger::{LedgerRecord, Orders},
    plan::{self, Goal, Intake, Plan, Snapshot},
};

use super::{failure_detector::Assessment, operations, plan_inputs::PlanInputs};

/// In TTLs: long enough for a node that restarts to be back, and for tenants that were placed to have connected.
const CALM_TTLS: u32 = 6;

pub(super) struct StabilisationWindow {
    span: Duration,
    since: Option<Duration>,
    /// Of what it was found last that nothing is to be moved.
    balanced: Option<Situation>,
}

/// What a rebalance depends on, apart from wishes of single tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Situation {
    seen: Revision,
    intakes: BTreeMap<NodeId, Intake>,
}

impl StabilisationWindow {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { span: ttl * CALM_TTLS, since: None, balanced: None }
    }

    /// Whether a rebalance would be welcome, if there is anything to move. `disturbed`: a node came or went, an
    /// operation runs, or a tenant waits or is on its way.
    pub(super) fn step(&mut self, disturbed: bool, now: Duration) -> bool {
        let since = *self.since.insert(self.since.filter(|_| !disturbed).unwrap_or(now));
        !disturbed && now >= since + self.span
    }

    /// The policy's rebalance, if it would move anything.
    pub(super) fn rebalance(
        &mut self,
        seen: Revision,
        inputs: &PlanInputs,
        snapshot: Snapshot,
    ) -> Option<LedgerRecord> {
        let situation = Situation { seen, intakes: inputs.intakes.clone() };
        if !self.is_unknown(&situation) {
            return None;
        }
        if plan::plan(&Snapshot { goal: Goal::Rebalance, ..snapshot }).is_empty() {
            self.balanced = Some(situation);
            return None;
        }
        Some(LedgerRecord::StartRebalance)
    }

    /// Whether that is not known yet: to find out takes a plan of its own.
    fn is_unknown(&self, situation: &Situation) -> bool {
        self.balanced.as_ref() != Some(situation)
    }
}

pub(super) fn is_disturbed(
    assessment: &Assessment,
    orders: &Orders,
    snapshot: &Snapshot,
    plan: &Plan,
) -> bool {
    assessment.nodes_changed
        || assessment.failover_held
        || assessment.failover_ramp.is_some()
        || !orders.operations.is_empty()
        || !plan.is_empty()
        || snapshot.tenants.iter().any(operations::is_under_way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_six_ttls_without_a_disturbance() {
        let mut stabilisation = StabilisationWindow::new(Duration::from_secs(5));
        let mut at = |secs: u64, disturbed: bool| stabilisation.step(disturbed, Duration::from_secs(secs));
        assert!(!at(100, false));
        assert!(!at(129, false));
        assert!(at(130, false));
        assert!(!at(131, true));
        assert!(!at(160, false));
        assert!(at(161, false));
    }

    #[test]
    fn what_is_balanced_is_asked_about_once() {
        let mut stabilisation = StabilisationWindow::new(Duration::from_secs(5));
        let situation = |seen: i64| Situation { seen: Revision(seen), intakes: BTreeMap::new() };
        assert!(stabilisation.is_unknown(&situation(7)));
        stabilisation.balanced = Some(situation(7));
        assert!(!stabilisation.is_unknown(&situation(7)));
        assert!(stabilisation.is_unknown(&situation(8)));
    }
}
