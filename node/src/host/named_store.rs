//! Which object store the database has named, for while the database is away.

use parking_lot::Mutex;
use roost_store::{ObjectStoreOwner, StoreError};

/// The store that the database has named last, which is the right one while the database does not answer.
#[derive(Debug, Default)]
pub struct NamedStore(Mutex<Option<ObjectStoreOwner>>);

impl NamedStore {
    /// What the database says, or has said if it is away.
    pub(super) fn recall(
        &self,
        said: Result<ObjectStoreOwner, StoreError>,
    ) -> Result<ObjectStoreOwner, StoreError> {
        let mut known = self.0.lock();
        match (said, *known) {
            (Ok(owner), _) => {
                *known = owner.object_store.and(Some(owner));
                Ok(owner)
            }
            (Err(_), Some(owner)) => Ok(owner),
            (Err(error), None) => Err(error),
        }
    }
}
