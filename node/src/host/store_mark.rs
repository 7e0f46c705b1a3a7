//! Whether etcd and the database are of one cluster, and that cluster's is what this node was given.
//!
//! The controller writes whose an etcd is into its key `store`. A node with another database would be assigned tenants that
//! it does not find, and one that counts with another TTL might have browsers when its lease is over (I1).

use std::time::Duration;

use roost_cluster::{
    keys,
    records::{StoreOwner, StoreRecord},
    registry::{Registry, RegistryError},
    timing::Timing,
};
use roost_model::causes;
use roost_store::Store;

use super::error::{HostError, WrongCluster};

/// What the node was given, beside the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) cluster: &'a str,
    pub(super) ttl: Duration,
}

/// Before each registration. A database that does not answer is no reason to wait: it is asked again by [`wrong_database`].
pub(super) async fn check(registry: &dyn Registry, store: &Store, given: Given<'_>) -> Result<(), HostError> {
    let owner = match owner(registry).await {
        Ok(Some(owner)) => owner,
        Ok(None) => return Ok(()),
        Err(error @ RegistryError::Corrupt { .. }) => return Err(error.into()),
        // The registration meets the same and waits for it.
        Err(_) => return Ok(()),
    };
    let database = match store.database_identity().await {
        Ok(id) => Some(id.to_string()),
        Err(error) if error.is_final() => return Err(error.into()),
        Err(error) => {
            tracing::warn!(
                reason = causes(&error).to_string(),
                "it is not known yet whether this is the cluster's database"
            );
            None
        }
    };
    compare(&owner, given, database.as_deref()).map_err(HostError::from)
}

/// Resolves when the database that this node reaches is not the one that etcd names, and never if it is.
pub(super) async fn wrong_database(
    registry: &dyn Registry,
    store: &Store,
    given: Given<'_>,
    timing: &Timing,
) -> HostError {
    loop {
        if let (Ok(id), Ok(owner)) = (store.database_identity().await, owner(registry).await) {
            let compared = owner.map_or(Ok(()), |owner| compare(&owner, given, Some(&id.to_string())));
            match compared {
                Ok(()) => std::future::pending().await,
                Err(wrong) => return wrong.into(),
            }
        }
        tokio::time::sleep(timing.watch_retry).await;
    }
}

/// None in an etcd that is new, or whose mark an older version has written.
async fn owner(registry: &dyn Registry) -> Result<Option<StoreOwner>, RegistryError> {
    let Some(entry) = registry.get(keys::STORE).await? else { return Ok(None) };
    Ok(keys::decode::<StoreRecord>(&entry)?.owner)
}

fn compare(owner: &StoreOwner, given: Given<'_>, database: Option<&str>) -> Result<(), WrongCluster> {
    if let Some(ours) = database.filter(|ours| *ours != owner.database) {
        return Err(WrongCluster::Database { theirs: owner.database.clone(), ours: ours.to_owned() });
    }
    if owner.cluster != given.cluster {
        return Err(WrongCluster::Name { theirs: owner.cluster.clone(), ours: given.cluster.to_owned() });
    }
    let theirs = Duration::from_millis(owner.lease_ttl_ms);
    if theirs == given.ttl { Ok(()) } else { Err(WrongCluster::Ttl { theirs, ours: given.ttl }) }
}

#[cfg(test)]
mod tests {
    use roost_cluster::registry::{MemoryRegistry, Op};

    use super::*;

    const GIVEN: Given<'_> = Given { cluster: "c", ttl: Duration::from_secs(5) };

    fn mark() -> StoreOwner {
        StoreOwner { database: "d".to_owned(), cluster: "c".to_owned(), lease_ttl_ms: 5_000 }
    }

    #[test]
    fn each_thing_that_differs_is_named_with_both_values() {
        assert_eq!(compare(&mark(), GIVEN, Some("d")), Ok(()));
        assert_eq!(compare(&mark(), GIVEN, None), Ok(()), "it is not known yet");
        let wrong = [
            (compare(&mark(), GIVEN, Some("e")), ["database d", "database e"]),
            (compare(&mark(), Given { cluster: "x", ..GIVEN }, Some("d")), ["cluster c", "name x"]),
            (compare(&mark(), Given { ttl: Duration::from_secs(2), ..GIVEN }, None), ["is 5s", "given 2s"]),
        ];
        for (compared, words) in wrong {
            let wrong = compared.unwrap_err();
            assert!(words.iter().all(|word| wrong.to_string().contains(word)), "{wrong}");
            assert!(HostError::from(wrong).is_final());
        }
    }

    /// A store to which nothing listens.
    fn away() -> Store {
        Store::connect_lazy("postgres://u:p@127.0.0.1:1/d", 1).unwrap()
    }

    #[tokio::test]
    async fn a_node_with_another_ttl_is_refused_also_while_the_database_is_away() {
        let registry = MemoryRegistry::new("m");
        let short = Given { ttl: Duration::from_secs(2), ..GIVEN };
        check(&registry, &away(), short).await.unwrap();
        let record = StoreRecord {
            id: "x".to_owned(),
            etcd_cluster: "m".to_owned(),
            settled: true,
            owner: Some(mark()),
        };
        let put = Op::Put { key: keys::STORE.to_owned(), value: keys::encode(&record), lease: None };
        registry.commit(&[], &[put]).await.unwrap();
        let refused = check(&registry, &away(), short).await.unwrap_err();
        assert!(refused.is_final() && refused.to_string().contains("lease TTL"), "{refused}");
        check(&registry, &away(), GIVEN).await.unwrap();
        registry.cut_off();
        check(&registry, &away(), short).await.unwrap();
    }
}
