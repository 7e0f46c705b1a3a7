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
