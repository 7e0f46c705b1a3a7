//! Tenants that a live node was told to let go of and that it still has. Nothing can be done about them here, for a tenant
//! is placed elsewhere only when its node has let go of it or is gone; so they are named.

use std::{collections::BTreeMap, time::Duration};

use roost_model::ids::{NodeId, TenantId};

use crate::{
    ledger::{Event, EventKind},
    plan::Snapshot,
    records::Phase,
};

/// Tenants in a line for people.
const NAMED: usize = 10;

pub(super) struct OverdueReleases {
    patience: Duration,
    releases: BTreeMap<(TenantId, NodeId), Release>,
}

struct Release {
    /// When this term saw it first.
    since: Duration,
    told: bool,
}

/// What a pass makes of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Of each release once.
    pub(super) events: Vec<Event>,
    /// For the controller's status.
    pub(super) complaint: Option<String>,
    /// When the next one is overdue.
    pub(super) recheck_after: Option<Duration>,
}

impl OverdueReleases {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, releases: BTreeMap::new() }
    }

    pub(super) fn step(&mut self, snapshot: &Snapshot, now: Duration) -> Found {
        let mut before = std::mem::take(&mut self.releases);
        let mut found = Found::default();
        let mut overdue = Vec::new();
        for tenant in &snapshot.tenants {
            for hold in tenant.holds.iter().filter(|hold| hold.phase == Phase::Releasing && !hold.let_go) {
                let at = (tenant.tenant.clone(), hold.node.clone());
                let mut release = before.remove(&at).unwrap_or(Release { since: now, told: false });
                let due_at = release.since + self.patience;
                if now >= due_at {
                    overdue.push(format!("{} on {}", tenant.tenant, hold.node));
                    if !std::mem::replace(&mut release.told, true) {
                        found.events.push(self.told_of(&tenant.tenant, &hold.node));
                    }
                } else {
                    let left = due_at - now;
                    found.recheck_after = Some(found.recheck_after.map_or(left, |other| other.min(left)));
                }
                self.releases.insert(at, release);
            }
        }
        if !overdue.is_empty() {
            let more = if overdue.len() > NAMED { ", ..." } else { "" };
            overdue.truncate(NAMED);
            let named = overdue.join(", ") + more;
            found.complaint = Some(format!("not let go of for {:?} or longer: {named}", self.patience));
        }
        found
    }

    /// Those of the last step.
    pub(super) fn overdue(&self) -> impl Iterator<Item = (&TenantId, &NodeId)> {
        self.releases.iter().filter(|(_, release)| release.told).map(|((tenant, node), _)| (tenant, node))
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    fn told_of(&self, tenant: &TenantId, node: &NodeId) -> Event {
        let patience = self.patience;
        tracing::error!(%tenant, %node, ?patience, "the node does not let go of a tenant: look at its log, or restart it");
        let text = format!(
            "{node} was told to let go of {tenant} {} s ago and still has it: until it does, or ends, the tenant runs nowhere \
             else",
            patience.as_secs()
        );
        Event {
            kind: EventKind::ReleaseOverdue,
            node: Some(node.clone()),
            tenant: Some(tenant.clone()),
            text,
        }
    }
}

#[cfg(test)]
mod tests {

    use roost_model::ids::Generation;

    use super::*;
    use crate::plan::{Hold, TenantView, Wanted};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn hold(phase: Phase, let_go: bool) -> Hold {
        Hold { node: NodeId::new("a").unwrap(), generation: Generation(1), phase, let_go }
    }

    /// So many tenants, each held like this.
    fn snapshot(tenants: usize, hold: &Hold) -> Snapshot {
        let tenant = |number: usize| TenantView {
            tenant: TenantId::new(&format!("t{number:02}")).unwrap(),
            wanted: Wanted::Stopped,
            generation: Generation(1),
            last: Some(hold.node.clone()),
            pin: None,
            move_to: None,
            leaves: None,
            memory_request_bytes: None,
            preparations: Vec::new(),
            unprepared: Vec::new(),
            holds: vec![hold.clone()],
        };
        Snapshot::new(Vec::new(), (0..tenants).map(tenant).collect())
    }

    #[test]
    fn a_release_is_told_of_once_when_its_time_is_over_and_named_until_it_is_done() {
        let mut releases = OverdueReleases::new(PATIENCE);
        let releasing = snapshot(1, &hold(Phase::Releasing, false));
        let mut at = |secs, snapshot: &Snapshot| releases.step(snapshot, Duration::from_secs(secs));
        assert_eq!(at(10, &releasing), Found { recheck_after: Some(PATIENCE), ..Found::default() });
        let left = Some(Duration::from_secs(1));
        assert_eq!(at(69, &releasing), Found { recheck_after: left, ..Found::default() });
        let overdue = at(70, &releasing);
        assert_eq!((overdue.events.len(), overdue.recheck_after), (1, None));
        assert_eq!(overdue.complaint.as_deref(), Some("not let go of for 60s or longer: t00 on a"));
        let still = at(71, &releasing);
        assert_eq!((still.events, still.complaint), (Vec::new(), overdue.complaint));
        assert_eq!(at(72, &snapshot(1, &hold(Phase::Releasing, true))), Found::default());
        assert_eq!(at(73, &releasing).recheck_after, Some(PATIENCE), "that is another release");
    }

    #[test]
    fn only_who_was_told_to_let_go_and_has_not_is_waited_for() {
        for held in [hold(Phase::Active, false), hold(Phase::Releasing, true)] {
            let mut releases = OverdueReleases::new(PATIENCE);
            for secs in [0, 100] {
                assert_eq!(releases.step(&snapshot(1, &held), Duration::from_secs(secs)), Found::default());
            }
        }
    }

    #[test]
    fn ten_are_named_and_the_soonest_is_looked_at_next() {
        let mut releases = OverdueReleases::new(PATIENCE);
        let releasing = hold(Phase::Releasing, false);
        releases.step(&snapshot(11, &releasing), Duration::ZERO);
        let found = releases.step(&snapshot(12, &releasing), Duration::from_secs(20));
        assert_eq!(found.recheck_after, Some(Duration::from_secs(40)), "not that of the twelfth");
        let overdue = releases.step(&snapshot(12, &releasing), PATIENCE);
        assert_eq!((overdue.events.len(), overdue.recheck_after), (11, Some(Duration::from_secs(20))));
        let complaint = overdue.complaint.unwrap();
        assert!(complaint.ends_with("t09 on a, ..."), "{complaint}");
    }
}
