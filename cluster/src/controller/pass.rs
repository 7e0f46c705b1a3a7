//! One pass: read everything, plan, place, publish.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use crate::{
    election::Leadership,
    fence::Standing,
    ids::{Generation, Revision, TenantId, Term},
    keys,
    lease::LeaseKeeper,
    ledger::{Demand, LedgerError},
    plan::{self, Goal, Plan, Snapshot},
    registry::Commit,
};

use super::{Context, journal::Journal, publish, trouble::Trouble, view::View};

/// What a pass found and did.
pub(super) struct Passed {
    /// The registry's revision that it has seen.
    pub(super) seen: Revision,
    /// It changed something, or found that something had changed meanwhile: look again at once.
    pub(super) again: bool,
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
    pub(super) async fn pass(&self, mandate: &Mandate<'_>, journal: &mut Journal) -> Result<Passed, Trouble> {
        let (listing, demands) = tokio::join!(self.registry.list(keys::ALL), self.demands());
        let view = View::read(&listing.map_err(Trouble::Registry)?, mandate.leadership)?;
        let demands = demands?;
        let snapshot = view.snapshot(&demands, Goal::Settle);
        let plan = plan::plan(&snapshot);
        journal.write(&plan);

        let generations = self.place(mandate, &plan).await?;
        let published = self.publish(mandate, &view, &plan, &generations, &demands).await?;
        let unplaced = self.unplace(mandate, &snapshot, &plan, &demands).await?;
        Ok(Passed { seen: view.revision, again: published || unplaced })
    }

    pub(super) async fn demands(&self) -> Result<Vec<Demand>, Trouble> {
        self.ask_ledger(self.ledger.demands()).await.map_err(Trouble::reading_ledger)
    }

    pub(super) async fn place(
        &self,
        mandate: &Mandate<'_>,
        plan: &Plan,
    ) -> Result<BTreeMap<TenantId, Generation>, Trouble> {
        let placements: Vec<_> =
            plan.placements().map(|(tenant, node)| (tenant.clone(), node.clone())).collect();
        if placements.is_empty() {
            return Ok(BTreeMap::new());
        }
        mandate.check()?;
        let placed = self.ask_ledger(self.ledger.place(mandate.term, &placements)).await;
        placed
            .map(|generations| generations.into_iter().collect())
            .map_err(|error| Trouble::writing_ledger("a placement", error))
    }

    /// Whether anything was to be published.
    pub(super) async fn publish(
        &self,
        mandate: &Mandate<'_>,
        view: &View,
        plan: &Plan,
        generations: &BTreeMap<TenantId, Generation>,
        demands: &[Demand],
    ) -> Result<bool, Trouble> {
        let updates = publish::updates(view, plan, generations, demands);
        for batch in publish::batches(&updates, mandate.leadership) {
            mandate.check()?;
            match self.registry.commit(&batch.guards, &batch.ops).await {
                Ok(Commit::Done { .. }) => {}
                // The next pass sees what has changed.
                Ok(Commit::Refused) => break,
                Err(error) => return Err(Trouble::writing_registry("an assignment", error)),
            }
        }
        Ok(!updates.is_empty())
    }

    /// Tells the ledger of tenants that no node has any more. Whether there were any.
    async fn unplace(
        &self,
        mandate: &Mandate<'_>,
        snapshot: &Snapshot,
        plan: &Plan,
        demands: &[Demand],
    ) -> Result<bool, Trouble> {
        let placed: BTreeSet<&TenantId> = plan.placements().map(|(tenant, _)| tenant).collect();
        let held: BTreeSet<&TenantId> =
            snapshot.tenants.iter().filter(|view| !view.holds.is_empty()).map(|view| &view.tenant).collect();
        let nowhere: Vec<TenantId> = demands
            .iter()
            .filter(|demand| demand.node.is_some())
            .map(|demand| &demand.tenant)
            .filter(|tenant| !placed.contains(tenant) && !held.contains(tenant))
            .cloned()
            .collect();
        if nowhere.is_empty() {
            return Ok(false);
        }
        mandate.check()?;
        let noted = self.ask_ledger(self.ledger.unplace(mandate.term, &nowhere)).await;
        noted.map(|()| true).map_err(|error| Trouble::writing_ledger("an end of a placement", error))
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
