//! Which etcd this is, and whether it may be trusted yet.
//!
//! "No live node has this tenant" is read from etcd. An etcd that was lost and founded anew has forgotten nodes that
//! are alive and have browsers running: until their deadlines, which count from keepalives that the old store
//! answered, they are live owners that nobody sees. So in a new store nothing is placed until a TTL has passed, after
//! which every one of them has killed what it had (I1). The store says itself whether that has been waited for, so a
//! controller that dies while waiting is followed by one that waits. Where the ledger has nothing placed, as in a
//! cluster that is set up for the first time, there is nothing to wait for.
//!
//! A store that was put back from a backup is known by its etcd's id or by a leader's key that is older than the
//! ledger's. A backup that is younger than the last election shows neither: whoever restores one stops the nodes first,
//! or deletes the key `store`.
//!
//! The store's record and the ledger's seal name each other. A store that the ledger does not name is taken into use when
//! the one that it names has no controller any more; a store that names another ledger never is, but by order. Two
//! controllers that have only one of the two in common therefore do not take turns: the second one says why it waits.

use std::{sync::atomic::Ordering, time::Duration};

use uuid::Uuid;

use crate::{
    election::Leadership,
    keys,
    ledger::{DesiredTenant, Seal, StoreClaim},
    records::{StoreOwner, StoreRecord},
    registry::{Commit, Guard, Op, Registry},
};

use super::{
    context::Context,
    error::{ControllerError, ForeignStore},
};

/// Reads the store's record, and makes it a new store where there is none, where it is a copy from another etcd, or where the
/// ledger has belonged to another store since.
pub(super) async fn identify(
    context: &Context,
    leadership: &Leadership,
) -> Result<StoreRecord, ControllerError> {
    let registry = context.registry.as_ref();
    let etcd_cluster = registry.cluster_id().await.map_err(ControllerError::Registry)?;
    let seal = context.seal().await?;
    let Some(entry) = registry.get(keys::STORE).await.map_err(ControllerError::Registry)? else {
        return found(context, leadership, etcd_cluster, &seal).await;
    };
    let record: StoreRecord = keys::decode(&entry).map_err(ControllerError::Registry)?;
    let foreign = record.owner.as_ref().filter(|owner| owner.database != seal.database);
    if let Some(StoreOwner { database, cluster, .. }) = foreign
        && !context.is_to_adopt()
    {
        let (cluster, theirs) = (cluster.clone(), database.clone());
        return Err(ControllerError::Foreign(ForeignStore::Database {
            cluster,
            theirs,
            ours: seal.database,
        }));
    }
    let is_sealed = seal.owner.as_ref().is_none_or(|owner| owner.store == record.id);
    if foreign.is_some() || record.etcd_cluster != etcd_cluster || !is_sealed {
        return found(context, leadership, etcd_cluster, &seal).await;
    }
    context.take(&record.id).await?;
    let owner = Some(context.owner(&seal));
    if record.owner == owner {
        return Ok(record);
    }
    let record = StoreRecord { owner, ..record };
    write(registry, leadership, &record).await?;
    Ok(record)
}

/// Makes this a store that was never seen before.
pub(super) async fn initialise(
    context: &Context,
    leadership: &Leadership,
) -> Result<StoreRecord, ControllerError> {
    let etcd_cluster = context.registry.cluster_id().await.map_err(ControllerError::Registry)?;
    found(context, leadership, etcd_cluster, &context.seal().await?).await
}

async fn found(
    context: &Context,
    leadership: &Leadership,
    etcd_cluster: String,
    seal: &Seal,
) -> Result<StoreRecord, ControllerError> {
    let id = Uuid::now_v7().to_string();
    // Before the record is written: one that nobody has been promised to is worth nothing.
    context.take(&id).await?;
    let record = StoreRecord { id, etcd_cluster, settled: false, owner: Some(context.owner(seal)) };
    tracing::info!(store = record.id, etcd_cluster = record.etcd_cluster, "a new store is taken into use");
    write(context.registry.as_ref(), leadership, &record).await?;
    Ok(record)
}

impl Context {
    fn is_to_adopt(&self) -> bool {
        self.adopt_store.load(Ordering::Relaxed)
    }

    async fn seal(&self) -> Result<Seal, ControllerError> {
        self.ask_ledger(self.ledger.seal()).await.map_err(ControllerError::reading_ledger)
    }

    fn owner(&self, seal: &Seal) -> StoreOwner {
        StoreOwner {
            database: seal.database.clone(),
            cluster: self.config.cluster.clone(),
            lease_ttl_ms: u64::try_from(self.config.timing.ttl.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Makes the ledger belong to this store. Waits until another one's controller has been silent for long enough; an
    /// error as soon as that gives a sign of life.
    async fn take(&self, store: &str) -> Result<(), ControllerError> {
        let claim = StoreClaim {
            store: store.to_owned(),
            cluster: self.config.cluster.clone(),
            ttl: self.config.timing.ttl,
            by_order: self.is_to_adopt(),
        };
        let mut silent_for = None;
        while !self
            .ask_ledger(self.ledger.take_store(&claim))
            .await
            .map_err(ControllerError::reading_ledger)?
        {
            let Some(other) = self.seal().await?.owner else { continue };
            if silent_for.is_some_and(|before| other.silent_for < before) {
                let (cluster, holder) = (other.cluster, other.holder);
                return Err(ControllerError::Foreign(ForeignStore::Alive { cluster, holder }));
            }
            let wait = claim.wait(Some(&other));
            if silent_for.replace(other.silent_for).is_none() {
                tracing::warn!(
                    cluster = other.cluster,
                    holder = other.holder,
                    ?wait,
                    "the database belongs to another etcd: waiting whether its controller lives"
                );
            }
            tokio::time::sleep(wait.min(claim.ttl / 2)).await;
        }
        // An order is for this once: a cluster that is left with it must not go on taking from others.
        self.adopt_store.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// How long to wait before the first placement, and then to call [`settle`].
pub(super) fn wait_before_placing(
    record: &StoreRecord,
    desired_tenants: &[DesiredTenant],
    ttl: Duration,
) -> Duration {
    let nothing_placed = desired_tenants.iter().all(|desired| desired.node.is_none());
    if record.settled || nothing_placed { Duration::ZERO } else { ttl }
}

/// Writes down that nothing from before this store can be alive.
pub(super) async fn settle(
    registry: &dyn Registry,
    leadership: &Leadership,
    record: &StoreRecord,
) -> Result<(), ControllerError> {
    if record.settled {
        return Ok(());
    }
    write(registry, leadership, &StoreRecord { settled: true, ..record.clone() }).await
}

async fn write(
    registry: &dyn Registry,
    leadership: &Leadership,
    record: &StoreRecord,
) -> Result<(), ControllerError> {
    const WRITE: &str = "the store's record";
    // Only the leader writes it, so its guard is all that is needed.
    let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(record), lease: None };
    let guards: [Guard; 1] = [leadership.guard()];
    match registry.commit(&guards, &[put]).await {
        Ok(Commit::Done { .. }) => Ok(()),
        Ok(Commit::Refused) => Err(ControllerError::Superseded),
        Err(error) => Err(ControllerError::writing_registry(WRITE, error)),
    }
}
