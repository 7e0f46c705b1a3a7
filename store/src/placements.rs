//! Where tenants were placed and why, as the controller noted it: for `explain` and for the history of operations.

use roost_model::ids::{NodeId, OperationId, TenantId};
use time::OffsetDateTime;

use crate::{Store, StoreError, columns::optional_id};

/// Of each tenant; the controller's notes forget what is older.
pub(crate) const KEPT_PLACEMENTS: i64 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub tenant: TenantId,
    /// Counts the tenant's placements.
    pub seq: i64,
    /// Where the one before this was.
    pub from: Option<NodeId>,
    pub to: NodeId,
    pub reason: String,
    pub operation: Option<OperationId>,
    pub at: OffsetDateTime,
}

impl Store {
    pub async fn last_placement(&self, tenant: &TenantId) -> Result<Option<Placement>, StoreError> {
        Ok(self.placements_of_tenant(tenant, 1).await?.pop())
    }

    /// Newest first.
    pub async fn placements_of_tenant(
        &self,
        tenant: &TenantId,
        limit: u32,
    ) -> Result<Vec<Placement>, StoreError> {
        let query = sqlx::query_as!(
            PlacementRow,
            "select tenant_id, seq, from_node, to_node, reason, operation_id, at from placements
            where tenant_id = $1 order by seq desc limit $2",
            tenant.as_str(),
            i64::from(limit),
        );
        self.all("list the tenant's placements", query).await?.into_iter().map(Placement::try_from).collect()
    }

    /// Newest first. Of an old operation some may be forgotten.
    pub async fn operation_moves(
        &self,
        operation: OperationId,
        limit: u32,
    ) -> Result<Vec<Placement>, StoreError> {
        let query = sqlx::query_as!(
            PlacementRow,
            "select tenant_id, seq, from_node, to_node, reason, operation_id, at from placements
            where operation_id = $1 order by at desc, tenant_id, seq desc limit $2",
            operation.0,
            i64::from(limit),
        );
        self.all("list the operation's moves", query).await?.into_iter().map(Placement::try_from).collect()
    }
}

/// As the columns come, before they are checked.
struct PlacementRow {
    tenant_id: String,
    seq: i64,
    from_node: Option<String>,
    to_node: String,
    reason: String,
    operation_id: Option<i64>,
    at: OffsetDateTime,
}

impl TryFrom<PlacementRow> for Placement {
    type Error = StoreError;

    fn try_from(row: PlacementRow) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
            seq: row.seq,
            from: optional_id(row.from_node.as_deref(), NodeId::new)?,
            to: NodeId::new(&row.to_node).map_err(StoreError::corrupt_id)?,
            reason: row.reason,
            operation: row.operation_id.map(OperationId),
            at: row.at,
        })
    }
}
