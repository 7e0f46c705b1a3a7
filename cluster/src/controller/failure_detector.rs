//! What a term makes of the nodes it sees: who came and went, who is waited for, whether too many are gone. Pure: the
//! facts and the time come in, an assessment goes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    ledger::{DesiredTenant, Event, EventKind, LedgerRecord, Orders},
    records::NodeRecord,
};
use roost_model::ids::NodeId;

use super::{
    failover_breaker::{BreakerState, FailoverBreaker},
    flap_detector::{FlapDetector, SUSPECT_FOR},
    history,
    membership::{Expectations, Membership, MembershipChange},
    restart_windows::RestartWindows,
};

pub(super) struct FailureDetector {
    membership: Membership,
    flap_detector: FlapDetector,
    restart_windows: RestartWindows,
    breaker: FailoverBreaker,
    has_begun: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) awaited: BTreeSet<NodeId>,
    /// Tenants of lost nodes wait, whatever the policy says.
    pub(super) failover_held: bool,
    pub(super) failing_zones: BTreeSet<String>,
    /// Whether a node came or went.
    pub(super) nodes_changed: bool,
    /// Once only: they are not found again.
    pub(super) events: Vec<Event>,
    /// Found again in every pass until the orders show them.
    pub(super) records: Vec<LedgerRecord>,
    /// The assessment changes by itself after so long.
    pub(super) recheck_after: Option<Duration>,
}

impl FailureDetector {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            membership: Membership::new(ttl),
            flap_detector: FlapDetector::default(),
            restart_windows: RestartWindows::default(),
            breaker: FailoverBreaker::new(ttl),
            has_begun: false,
        }
    }

    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        desired_tenants: &[DesiredTenant],
        orders: &Orders,
        now: Duration,
    ) -> Assessment {
        let awaited = self.restart_windows.awaited(&orders.nodes, nodes);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let placed = desired_tenants.iter().filter(|_| is_first).filter_map(|desired| desired.node.as_ref());
        let expected = Expectations { placed_on: &placed.collect(), awaited: &awaited.nodes };
        let changes = self.membership.observe(nodes, &expected, now);
        let mut assessment = Assessment {
            failing_zones: self.membership.failing_zones(),
            nodes_changed: is_first || !changes.is_empty(),
            recheck_after: awaited.for_at_most,
            ..Assessment::default()
        };
        for change in &changes {
            self.report(change, is_first, orders, now, &mut assessment);
        }
        assessment.awaited = awaited.nodes;
        self.hold_failover(orders, now, &mut assessment);
        assessment
    }

    fn report(
        &mut self,
        change: &MembershipChange,
        is_first: bool,
        orders: &Orders,
        now: Duration,
        assessment: &mut Assessment,
    ) {
        // While failover is paused, every new controller finds the same nodes gone.
        if !(is_first && orders.policy.failover_paused.is_some()) {
            assessment.events.push(history::of_change(change));
        }
        if let MembershipChange::Lost { node } = change
            && self.flap_detector.lost(node, now)
        {
            tracing::warn!(%node, span = ?SUSPECT_FOR, "the node comes and goes: it is suspect");
            assessment.events.push(history::suspect(node, SUSPECT_FOR));
            assessment.records.push(LedgerRecord::Suspect { node: node.clone(), span: SUSPECT_FOR });
        }
    }

    fn hold_failover(&mut self, orders: &Orders, now: Duration, assessment: &mut Assessment) {
        match self.breaker.step(&self.membership, &orders.policy, now) {
            BreakerState::Closed => {}
            BreakerState::Open { until } => {
                assessment.failover_held = true;
                let left = until.saturating_sub(now);
                assessment.recheck_after =
                    Some(assessment.recheck_after.map_or(left, |other| other.min(left)));
            }
            BreakerState::Tripped { reason } => {
                tracing::error!(reason, "failover is paused until an operator resumes it");
                assessment.failover_held = true;
                let event =
                    Event { kind: EventKind::FailoverPaused, node: None, tenant: None, text: reason.clone() };
                assessment
                    .records
                    .extend([LedgerRecord::PauseFailover { reason }, LedgerRecord::Event(event)]);
            }
        }
    }
}
