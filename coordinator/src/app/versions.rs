//! Versions of the page and of the library, and giving one to some tenants first. Whom a rollout chooses is drawn by lot here and written
//! down; the controller gives it to them and judges it.

use roost_cluster::ledger::RolloutLimits;
use roost_store::{
    NewRollout, NewVersion, OperationRecord, Requester, RolloutChoice, RolloutOrder, Version, VersionKind,
    WorkerFilter,
};

use super::{App, Error, NoRollout, Refusal, operations::not_started};

/// A version that breaks one tenant in ten is missed by so many with a chance of one in twenty.
const AT_LEAST: u64 = 30;
/// Each pass of the controller reads them all, and as many beside them.
const AT_MOST: u64 = 200;

/// A version that is to be given to some first.
#[derive(Debug, Clone)]
pub struct Rollout {
    pub version: String,
    /// As it was given; empty for all.
    pub selector: String,
    pub filter: WorkerFilter,
    /// 1 to 50.
    pub share_percent: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutPlan {
    pub candidates: u64,
    pub chosen: RolloutChoice,
}

impl RolloutPlan {
    /// Of 100 versions that break one tenant in ten those that break none of the chosen.
    pub fn missed_percent(&self) -> u32 {
        let tenants = u32::try_from(self.chosen.tenants.len()).unwrap_or(u32::MAX);
        // At most 100.
        (100.0 * 0.9_f64.powf(tenants.into())).round() as u32
    }
}

impl App {
    pub async fn create_version(&self, new: &NewVersion, by: &Requester) -> Result<Version, Error> {
        let made = self.store()?.create_version(new, by).await?;
        tracing::info!(version = made.name, kind = ?made.kind, bytes = made.bytes, "a version is kept");
        Ok(made)
    }

    pub async fn list_versions(&self) -> Result<Vec<Version>, Error> {
        Ok(self.store()?.list_versions().await?)
    }

    pub async fn delete_version(&self, name: &str) -> Result<(), Error> {
        self.store()?.delete_version(name).await?;
        tracing::info!(version = name, "a version is deleted");
        Ok(())
    }

    /// Whether it was not so already.
    pub async fn pin_version(
        &self,
        kind: VersionKind,
        name: Option<&str>,
        by: &Requester,
    ) -> Result<bool, Error> {
        let changed = self.store()?.pin_version(kind, name, by).await?;
        if changed {
            tracing::info!(version = name, ?kind, "the fleet's version is changed");
        }
        Ok(changed)
    }

    pub async fn plan_rollout(&self, rollout: &Rollout) -> Result<RolloutPlan, Error> {
        Ok(self.draw(rollout).await?.1)
    }

    pub async fn start_rollout(
        &self,
        rollout: Rollout,
        limits: RolloutLimits,
        by: &Requester,
    ) -> Result<OperationRecord, Error> {
        let (kind, RolloutPlan { chosen, .. }) = self.draw(&rollout).await?;
        let Rollout { version, selector, .. } = rollout;
        let new = NewRollout { order: RolloutOrder::new(version, kind, selector, limits), chosen };
        let started = self.store()?.start_rollout(&new, by).await.map_err(not_started)?;
        let version = new.order.version;
        tracing::info!(operation = %started.id, version, tenants = new.chosen.tenants.len(), "rollout started");
        Ok(started)
    }

    async fn draw(&self, rollout: &Rollout) -> Result<(VersionKind, RolloutPlan), Error> {
        let Rollout { version, filter, share_percent, .. } = rollout;
        let store = self.store()?;
        let refused = |why| Error::from(Refusal::NoRollout { version: version.clone(), why });
        let Version { kind, is_the_fleets, .. } = store.get_version(version).await?;
        if is_the_fleets {
            return Err(refused(NoRollout::IsTheFleets));
        }
        let (candidates, mut drawn) = store.rollout_candidates(kind, filter, 2 * AT_MOST).await?;
        let size = share(candidates, *share_percent);
        if size == 0 {
            return Err(refused(NoRollout::TooFew { candidates }));
        }
        let controls = drawn.drain(size..2 * size).collect();
        drawn.truncate(size);
        Ok((kind, RolloutPlan { candidates, chosen: RolloutChoice { tenants: drawn, controls } }))
    }
}

/// Of so many, with as many left to compare them with.
fn share(candidates: u64, percent: u32) -> usize {
    let share = (candidates * u64::from(percent)).div_ceil(100).clamp(AT_LEAST, AT_MOST);
    usize::try_from(share.min(candidates / 2)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use roost_model::ids::TenantId;

    use super::*;

    #[test]
    fn a_share_is_large_enough_to_tell_something_and_leaves_as_many_beside_it() {
        assert_eq!(
            [0, 1, 2, 7, 59, 60, 100].map(|candidates| share(candidates, 10)),
            [0, 0, 1, 3, 29, 30, 30]
        );
        assert_eq!([1_001, 2_000, 100_000].map(|candidates| share(candidates, 10)), [101, 200, 200]);
        assert_eq!(share(100, 50), 50);
    }

    #[test]
    fn how_many_bad_versions_are_missed_is_told() {
        let plan = |count| {
            let tenants = vec![TenantId::new("asha").unwrap(); count];
            let chosen = RolloutChoice { tenants, controls: Vec::new() };
            RolloutPlan { candidates: 0, chosen }.missed_percent()
        };
        assert_eq!([1, 3, 10, 30, 200].map(plan), [90, 73, 35, 4, 0]);
    }
}
