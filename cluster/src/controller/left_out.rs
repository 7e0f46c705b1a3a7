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
