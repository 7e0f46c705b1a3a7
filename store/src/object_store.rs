//! Which object store is this database's. The store has a marker with its id, and the database names it, so that a directory that
//! is not mounted, or another cluster's store, is not taken for it.

use uuid::Uuid;

use crate::{Store, StoreError};

/// What the database knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectStoreOwner {
    /// The database's own id.
    pub database: Uuid,
    /// None until a store was taken into use.
    pub object_store: Option<Uuid>,
}

impl Store {
    pub async fn object_store(&self) -> Result<ObjectStoreOwner, StoreError> {
        let query = sqlx::query!("select id, object_store from database_identity");
        let row = self.one("read which object store is the database's", query).await?;
        Ok(ObjectStoreOwner { database: row.id, object_store: row.object_store })
    }

    /// Takes a store into use in the place of the one that was read; `false` when it is another one by now.
    pub async fn use_object_store(&self, id: Uuid, before: Option<Uuid>) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            "update database_identity set object_store = $1 where object_store is not distinct from $2 returning id",
            id,
            before,
        );
        Ok(self.maybe("take an object store into use", query).await?.is_some())
    }
}
