//! Whether the object store is the one that the database names. One that is not mounted looks like one that is empty: a node that
//! took it would save sessions where no other node finds them, and take those that there are for missing.

use std::time::Duration;

use roost_model::{causes, ids::NodeId};
use roost_store::ObjectStoreOwner;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    env::NodeEnv,
    session::{SessionError, StoreMarker},
};

/// A store that does not answer in this time is no reason to end: the self-check finds it.
const WITHIN: Duration = Duration::from_secs(10);
/// After each the database names a store.
const TRIES: usize = 3;

/// Why this is not the sessions' store.
#[derive(Debug, thiserror::Error)]
pub enum WrongObjectStore {
    #[error(
        "the object store has no marker, and the database names the store {expected}: mount it, or correct --object-store; \
         if it was replaced or restored, start one node with --adopt-object-store"
    )]
    Unmarked { expected: Uuid },
    #[error(
        "the object store is {found} and the database names the store {expected}: correct --object-store or \
         --database-url; if it was replaced or restored, start one node with --adopt-object-store"
    )]
    Another { expected: Uuid, found: Uuid },
    #[error(
        "the object store {found} belongs to the database {theirs}, and this node reaches the database {ours}: correct \
         --object-store or --database-url; if this database is to have it, start one node with --adopt-object-store"
    )]
    OfAnotherDatabase { found: Uuid, theirs: Uuid, ours: Uuid },
    #[error("the object store's marker cannot be read: correct --snapshot-key-file or --object-store")]
    Marker(#[source] SessionError),
    #[error("the object store cannot be used")]
    Unusable(#[source] SessionError),
}

/// Before the node registers. A database or a store that does not answer is not waited for; see [`verify`]. A store that has not proven
/// itself yet is proven by the self-check, and takes no snapshot before.
pub(super) async fn check(env: &NodeEnv, node: &NodeId, adopt: bool) -> Result<(), WrongObjectStore> {
    match timeout(WITHIN, env.snapshots.prove(node)).await {
        Ok(Err(error)) if error.shows_wrong_store() => return Err(WrongObjectStore::Unusable(error)),
        Ok(Err(error)) => drop(unknown(&error)),
        Ok(Ok(())) | Err(_) => {}
    }
    let Ok(verified) = timeout(WITHIN, verify(env, adopt)).await else { return Ok(()) };
    // Under the key that is current now, so that the one before may go.
    if let Some(marker) = verified?
        && let Err(error) = env.snapshots.seal_marker_anew(&marker).await
    {
        tracing::debug!(error = %causes(&error), "the object store's marker keeps its key for now");
    }
    Ok(())
}

/// The first node of a database without a store takes the one that is there into use. Answers with the marker of the right one, and
/// with none when it cannot be asked: then it is not known to be wrong.
pub(super) async fn verify(env: &NodeEnv, adopt: bool) -> Result<Option<StoreMarker>, WrongObjectStore> {
    for _ in 0..TRIES {
        let owner = env.named_store.recall(env.store.object_store().await);
        let (owner, marker) = match (owner, env.snapshots.marker().await) {
            (Ok(owner), Ok(marker)) => (owner, marker),
            (_, Err(error)) if says_that_it_is_another(&error) => {
                return Err(WrongObjectStore::Marker(error));
            }
            (Err(error), _) => return unknown(&error),
            (_, Err(error)) => return unknown(&error),
        };
        let marker = match judge(&owner, marker, adopt)? {
            Verdict::Right(marker) => return Ok(Some(marker)),
            Verdict::Use(marker) => marker,
            Verdict::Mark => match env.snapshots.make_marker(owner.database).await {
                Ok(marker) => marker,
                Err(error) => return unknown(&error),
            },
        };
        match env.store.use_object_store(marker.id, owner.object_store).await {
            Ok(true) => tracing::info!(store = %marker.id, "the object store is taken into use"),
            // By another node, which was faster.
            Ok(false) => {}
            Err(error) => return unknown(&error),
        }
    }
    Ok(None)
}

fn says_that_it_is_another(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::UnknownKey { .. } | SessionError::Sealed { .. } | SessionError::Corrupt { .. }
    )
}

fn unknown(error: &(dyn std::error::Error + 'static)) -> Result<Option<StoreMarker>, WrongObjectStore> {
    tracing::debug!(
        reason = causes(error).to_string(),
        "it is not known whether this is the sessions' store"
    );
    Ok(None)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Right(StoreMarker),
    /// The database is to name it.
    Use(StoreMarker),
    /// It is to be marked first.
    Mark,
}

fn judge(
    owner: &ObjectStoreOwner,
    marker: Option<StoreMarker>,
    adopt: bool,
) -> Result<Verdict, WrongObjectStore> {
    match (owner.object_store, marker) {
        (Some(expected), Some(marker)) if marker.id == expected => Ok(Verdict::Right(marker)),
        // Whoever made it was gone before it had told the database, or that was restored from a backup.
        (None, Some(marker)) if marker.database == owner.database => Ok(Verdict::Use(marker)),
        (_, Some(marker)) if adopt => Ok(Verdict::Use(marker)),
        (None, None) => Ok(Verdict::Mark),
        (Some(_), None) if adopt => Ok(Verdict::Mark),
        (Some(expected), None) => Err(WrongObjectStore::Unmarked { expected }),
        (Some(expected), Some(marker)) => Err(WrongObjectStore::Another { expected, found: marker.id }),
        (None, Some(marker)) => Err(WrongObjectStore::OfAnotherDatabase {
            found: marker.id,
            theirs: marker.database,
            ours: owner.database,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Uuid = Uuid::from_u128(1);
    const STORE: Uuid = Uuid::from_u128(2);
    const OTHER: Uuid = Uuid::from_u128(3);

    fn judged(
        known: Option<Uuid>,
        marker: Option<(Uuid, Uuid)>,
        adopt: bool,
    ) -> Result<Verdict, WrongObjectStore> {
        let owner = ObjectStoreOwner { database: OURS, object_store: known };
        judge(&owner, marker.map(|(id, database)| StoreMarker { id, database }), adopt)
    }

    #[test]
    fn a_store_is_marked_only_while_the_database_names_none() {
        assert_eq!(judged(None, None, false).unwrap(), Verdict::Mark);
        let refused = judged(Some(STORE), None, false).unwrap_err();
        assert!(matches!(refused, WrongObjectStore::Unmarked { expected: STORE }), "{refused}");
    }

    #[test]
    fn the_store_that_the_database_names_is_right_and_no_other() {
        let right = StoreMarker { id: STORE, database: OURS };
        assert_eq!(judged(Some(STORE), Some((STORE, OURS)), false).unwrap(), Verdict::Right(right));
        let another = judged(Some(STORE), Some((OTHER, OURS)), false).unwrap_err();
        assert!(matches!(another, WrongObjectStore::Another { found: OTHER, .. }), "{another}");
        let foreign = judged(None, Some((STORE, OTHER)), false).unwrap_err();
        assert!(matches!(foreign, WrongObjectStore::OfAnotherDatabase { theirs: OTHER, .. }), "{foreign}");
        assert_eq!(judged(None, Some((STORE, OURS)), false).unwrap(), Verdict::Use(right));
    }

    #[test]
    fn by_order_any_store_is_taken() {
        let marker = StoreMarker { id: OTHER, database: OTHER };
        for known in [None, Some(STORE)] {
            assert_eq!(judged(known, Some((OTHER, OTHER)), true).unwrap(), Verdict::Use(marker));
        }
        assert_eq!(judged(Some(STORE), None, true).unwrap(), Verdict::Mark);
    }
}
