//! What a reign makes of the nodes it sees: who came and went, who is waited for, whether too many are gone. Pure: the
//! facts and the time come in, findings and notes go out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use roost_model::ids::NodeId;

use crate::{
    ledger::{Demand, Event, EventKind, Note, Orders},
    records::NodeRecord,
};

use super::{
    brake::{Brake, Braking},
    events,
    flapping::{Flapping, SUSPECT_FOR},
    losses::{Circumstances, Losses, Sighting},
    windows::Windows,
};

pub(super) struct Senses {
    losses: Losses,
    flapping: Flapping,
    windows: Windows,
    brake: Brake,
    has_begun: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) awaited: BTreeSet<NodeId>,
    /// Tenants of lost nodes wait, whatever the policy says.
    pub(super) braking: bool,
    pub(super) failing_zones: BTreeSet<String>,
    /// Whether a node came or went.
    pub(super) nodes_changed: bool,
    /// Once only: they are not found again.
    pub(super) happenings: Vec<Event>,
    /// Found again in every pass until the orders show them.
    pub(super) demands: Vec<Note>,
    /// The findings change by themselves after so long.
    pub(super) change_in: Option<Duration>,
}

impl Senses {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            losses: Losses::new(ttl),
            flapping: Flapping::default(),
            windows: Windows::default(),
            brake: Brake::new(ttl),
            has_begun: false,
        }
    }

    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        demands: &[Demand],
        orders: &Orders,
        now: Duration,
    ) -> Findings {
        let awaited = self.windows.awaited(&orders.nodes, nodes);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let placed = demands.iter().filter(|_| is_first).filter_map(|demand| demand.node.as_ref());
        let around = Circumstances { placed_on: &placed.collect(), awaited: &awaited.nodes };
        let sightings = self.losses.observe(nodes, &around, now);
        let mut findings = Findings {
            failing_zones: self.losses.failing_zones(),
            nodes_changed: is_first || !sightings.is_empty(),
            change_in: awaited.for_at_most,
            ..Findings::default()
        };
        for sighting in &sightings {
            self.report(sighting, is_first, orders, now, &mut findings);
        }
        findings.awaited = awaited.nodes;
        self.brake(orders, now, &mut findings);
        findings
    }

    fn report(
        &mut self,
        sighting: &Sighting,
        is_first: bool,
        orders: &Orders,
        now: Duration,
        findings: &mut Findings,
    ) {
        // While failover is paused, every new controller finds the same nodes gone.
        if !(is_first && orders.policy.failover_paused.is_some()) {
            findings.happenings.push(events::of_sighting(sighting));
        }
        if let Sighting::Lost { node } = sighting
            && self.flapping.lost(node, now)
        {
            tracing::warn!(%node, span = ?SUSPECT_FOR, "the node comes and goes: it is suspect");
            findings.happenings.push(events::suspect(node, SUSPECT_FOR));
            findings.demands.push(Note::Suspect { node: node.clone(), span: SUSPECT_FOR });
        }
    }

    fn brake(&mut self, orders: &Orders, now: Duration, findings: &mut Findings) {
        match self.brake.step(&self.losses, &orders.policy, now) {
            Braking::Released => {}
            Braking::Holding { until } => {
                findings.braking = true;
                let left = until.saturating_sub(now);
                findings.change_in = Some(findings.change_in.map_or(left, |other| other.min(left)));
            }
            Braking::Pause { reason } => {
                tracing::error!(reason, "failover is paused until an operator resumes it");
                findings.braking = true;
                let event =
                    Event { kind: EventKind::FailoverPaused, node: None, tenant: None, text: reason.clone() };
                findings.demands.extend([Note::PauseFailover { reason }, Note::Event(event)]);
            }
        }
    }
}
