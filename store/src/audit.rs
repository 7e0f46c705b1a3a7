//! What was ordered by whom. It is added to and never changed, which the database sees to.

use roost_model::ids::{NodeId, TenantId};
use time::OffsetDateTime;

use crate::{
    Store, StoreError,
    columns::{Role, optional_id, storable},
};

/// A call that was answered, or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub caller: String,
    pub role: roost_model::Role,
    /// `Service/Method`.
    pub call: String,
    pub tenant: Option<TenantId>,
    pub node: Option<NodeId>,
    /// Where it came from.
    pub origin: String,
    /// The name of its gRPC status.
    pub result: String,
    /// What the caller said of itself and why.
    pub requested_by: String,
    pub reason: String,
    /// It shows what is between a tenant and its customers to one who runs the cluster.
    pub is_look: bool,
}

/// One that stands in the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub id: i64,
    pub at: OffsetDateTime,
    pub entry: AuditEntry,
}

#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub tenant: Option<TenantId>,
    pub caller: Option<String>,
}

impl Store {
    pub async fn write_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"insert into audit_log (caller, role, call, tenant_id, node_id, origin, result, requested_by, reason, is_look)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id"#,
            &storable(&entry.caller),
            Role::from(entry.role) as Role,
            entry.call,
            entry.tenant.as_ref().map(TenantId::as_str),
            entry.node.as_ref().map(NodeId::as_str),
            entry.origin,
            entry.result,
            &storable(&entry.requested_by),
            &storable(&entry.reason),
            entry.is_look,
        );
        self.one("write the audit", query).await.map(drop)
    }

    /// Newest first, from the one before `before` on. Each filter has an index, and both together read the tenant's.
    pub async fn list_audit(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select id, at, caller, role as "role: Role", call, tenant_id, node_id, origin, result, requested_by, reason, is_look
            from audit_log
            where ($1::text is null or tenant_id = $1) and ($2::text is null or caller = $2) and id < $3
            order by id desc limit $4"#,
            filter.tenant.as_ref().map(TenantId::as_str),
            filter.caller,
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        );
        self.all("list the audit", query).await?.into_iter().map(AuditRecord::try_from).collect()
    }

    /// Looks at what this tenant and its customers say, those at all tenants' too, newest first, from the one before `before` on.
    pub async fn list_looks(
        &self,
        tenant: &TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let query = sqlx::query_as!(
            Row,
            r#"select id as "id!", at as "at!", caller as "caller!", role as "role!: Role", call as "call!", tenant_id, node_id,
                origin as "origin!", result as "result!", requested_by as "requested_by!", reason as "reason!", is_look as "is_look!"
            from (
                (select * from audit_log where is_look and tenant_id = $1 and result = 'OK' and id < $2 order by id desc limit $3)
                union all
                (select * from audit_log where is_look and tenant_id is null and result = 'OK' and id < $2 order by id desc limit $3)
            ) looks order by id desc limit $3"#,
            tenant.as_str(),
            before.unwrap_or(i64::MAX),
            i64::from(limit),
        );
        self.all("list the looks at a tenant", query).await?.into_iter().map(AuditRecord::try_from).collect()
    }
}

struct Row {
    id: i64,
    at: OffsetDateTime,
    caller: String,
    role: Role,
    call: String,
    tenant_id: Option<String>,
    node_id: Option<String>,
    origin: String,
    result: String,
    requested_by: String,
    reason: String,
    is_look: bool,
}

impl TryFrom<Row> for AuditRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let entry = AuditEntry {
            tenant: optional_id(row.tenant_id.as_deref(), TenantId::new)?,
            node: optional_id(row.node_id.as_deref(), NodeId::new)?,
            caller: row.caller,
            role: row.role.into(),
            call: row.call,
            origin: row.origin,
            result: row.result,
            requested_by: row.requested_by,
            reason: row.reason,
            is_look: row.is_look,
        };
        Ok(Self { id: row.id, at: row.at, entry })
    }
}
