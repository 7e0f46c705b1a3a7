//! Pins: the only node that may have a tenant.

use roost_model::ids::{NodeId, OperationId, TenantId};

use crate::{Requester, Store, StoreError, Worker, policy::ATTEMPTS};

impl Store {
    /// `Conflict` while the tenant is being moved to another node.
    pub async fn pin_tenant(
        &self,
        tenant: &TenantId,
        node: &NodeId,
        by: &Requester,
    ) -> Result<Worker, StoreError> {
        self.set_pin(tenant, Some(node), by).await
    }

    pub async fn unpin_tenant(&self, tenant: &TenantId, by: &Requester) -> Result<Worker, StoreError> {
        self.set_pin(tenant, None, by).await
    }

    async fn set_pin(
        &self,
        tenant: &TenantId,
        node: Option<&NodeId>,
        by: &Requester,
    ) -> Result<Worker, StoreError> {
        let step = "pin the tenant";
        for _ in 0..ATTEMPTS {
            let (requested_by, reason) = by.columns();
            let query = sqlx::query!(
                r#"with held as materialized (
                    select tenant_id, pin from worker_processes where tenant_id = $1 for no key update
                ), policy_lock as materialized (
                    -- None if another order came first: then what is read below is not what is there now.
                    select held.* from held, cluster_policy c
                    where c.orders_revision = (select orders_revision from cluster_policy) for no key update of c
                ), move as materialized (
                    select id, node from operations
                    where tenant_id = $1 and kind = 'MOVE' and state = 'RUNNING' and node <> $2
                ), pinned as (
                    update worker_processes w set pin = $2, updated_at = now()
                    from policy_lock
                    where w.tenant_id = policy_lock.tenant_id and policy_lock.pin is distinct from $2
                        and not exists(select from move)
                    returning w.tenant_id
                ), ordered as (
                    update cluster_policy c set orders_revision = c.orders_revision + 1 from pinned
                ), logged as (
                    insert into cluster_events (kind, node, tenant_id, text, requested_by, reason)
                    select case when $2::text is null then 'TENANT_UNPINNED' else 'TENANT_PINNED' end,
                        coalesce($2, policy_lock.pin), tenant_id,
                        case when $2 is null
                            then format('tenant %s is not pinned to node %s any more', tenant_id, policy_lock.pin)
                            else format('tenant %s is pinned to node %s', tenant_id, $2) end,
                        $3, $4
                    from policy_lock join pinned using (tenant_id)
                )
                select exists(select from policy_lock) as "holds_lock!", (select id from move) as moved_by,
                    (select node from move) as target
                from held"#,
                tenant.as_str(),
                node.map(NodeId::as_str),
                requested_by,
                reason,
            );
            let row = self.maybe(step, query).await?.ok_or_else(|| StoreError::no_tenant(tenant))?;
            if !row.holds_lock {
                continue;
            }
            return match row.moved_by.zip(row.target) {
                None => self.get_worker(tenant).await,
                Some((id, target)) => Err(StoreError::Conflict {
                    operation: OperationId(id),
                    what: format!("tenant {tenant} is being moved to node {target} (operation {id})"),
                }),
            };
        }
        Err(StoreError::outrun(step))
    }
}
