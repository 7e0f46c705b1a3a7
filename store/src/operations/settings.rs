//! One change of settings on many tenants: what it would change, and its undoing. The values are compared by the database, as the
//! statement compares them that changes a tenant (`change_settings`), so a plan says what would be done now.

use roost_cluster::ledger::{FleetLimits, MemberFailure};
use roost_model::ids::{OperationId, TenantId};
use sqlx::types::Json;

use super::{OperationRecord, WorkerAction, fleet::fleet_runs, number_to_column, start::StartedRow};
use crate::{FieldChange, Requester, SettingsValues, Store, StoreError, columns::ids_to_column};

/// Tenants that one statement compares: within its time even where their texts are long.
const AT_ONCE: u16 = 2_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsPlan {
    pub changes: Vec<TenantChanges>,
    /// Tenants that have the values already.
    pub unchanged: u32,
    /// Those that cannot have them, or are left alone, with the reason.
    pub refused: Vec<MemberFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantChanges {
    pub tenant: TenantId,
    pub fields: Vec<FieldChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUndo {
    pub undoes: OperationId,
    pub limits: FleetLimits,
    /// Of those that it has changed, in the order in which they are taken.
    pub members: Vec<TenantId>,
}

/// A tenant as it stands to the values that it is to have.
struct ComparedRow {
    tenant_id: String,
    /// Of these only what it lacks; null when it has them all.
    after: Option<Json<SettingsValues>>,
    before: Json<SettingsValues>,
    problem: Option<String>,
}

impl Store {
    /// Of these tenants, in their order.
    pub async fn plan_settings(
        &self,
        values: &SettingsValues,
        tenants: &[TenantId],
    ) -> Result<SettingsPlan, StoreError> {
        let mut plan = SettingsPlan::default();
        for some in tenants.chunks(AT_ONCE.into()) {
            let query = sqlx::query_as!(
                ComparedRow,
                r#"select t.id as tenant_id, lacking as "after: Json<SettingsValues>",
                    settings_at(t, coalesce(lacking, '{}')) as "before!: Json<SettingsValues>",
                    settings_problem(with_settings(t, $2)) as problem
                from unnest($1::text[]) with ordinality as given(id, position) join tenants t using (id),
                    settings_lacking(t, $2) as lacking
                where t.deleting_since is null order by given.position"#,
                &ids_to_column(some),
                Json(values) as Json<&SettingsValues>,
            );
            plan.add(self.all("compare the settings of tenants", query).await?)?;
        }
        Ok(plan)
    }

    /// Of those that the operation has changed, in its order. One that has another value by now was changed by somebody else.
    pub async fn plan_undo(&self, undone: OperationId) -> Result<SettingsPlan, StoreError> {
        let mut plan = SettingsPlan::default();
        let mut from = 0;
        loop {
            let query = sqlx::query!(
                r#"select m.position, m.tenant_id, case when lacking is null or lacks_before is null then lacks_before end
                        as "after: Json<SettingsValues>",
                    settings_at(t, coalesce(lacks_before, '{}')) as "before!: Json<SettingsValues>",
                    case when lacking is null then settings_problem(with_settings(t, m.settings_before))
                        when lacks_before is not null then settings_changed_since(lacking) end as problem
                from operation_members m join tenants t on t.id = m.tenant_id and t.deleting_since is null,
                    settings_lacking(t, m.settings_after) as lacking, settings_lacking(t, m.settings_before) as lacks_before
                where m.operation_id = $1 and m.position > $2 and m.state = 'DONE' and m.settings_after is not null
                order by m.position limit $3"#,
                undone.0,
                from,
                i64::from(AT_ONCE),
            );
            let rows = self.all("compare the settings that are undone", query).await?;
            let Some(last) = rows.last().map(|row| row.position) else { return Ok(plan) };
            from = last;
            let compared = rows.into_iter().map(|row| ComparedRow {
                tenant_id: row.tenant_id,
                after: row.after,
                before: row.before,
                problem: row.problem,
            });
            plan.add(compared.collect())?;
        }
    }

    /// The operation that has undone this one, or does.
    pub async fn undone_by(&self, id: OperationId) -> Result<Option<OperationId>, StoreError> {
        let query = sqlx::query!(
            "select id from operations where undoes = $1 and state in ('RUNNING', 'DONE') order by id limit 1",
            id.0,
        );
        Ok(self.maybe("look for the undoing of an operation", query).await?.map(|row| OperationId(row.id)))
    }

    /// `Conflict` when an order on many workers runs.
    pub async fn start_undo(&self, undo: &NewUndo, by: &Requester) -> Result<OperationRecord, StoreError> {
        let (requested_by, reason) = by.columns();
        let query = sqlx::query_as!(
            StartedRow,
            r#"with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            ), met as (
                insert into operations
                    (kind, selector, max_concurrent, max_unavailable_percent, total, requested_by, reason, action, pauses_after, undoes)
                select 'FLEET', o.selector, $2, $3, cardinality($4::text[]), $5, $6, $7, $8, o.id
                from policy_lock, operations o where o.id = $1
                on conflict (state) where state = 'RUNNING' and selector is not null do update set state = excluded.state
                returning id, xmax = 0 as fresh, operation_summary(operations) as summary
            ), chosen as (
                insert into operation_members (operation_id, position, tenant_id, answered, settings_before, settings_after)
                select met.id, given.position, m.tenant_id, false, m.settings_after, m.settings_before
                from met, unnest($4::text[]) with ordinality as given(tenant_id, position), operation_members m
                where met.fresh and m.operation_id = $1 and m.tenant_id = given.tenant_id
            ), ordered as (
                update cluster_policy set orders_revision = orders_revision + 1 from met where fresh
            ), logged as (
                insert into cluster_events (kind, operation_id, text, requested_by, reason)
                select 'OPERATION_STARTED', id, summary, $5, $6 from met where fresh
            )
            select id, fresh as "fresh!" from met"#,
            undo.undoes.0,
            number_to_column(undo.limits.max_concurrent),
            number_to_column(undo.limits.max_unavailable_percent),
            &ids_to_column(&undo.members),
            requested_by,
            reason,
            WorkerAction::UpdateSettings as WorkerAction,
            undo.limits.pauses_after.map(number_to_column),
        );
        let started = self.maybe("start the undoing", query).await?;
        let started =
            started.ok_or_else(|| StoreError::NotFound { kind: "operation", id: undo.undoes.to_string() })?;
        self.get_operation(started.or_conflict(fleet_runs)?).await
    }
}

impl SettingsPlan {
    fn add(&mut self, rows: Vec<ComparedRow>) -> Result<(), StoreError> {
        for row in rows {
            let tenant = TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?;
            match (row.problem, row.after) {
                (Some(error), _) => self.refused.push(MemberFailure { tenant, error }),
                (None, Some(Json(after))) => {
                    let fields = row.before.0.changes_to(&after);
                    self.changes.push(TenantChanges { tenant, fields });
                }
                (None, None) => self.unchanged += 1,
            }
        }
        Ok(())
    }
}
