//! What a node says that has no lease and still reaches Postgres: that it is there. The controller waits for such nodes a while
//! longer before it gives their tenants away.

use roost_model::ids::NodeId;

use crate::{Store, StoreError};

impl Store {
    /// To be repeated for as long as it is so.
    pub async fn note_cut_off(&self, node: &NodeId) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "insert into cut_off_nodes (node) values ($1) on conflict (node) do update set seen_at = now()
            returning node",
            node.as_str(),
        );
        self.one("note that a node is cut off", query).await.map(drop)
    }
}
