//! What a term tells: its decisions to the log, each once although a pass repeats a wait until it is over, and its news and
//! history to the ledger.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    context::{Context, ROWS_AT_ONCE, WriteAuthority},
    error::ControllerError,
};
use crate::{
    ledger::{Event, EventKind, LedgerRecord, Orders},
    plan::{Action, Cause, Decision, Plan, WaitReason},
};
use roost_model::ids::{Generation, NodeId, TenantId, Term};

#[derive(Default)]
pub(super) struct DecisionLog {
    waiting: BTreeMap<TenantId, WaitReason>,
}

impl DecisionLog {
    pub(super) fn write(&mut self, plan: &Plan) {
        let mut waiting = BTreeMap::new();
        for decision in &plan.decisions {
            let Decision { tenant, action } = decision;
            match action {
                Action::Place { node, cause, choice } => {
                    tracing::info!(%tenant, %node, %cause, %choice, "placing a tenant");
                }
                Action::Prepare { node, from, reason, choice } => {
                    tracing::info!(%tenant, %node, %from, %reason, %choice, "preparing a move");
                }
                Action::Forget { node } => tracing::info!(%tenant, %node, "a preparation is given up"),
                Action::Release { node, reason } => {
                    tracing::info!(%tenant, %node, %reason, "releasing a tenant")
                }
                Action::Remove { node } => tracing::info!(%tenant, %node, "a tenant was released"),
                // Said once of the record, for all of its node's tenants.
                Action::Wait { reason: WaitReason::RecordUnreadable { .. } } => {}
                Action::Wait { reason } => {
                    if self.waiting.get(tenant) != Some(reason) {
                        tracing::warn!(%tenant, %reason, "a tenant cannot be placed");
                    }
                    waiting.insert(tenant.clone(), reason.clone());
                }
            }
        }
        self.waiting = waiting;
    }
}

/// Records that wait for the ledger; more than that are dropped, the oldest first.
const MAX_PENDING: usize = 200_000;

/// Records that nothing would lead to again: written again and again until the ledger has taken them.
#[derive(Default)]
pub(super) struct PendingHistory {
    records: Vec<LedgerRecord>,
}

impl PendingHistory {
    pub(super) fn add_events(&mut self, events: impl IntoIterator<Item = Event>) {
        self.extend(events.into_iter().map(LedgerRecord::Event));
    }

    pub(super) fn extend(&mut self, records: impl IntoIterator<Item = LedgerRecord>) {
        self.records.extend(records);
        if let Some(too_many @ 1..) = self.records.len().checked_sub(MAX_PENDING) {
            tracing::warn!(dropped = too_many, "records of the history are dropped: the ledger takes none");
            self.records.drain(..too_many);
        }
    }

    pub(super) fn records(&self) -> &[LedgerRecord] {
        &self.records
    }

    /// The first of them.
    pub(super) fn were_written(&mut self, count: usize) {
        self.records.drain(..count);
    }
}

impl Context {
    /// Everything that a pass has to tell: one call, but for more rows than a call should write. Whether the orders are
    /// others now. Without an answer the records are written again, in this term: a line of the history may be there twice,
    /// and nothing else can come of it.
    pub(super) async fn record(
        &self,
        authority: &WriteAuthority<'_>,
        pending: &mut PendingHistory,
        mut news: Vec<LedgerRecord>,
    ) -> Result<bool, ControllerError> {
        let ordered = news.iter().any(changes_orders);
        while let Some(some) = pending.records().get(..ROWS_AT_ONCE) {
            self.tell(authority, some).await?;
            pending.were_written(ROWS_AT_ONCE);
        }
        let rest = pending.records().len();
        news.splice(0..0, pending.records().iter().cloned());
        if news.is_empty() {
            return Ok(false);
        }
        self.tell(authority, &news).await?;
        pending.were_written(rest);
        Ok(ordered)
    }

    async fn tell(
        &self,
        authority: &WriteAuthority<'_>,
        records: &[LedgerRecord],
    ) -> Result<(), ControllerError> {
        authority.check()?;
        let written = self.ask_ledger(self.ledger.record(authority.term, records)).await;
        written.map_err(ControllerError::reading_ledger)
    }
}

/// Whether the next pass reads other orders. The policy's rebalance is left out: the ledger may have had a reason not
/// to start one, and this must not become a loop.
fn changes_orders(record: &LedgerRecord) -> bool {
    match record {
        LedgerRecord::Ended { .. }
        | LedgerRecord::PauseFailover { .. }
        | LedgerRecord::ResumeFailover
        | LedgerRecord::Breaker(_)
        | LedgerRecord::Suspect { .. }
        | LedgerRecord::Shedding { .. } => true,
        LedgerRecord::Event(_)
        | LedgerRecord::Placed { .. }
        | LedgerRecord::Progress { .. }
        | LedgerRecord::StartRebalance => false,
    }
}

pub(super) fn elected(holder: &str, term: Term) -> Event {
    let text = format!("{holder} is the controller of term {term}");
    Event { kind: EventKind::ControllerElected, node: None, tenant: None, text }
}

/// The lines of the history: placements that their nodes were told of.
pub(super) fn placements(
    plan: &Plan,
    orders: &Orders,
    generations: &HashMap<TenantId, Generation>,
    told: &HashSet<NodeId>,
) -> Vec<LedgerRecord> {
    let record = |decision: &Decision| match &decision.action {
        Action::Place { node, cause, choice }
            if told.contains(node) && generations.contains_key(&decision.tenant) =>
        {
            Some(LedgerRecord::Placed {
                tenant: decision.tenant.clone(),
                node: node.clone(),
                because: format!("{cause}; {choice}"),
                operation: match cause {
                    Cause::Moved { from } => orders.cause_of(&decision.tenant, from),
                    Cause::New | Cause::NodeLost { .. } | Cause::Restarted => None,
                },
            })
        }
        _ => None,
    };
    plan.decisions.iter().filter_map(record).collect()
}
