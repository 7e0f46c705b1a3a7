//! One pass: read everything, plan, place, publish, tell the ledger.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    time::Duration,
};

use roost_model::ids::{Generation, NodeId, Revision, TenantId, Term};

use crate::{
    election::Leadership,
    fence::Standing,
    lease::LeaseKeeper,
    ledger::{Demand, LedgerError, Note, Orders},
    plan::{self, Action, Cause, Decision, Goal, Plan, Snapshot, TenantView, Wanted},
    registry::Commit,
};

use super::{
    Context,
    calm::{Calm, Situation},
    directions::Directions,
    memory::{Memory, Untold},
    operations, publish,
    senses::Findings,
    trouble::Trouble,
    view::{Demands, View},
};

/// What one write to the ledger may be about: a cluster that starts places all of its tenants in one pass, and a database
/// that is busy must not be asked for more than it does within the call's time.
pub(super) const ROWS_AT_ONCE: usize = 5_000;

/// What a pass found and did.
pub(super) struct Passed {
    /// The registry's revision that it has seen.
    pub(super) seen: Revision,
    /// It changed something, or found that something had changed meanwhile: look again at once.
    pub(super) again: bool,
    /// What it found changes by itself after so long.
    pub(super) look_in: Option<Duration>,
}

/// The rights that a pass acts under.
pub(super) struct Mandate<'a> {
    pub(super) leadership: &'a Leadership,
    pub(super) term: Term,
    pub(super) keeper: &'a LeaseKeeper,
}

impl Mandate<'_> {
    /// Asked before every write, for the guards turn away what is late but cost the tenants time.
    fn check(&self) -> Result<(), Trouble> {
        match self.keeper.standing() {
            Standing::Good => Ok(()),
            Standing::SoftStop | Standing::Expired => Err(Trouble::LeaseInDoubt),
        }
    }
}

impl Context {
    pub(super) async fn pass(&self, mandate: &Mandate<'_>, memory: &mut Memory) -> Result<Passed, Trouble> {
        let refreshed = memory.mirror.refresh(self.registry.as_ref(), mandate.leadership);
        let (refreshed, demands, orders) = tokio::join!(refreshed, self.demands(), self.orders());
        let (demands, orders) = (refreshed.and(demands)?, orders?);
        let now = self.config.clock.now();
        let view = memory.mirror.view();
        let by_tenant: Demands<'_> = demands.iter().map(|demand| (&demand.tenant, demand)).collect();
        let mut findings = memory.senses.observe(&view.nodes, &demands, &orders, now);
        memory.untold.happened(std::mem::take(&mut findings.happenings));
        let given = Directions::new(&orders, &findings, &demands);
        let snapshot = view.snapshot(&demands, &by_tenant, &given);
        let plan = plan::plan(&snapshot);
        memory.journal.write(&plan);
        let (seen, look_in) = (view.revision, findings.change_in);

        let generations = self.place(mandate, &plan).await?;
        let published = self.publish(mandate, view, &plan, &generations, &by_tenant).await?;
        memory.untold.extend(history(&plan, &orders, &generations, &published));
        let unplaced = self.unplace(mandate, &snapshot, &plan, &given).await?;

        let mut news = std::mem::take(&mut findings.demands);
        for operation in &orders.operations {
            news.extend(operations::assess(operation, &snapshot, &plan));
        }
        let is_disturbed = is_disturbed(&findings, &orders, &snapshot, &plan);
        if memory.calm.step(is_disturbed, now) && orders.policy.auto_rebalance {
            news.extend(auto_rebalance(&mut memory.calm, seen, &given, snapshot));
        }
        let ordered = self.note(mandate, &mut memory.untold, news).await?;
        Ok(Passed { seen, again: !published.is_empty() || unplaced || ordered, look_in })
    }

    pub(super) async fn demands(&self) -> Result<Vec<Demand>, Trouble> {
        self.ask_ledger(self.ledger.demands()).await.map_err(Trouble::reading_ledger)
    }

    async fn orders(&self) -> Result<Orders, Trouble> {
        self.ask_ledger(self.ledger.orders()).await.map_err(Trouble::reading_ledger)
    }

    pub(super) async fn place(
        &self,
        mandate: &Mandate<'_>,
        plan: &Plan,
    ) -> Result<HashMap<TenantId, Generation>, Trouble> {
        let placements: Vec<_> =
            plan.placements().map(|(tenant, node)| (tenant.clone(), node.clone())).collect();
        if placements.is_empty() {
            return Ok(HashMap::new());
        }
        let mut generations = HashMap::new();
        for some in placements.chunks(ROWS_AT_ONCE) {
            mandate.check()?;
            let placed = self.ask_ledger(self.ledger.place(mandate.term, some)).await;
            generations.extend(placed.map_err(|error| Trouble::writing_ledger("a placement", error))?);
        }
        Ok(generations)
    }

    pub(super) async fn publish(
        &self,
        mandate: &Mandate<'_>,
        view: &View,
        plan: &Plan,
        generations: &HashMap<TenantId, Generation>,
        by_tenant: &Demands<'_>,
    ) -> Result<Published, Trouble> {
        let updates = publish::updates(view, plan, generations, by_tenant);
        let mut published = Published { any: !updates.is_empty(), nodes: HashSet::new() };
        for batch in publish::batches(&updates, mandate.leadership) {
            mandate.check()?;
            match self.registry.commit(&batch.guards, &batch.ops).await {
                Ok(Commit::Done { .. }) => published.nodes.extend(batch.nodes),
                // The next pass sees what has changed.
                Ok(Commit::Refused) => break,
                Err(error) => return Err(Trouble::writing_registry("an assignment", error)),
            }
        }
        Ok(published)
    }

    /// Tells the ledger of tenants that no node has any more and that wait for none. Whether there were any.
    async fn unplace(
        &self,
        mandate: &Mandate<'_>,
        snapshot: &Snapshot,
        plan: &Plan,
        given: &Directions,
    ) -> Result<bool, Trouble> {
        let placed: HashSet<&TenantId> = plan.placements().map(|(tenant, _)| tenant).collect();
        let live: HashSet<&NodeId> = snapshot.nodes.iter().map(|view| &view.node).collect();
        let keeps_place = |tenant: &TenantView| {
            tenant.wanted == Wanted::Running
                && tenant.last.as_ref().is_some_and(|node| given.keeps_place(node, live.contains(node)))
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
            mandate.check()?;
            let noted = self.ask_ledger(self.ledger.unplace(mandate.term, some)).await;
            noted.map_err(|error| Trouble::writing_ledger("an end of a placement", error))?;
        }
        Ok(true)
    }

    /// Everything that a pass has to tell: one call, but for more rows than a call should write. Whether the orders are
    /// others now. Without an answer the notes are told again, by this reign: a line of the history may be there twice,
    /// and nothing else can come of it.
    async fn note(
        &self,
        mandate: &Mandate<'_>,
        untold: &mut Untold,
        mut news: Vec<Note>,
    ) -> Result<bool, Trouble> {
        let ordered = news.iter().any(changes_orders);
        while let Some(some) = untold.notes().get(..ROWS_AT_ONCE) {
            self.tell(mandate, some).await?;
            untold.were_told(ROWS_AT_ONCE);
        }
        let rest = untold.notes().len();
        news.splice(0..0, untold.notes().iter().cloned());
        if news.is_empty() {
            return Ok(false);
        }
        self.tell(mandate, &news).await?;
        untold.were_told(rest);
        Ok(ordered)
    }

    async fn tell(&self, mandate: &Mandate<'_>, notes: &[Note]) -> Result<(), Trouble> {
        mandate.check()?;
        let noted = self.ask_ledger(self.ledger.note(mandate.term, notes)).await;
        noted.map_err(Trouble::reading_ledger)
    }

    /// The ledger bounds its calls itself or not: here they end.
    pub(super) async fn ask_ledger<T>(
        &self,
        call: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        let limit = self.config.timing.ledger_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(answered) => answered,
            Err(_) => Err(LedgerError::Unavailable { reason: format!("no answer within {limit:?}") }),
        }
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

/// The lines of the history: placements that their nodes were told of.
fn history(
    plan: &Plan,
    orders: &Orders,
    generations: &HashMap<TenantId, Generation>,
    published: &Published,
) -> Vec<Note> {
    let note = |decision: &Decision| match &decision.action {
        Action::Place { node, cause, choice }
            if published.nodes.contains(node) && generations.contains_key(&decision.tenant) =>
        {
            Some(Note::Placed {
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
    plan.decisions.iter().filter_map(note).collect()
}

/// Whether the next pass reads other orders. The policy's rebalance is left out: the ledger may have had a reason not
/// to start one, and this must not become a loop.
fn changes_orders(note: &Note) -> bool {
    match note {
        Note::Ended { .. } | Note::PauseFailover { .. } | Note::Suspect { .. } => true,
        Note::Event(_) | Note::Placed { .. } | Note::Progress { .. } | Note::StartRebalance => false,
    }
}

fn is_disturbed(findings: &Findings, orders: &Orders, snapshot: &Snapshot, plan: &Plan) -> bool {
    findings.nodes_changed
        || findings.braking
        || !orders.operations.is_empty()
        || !plan.is_empty()
        || snapshot.tenants.iter().any(operations::is_under_way)
}

/// The policy's rebalance, if it would move anything.
fn auto_rebalance(calm: &mut Calm, seen: Revision, given: &Directions, snapshot: Snapshot) -> Option<Note> {
    let situation = Situation { seen, intakes: given.intakes.clone() };
    if !calm.is_unknown(&situation) {
        return None;
    }
    if plan::plan(&Snapshot { goal: Goal::Rebalance, ..snapshot }).is_empty() {
        calm.is_balanced(situation);
        return None;
    }
    Some(Note::StartRebalance)
}
