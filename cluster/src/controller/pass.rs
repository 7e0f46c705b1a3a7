//! One pass: read everything, plan, place, publish, tell the ledger.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use roost_model::ids::{Generation, NodeId, Revision, TenantId, Term};

use crate::{
    election::Leadership,
    lease::LeaseKeeper,
    lease_deadline::Standing,
    ledger::{DesiredTenant, LedgerRecord, Orders},
    plan::{self, Goal, Plan, Snapshot, TenantView, Wanted},
    registry::Commit,
};

use super::{
    context::Context,
    decision_log::DecisionLog,
    error::ControllerError,
    failure_detector::{Assessment, FailureDetector},
    history::{self, PendingHistory},
    mirror::Mirror,
    operations,
    plan_inputs::PlanInputs,
    publish,
    registry_view::{DesiredByTenant, RegistryView},
    stabilisation_window::{Situation, StabilisationWindow},
};

/// What one write to the ledger may be about: a cluster that starts places all of its tenants in one pass, and a database
/// that is busy must not be asked for more than it does within the call's time.
pub(super) const ROWS_AT_ONCE: usize = 5_000;

/// What a pass found and did.
pub(super) struct PassOutcome {
    /// The registry's revision that it has seen.
    pub(super) seen: Revision,
    /// It changed something, or found that something had changed meanwhile: look again at once.
    pub(super) again: bool,
    /// What it found changes by itself after so long.
    pub(super) recheck_after: Option<Duration>,
}

/// What is kept from pass to pass, for one term. None of it is needed by the next one: what has to outlive a term is in
/// the ledger.
pub(super) struct PassState {
    pub(super) mirror: Mirror,
    pub(super) failure_detector: FailureDetector,
    pub(super) stabilisation: StabilisationWindow,
    pub(super) decision_log: DecisionLog,
    pub(super) pending: PendingHistory,
}

impl PassState {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            mirror: Mirror::default(),
            failure_detector: FailureDetector::new(ttl),
            stabilisation: StabilisationWindow::new(ttl),
            decision_log: DecisionLog::default(),
            pending: PendingHistory::default(),
        }
    }
}

/// The rights that a pass acts under.
pub(super) struct WriteAuthority<'a> {
    pub(super) leadership: &'a Leadership,
    pub(super) term: Term,
    pub(super) keeper: &'a LeaseKeeper,
}

impl WriteAuthority<'_> {
    /// Asked before every write, for the guards turn away what is late but cost the tenants time.
    fn check(&self) -> Result<(), ControllerError> {
        match self.keeper.standing() {
            Standing::Good => Ok(()),
            Standing::SoftStop | Standing::Expired => Err(ControllerError::LeaseInDoubt),
        }
    }
}

impl Context {
    pub(super) async fn pass(
        &self,
        authority: &WriteAuthority<'_>,
        state: &mut PassState,
    ) -> Result<PassOutcome, ControllerError> {
        let refreshed = state.mirror.refresh(self.registry.as_ref(), authority.leadership);
        let (refreshed, desired_tenants, orders) =
            tokio::join!(refreshed, self.desired_tenants(), self.orders());
        let (desired_tenants, orders) = (refreshed.and(desired_tenants)?, orders?);
        let now = self.config.clock.now();
        let view = state.mirror.view();
        let by_tenant: DesiredByTenant<'_> =
            desired_tenants.iter().map(|desired| (&desired.tenant, desired)).collect();
        let mut assessment = state.failure_detector.observe(&view.nodes, &desired_tenants, &orders, now);
        state.pending.add_events(std::mem::take(&mut assessment.events));
        let inputs = PlanInputs::new(&orders, &assessment, &desired_tenants);
        let snapshot = view.snapshot(&desired_tenants, &by_tenant, &inputs);
        let plan = plan::plan(&snapshot);
        state.decision_log.write(&plan);
        let (seen, recheck_after) = (view.revision, assessment.recheck_after);

        let generations = self.place(authority, &plan).await?;
        let published = self.publish(authority, view, &plan, &generations, &by_tenant).await?;
        state.pending.extend(history::placements(&plan, &orders, &generations, &published.nodes));
        let unplaced = self.unplace(authority, &snapshot, &plan, &inputs).await?;

        let mut news = std::mem::take(&mut assessment.records);
        for operation in &orders.operations {
            news.extend(operations::assess(operation, &snapshot, &plan));
        }
        let is_disturbed = is_disturbed(&assessment, &orders, &snapshot, &plan);
        if state.stabilisation.step(is_disturbed, now) && orders.policy.auto_rebalance {
            news.extend(auto_rebalance(&mut state.stabilisation, seen, &inputs, snapshot));
        }
        let ordered = self.record(authority, &mut state.pending, news).await?;
        Ok(PassOutcome { seen, again: !published.is_empty() || unplaced || ordered, recheck_after })
    }

    pub(super) async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, ControllerError> {
        self.ask_ledger(self.ledger.desired_tenants()).await.map_err(ControllerError::reading_ledger)
    }

    async fn orders(&self) -> Result<Orders, ControllerError> {
        self.ask_ledger(self.ledger.orders()).await.map_err(ControllerError::reading_ledger)
    }

    pub(super) async fn place(
        &self,
        authority: &WriteAuthority<'_>,
        plan: &Plan,
    ) -> Result<HashMap<TenantId, Generation>, ControllerError> {
        let placements: Vec<_> =
            plan.placements().map(|(tenant, node)| (tenant.clone(), node.clone())).collect();
        if placements.is_empty() {
            return Ok(HashMap::new());
        }
        let mut generations = HashMap::new();
        for some in placements.chunks(ROWS_AT_ONCE) {
            authority.check()?;
            let placed = self.ask_ledger(self.ledger.place(authority.term, some)).await;
            generations
                .extend(placed.map_err(|error| ControllerError::writing_ledger("a placement", error))?);
        }
        Ok(generations)
    }

    pub(super) async fn publish(
        &self,
        authority: &WriteAuthority<'_>,
        view: &RegistryView,
        plan: &Plan,
        generations: &HashMap<TenantId, Generation>,
        by_tenant: &DesiredByTenant<'_>,
    ) -> Result<Published, ControllerError> {
        let updates = publish::updates(view, plan, generations, by_tenant);
        let mut published = Published { any: !updates.is_empty(), nodes: HashSet::new() };
        for batch in publish::batches(&updates, authority.leadership) {
            authority.check()?;
            match self.registry.commit(&batch.guards, &batch.ops).await {
                Ok(Commit::Done { .. }) => published.nodes.extend(batch.nodes),
                // The next pass sees what has changed.
                Ok(Commit::Refused) => break,
                Err(error) => return Err(ControllerError::writing_registry("an assignment", error)),
            }
        }
        Ok(published)
    }

    /// Tells the ledger of tenants that no node has any more and that wait for none. Whether there were any.
    async fn unplace(
        &self,
        authority: &WriteAuthority<'_>,
        snapshot: &Snapshot,
        plan: &Plan,
        inputs: &PlanInputs,
    ) -> Result<bool, ControllerError> {
        let placed: HashSet<&TenantId> = plan.placements().map(|(tenant, _)| tenant).collect();
        let live: HashSet<&NodeId> = snapshot.nodes.iter().map(|view| &view.node).collect();
        let keeps_place = |tenant: &TenantView| {
            tenant.wanted == Wanted::Running
                && tenant.last.as_ref().is_some_and(|node| inputs.keeps_place(node, live.contains(node)))
        };
        let nowhere: Vec<TenantId> = snapshot
            .tenants
            .iter()
            .filter(|tenant| tenant.last.is_some() && tenant.holds.is_empty())
            .filter(|tenant| !placed.contains(&tenant.tenant) && !keeps_place(tenant))
            .map(|tenant| tenant.tenant.clone())
            .collect();
        if nowhere.is_empty() {
            return Ok(false);
        }
        for some in nowhere.chunks(ROWS_AT_ONCE) {
            authority.check()?;
            let written = self.ask_ledger(self.ledger.unplace(authority.term, some)).await;
            written.map_err(|error| ControllerError::writing_ledger("an end of a placement", error))?;
        }
        Ok(true)
    }

    /// Everything that a pass has to tell: one call, but for more rows than a call should write. Whether the orders are
    /// others now. Without an answer the records are written again, in this term: a line of the history may be there twice,
    /// and nothing else can come of it.
    async fn record(
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

/// The nodes whose records were written, and whether there were any to write.
pub(super) struct Published {
    any: bool,
    nodes: HashSet<NodeId>,
}

impl Published {
    fn is_empty(&self) -> bool {
        !self.any
    }
}

/// Whether the next pass reads other orders. The policy's rebalance is left out: the ledger may have had a reason not
/// to start one, and this must not become a loop.
fn changes_orders(record: &LedgerRecord) -> bool {
    match record {
        LedgerRecord::Ended { .. } | LedgerRecord::PauseFailover { .. } | LedgerRecord::Suspect { .. } => {
            true
        }
        LedgerRecord::Event(_)
        | LedgerRecord::Placed { .. }
        | LedgerRecord::Progress { .. }
        | LedgerRecord::StartRebalance => false,
    }
}

fn is_disturbed(assessment: &Assessment, orders: &Orders, snapshot: &Snapshot, plan: &Plan) -> bool {
    assessment.nodes_changed
        || assessment.failover_held
        || !orders.operations.is_empty()
        || !plan.is_empty()
        || snapshot.tenants.iter().any(operations::is_under_way)
}

/// The policy's rebalance, if it would move anything.
fn auto_rebalance(
    stabilisation: &mut StabilisationWindow,
    seen: Revision,
    inputs: &PlanInputs,
    snapshot: Snapshot,
) -> Option<LedgerRecord> {
    let situation = Situation { seen, intakes: inputs.intakes.clone() };
    if !stabilisation.is_unknown(&situation) {
        return None;
    }
    if plan::plan(&Snapshot { goal: Goal::Rebalance, ..snapshot }).is_empty() {
        stabilisation.is_balanced(situation);
        return None;
    }
    Some(LedgerRecord::StartRebalance)
}
