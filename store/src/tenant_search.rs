//! Tenants as people look for them: by the beginning of an id, a name or a number, by labels, and by how their workers are.

use roost_model::ids::TenantId;
use sqlx::types::Json;

use crate::{ConditionKind, LabelSelector, Labels, Store, StoreError, columns::ids_to_column};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantSearch {
    /// Of the id, the name (in any case) or the number; empty for all.
    pub begins: String,
    pub labels: LabelSelector,
    pub state: Option<SearchedState>,
    /// What is decided elsewhere of these tenants, whatever the database says of their workers.
    pub elsewhere: Elsewhere,
}

/// How its worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchedState {
    /// Is not to run.
    Stopped,
    /// Is to run, and this is its condition.
    Condition(ConditionKind),
}

/// Tenants whose condition is known by others than the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elsewhere {
    pub fitting: Vec<TenantId>,
    pub others: Vec<TenantId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTenant {
    pub id: TenantId,
    pub display_name: String,
    pub phone: String,
}

impl Store {
    /// Ordered by id, from the one after `after` on.
    pub async fn find_tenants(
        &self,
        search: &TenantSearch,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<FoundTenant>, StoreError> {
        let (is_stopped, condition) = match search.state {
            None => (None, None),
            Some(SearchedState::Stopped) => (Some(true), None),
            Some(SearchedState::Condition(kind)) => (Some(false), Some(kind)),
        };
        // A number is written with spaces and a plus, or without.
        let digits = search.begins.trim_start_matches('+').replace(' ', "");
        let query = sqlx::query!(
            r#"select t.id, t.display_name, t.phone
            from tenants t join worker_processes w on w.tenant_id = t.id join worker_heartbeats h on h.tenant_id = t.id
            where t.id > $1 and t.deleting_since is null
                and ($2 = '' or t.id ^@ $2 or lower(t.display_name) ^@ lower($2) or t.phone ^@ ('+' || $3) and $3 <> '')
                and ($4 or t.labels @> $5 and not t.labels @> any ($6::jsonb[]) and t.labels ?& $7 and not t.labels ?| $8)
                and ($9::bool is null or (w.desired = 'STOPPED') = $9)
                and ($10::worker_condition is null or t.id = any($11) or not t.id = any($12) and $10 = case
                    when w.condition = 'ANSWERING' and not coalesce(h.evident_until > now(), false) or w.condition = 'NONE' and w.stale
                        then 'WAITING_FOR_NODE'
                    else w.condition end)
            order by t.id limit $13"#,
            after.map_or("", TenantId::as_str),
            search.begins,
            digits,
            search.labels == LabelSelector::default(),
            Json(&search.labels.equal) as Json<&Labels>,
            search.labels.unequal() as Vec<Json<Labels>>,
            &search.labels.present,
            &search.labels.absent,
            is_stopped,
            condition as Option<ConditionKind>,
            &ids_to_column(&search.elsewhere.fitting),
            &ids_to_column(&search.elsewhere.others),
            i64::from(limit),
        );
        let rows = self.all("look for tenants", query).await?;
        let found = rows.into_iter().map(|row| {
            let id = TenantId::new(&row.id).map_err(StoreError::corrupt_id)?;
            Ok(FoundTenant { id, display_name: row.display_name, phone: row.phone })
        });
        found.collect()
    }
}
