//! What workers have waited for, or done about faults, one after the other: a trigger keeps each change, with the node that had
//! the worker and the reason.

use roost_model::ids::{NodeId, TenantId};
use time::OffsetDateTime;

use crate::{ConditionKind, Store, StoreError, columns::optional_id};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionChange {
    pub at: OffsetDateTime,
    /// Which had the worker; none while none did.
    pub node: Option<NodeId>,
    pub kind: ConditionKind,
    pub reason: String,
}

impl Store {
    /// Newest first, all that are kept: 100 at most. Empty for a tenant that is not there.
    pub async fn condition_changes(&self, tenant: &TenantId) -> Result<Vec<ConditionChange>, StoreError> {
        let query = sqlx::query!(
            r#"select at, node, condition as "condition: ConditionKind", reason from worker_conditions
            where tenant_id = $1 order by seq desc"#,
            tenant.as_str(),
        );
        let rows = self.all("list the changes of a worker's condition", query).await?;
        let changes = rows.into_iter().map(|row| {
            let node = optional_id(row.node.as_deref(), NodeId::new)?;
            Ok(ConditionChange { at: row.at, node, kind: row.condition, reason: row.reason })
        });
        changes.collect()
    }
}
