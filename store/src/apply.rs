//! Declared tenants: a batch of them is made, changed, started, stopped and removed in one transaction, with one event.
//!
//! The transaction holds the workers' rows, in the order of their ids, from before it reads the tenants until its commit; so of
//! two applies of one tenant the second sees what the first has done, and what it finds as declared it leaves alone. The
//! policy's row is taken last, as everywhere: the controller waits for it. A process that is frozen in between holds those rows
//! until Postgres ends the idle transaction. What an apply has not committed is not done, so it can be repeated after any end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use roost_model::ids::TenantId;
use sqlx::{Connection, PgConnection, types::Json};

use crate::{
    DesiredState, NewTenant, Requester, RestartMode, Store, StoreError, Tenant, TenantPatch,
    call::within,
    columns::{ids_to_column, proxy_from_columns},
    declarations::{
        AppliedTenant, Problem, RefusedField, Standing, TenantChange, TenantDeclaration, desired_change,
        differences,
    },
    deletions::deletion,
    tenants::{change, creation, tenants_of},
};

/// For all of a batch; each of its statements has a limit of its own.
const WHOLE_BATCH: Duration = Duration::from_secs(20);
/// Of a batch that meets others which make the same tenants.
const ATTEMPTS: u32 = 3;
const STEP: &str = "apply declared tenants";

/// Some of what an apply declares.
#[derive(Debug, Clone)]
pub struct Apply {
    /// Names the apply in the history.
    pub id: String,
    /// Of tenants that differ from each other, and from those in `deletions`.
    pub declarations: Vec<TenantDeclaration>,
    pub deletions: Vec<TenantId>,
    /// Only says what would be done.
    pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// One for each declaration and then one for each tenant that there was to delete.
    Applied(Vec<AppliedTenant>),
    /// Nothing was done.
    Refused(Vec<RefusedField>),
}

impl Store {
    /// All of it or nothing.
    pub async fn apply_tenants(&self, apply: &Apply, by: &Requester) -> Result<ApplyOutcome, StoreError> {
        self.met().await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome = within(WHOLE_BATCH, STEP, async {
                let mut lease = self.lease().await?;
                let answer = in_transaction(lease.connection(), apply, by).await;
                lease.settle(answer)
            })
            .await;
            match outcome {
                // Somebody took an id or a number since it was looked at: the next look says whose it is.
                Err(error) if error.unique_violation().is_some() && attempts < ATTEMPTS => {}
                outcome => return outcome,
            }
        }
    }
}

async fn in_transaction(
    connection: &mut PgConnection,
    apply: &Apply,
    by: &Requester,
) -> Result<ApplyOutcome, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !apply.validate_only {
        hold_workers(&mut transaction, apply).await?;
    }
    let batch = match Batch::read(&mut transaction, apply).await? {
        Ok(batch) => batch,
        Err(refused) => {
            transaction.rollback().await?;
            return Ok(ApplyOutcome::Refused(refused));
        }
    };
    if apply.validate_only {
        transaction.rollback().await?;
    } else {
        batch.write(&mut transaction, apply, by).await?;
        transaction.commit().await?;
    }
    Ok(ApplyOutcome::Applied(batch.applied))
}

async fn hold_workers(transaction: &mut PgConnection, apply: &Apply) -> Result<(), sqlx::Error> {
    let query = sqlx::query!(
        "select tenant_id from worker_processes where tenant_id = any($1) order by tenant_id for no key update",
        &ids_to_column(apply.ids()),
    );
    query.fetch_all(transaction).await.map(drop)
}

impl Apply {
    fn ids(&self) -> impl Iterator<Item = &TenantId> {
        self.declarations.iter().map(|declaration| &declaration.id).chain(&self.deletions)
    }
}

/// What is to be written.
struct Batch {
    applied: Vec<AppliedTenant>,
    creations: Vec<NewTenant>,
    changes: Vec<(TenantId, TenantPatch)>,
    /// Tenants that get another number.
    renumbered: Vec<TenantId>,
    /// By tenant, where they are others than before.
    fields: BTreeMap<TenantId, BTreeSet<String>>,
    starts: Vec<TenantId>,
    stops: Vec<TenantId>,
    deletions: Vec<TenantId>,
}

impl Batch {
    /// What has to be done, or what stands against it.
    async fn read(
        transaction: &mut PgConnection,
        apply: &Apply,
    ) -> Result<Result<Self, Vec<RefusedField>>, sqlx::Error> {
        let found = read_standings(transaction, apply).await?;
        let mut batch = Self {
            applied: Vec::new(),
            creations: Vec::new(),
            changes: Vec::new(),
            renumbered: Vec::new(),
            fields: BTreeMap::new(),
            starts: Vec::new(),
            stops: Vec::new(),
            deletions: apply
                .deletions
                .iter()
                .filter(|id| found.standings.contains_key(*id))
                .cloned()
                .collect(),
        };
        let mut refused = Vec::new();
        for (index, declaration) in apply.declarations.iter().enumerate() {
            let standing = found.standings.get(&declaration.id);
            let proxy = standing.and_then(|standing| standing.proxy.as_ref());
            let change = match standing {
                _ if !declaration.keeps_what_there_is(proxy) => {
                    Err(vec![RefusedField { index, field: "proxy", problem: Problem::NothingKept }])
                }
                Some(standing) => Ok(batch.change(declaration, standing)),
                None if found.being_deleted.contains(&declaration.id) => {
                    Err(vec![RefusedField { index, field: "id", problem: Problem::BeingDeleted }])
                }
                None => batch.create(index, declaration),
            };
            match change {
                Ok(change) => batch.applied.push(AppliedTenant { id: declaration.id.clone(), change }),
                Err(problems) => refused.extend(problems),
            }
        }
        // Of two applies that make the same tenants the second waits at the first of them, and holds none that the other wants.
        batch.creations.sort_by(|one, other| one.id.cmp(&other.id));
        refused.extend(batch.taken_numbers(transaction, apply).await?);
        let deleted = batch.deletions.iter();
        let deleted: Vec<_> =
            deleted.map(|id| AppliedTenant { id: id.clone(), change: TenantChange::Deleted }).collect();
        batch.applied.extend(deleted);
        Ok(if refused.is_empty() { Ok(batch) } else { Err(refused) })
    }

    fn create(
        &mut self,
        index: usize,
        declaration: &TenantDeclaration,
    ) -> Result<TenantChange, Vec<RefusedField>> {
        let new = declaration.to_new().map_err(|lacks| {
            let lacks = lacks.into_iter();
            lacks
                .map(|field| RefusedField { index, field, problem: Problem::NeededByNew })
                .collect::<Vec<_>>()
        })?;
        self.creations.push(new);
        self.fields.insert(declaration.id.clone(), declaration.fields.clone());
        if declaration.desired == Some(DesiredState::Running) {
            self.starts.push(declaration.id.clone());
        }
        Ok(TenantChange::Created)
    }

    fn change(&mut self, declaration: &TenantDeclaration, standing: &Standing) -> TenantChange {
        let id = &declaration.id;
        let patch = declaration.patch_over(&standing.applied_fields);
        let mut changes = differences(standing, &patch);
        if !changes.is_empty() {
            if changes.iter().any(|change| change.path == "phone") {
                self.renumbered.push(id.clone());
            }
            self.changes.push((id.clone(), patch));
        }
        if let Some(desired) = declaration.desired.filter(|desired| *desired != standing.desired) {
            changes.push(desired_change(standing.desired, desired));
            match desired {
                DesiredState::Running => self.starts.push(id.clone()),
                DesiredState::Stopped => self.stops.push(id.clone()),
            }
        }
        let is_noted = declaration.fields != standing.applied_fields;
        if is_noted {
            self.fields.insert(id.clone(), declaration.fields.clone());
        }
        match (changes.is_empty(), is_noted) {
            (false, _) => TenantChange::Changed(changes),
            (true, true) => TenantChange::Noted,
            (true, false) => TenantChange::Unchanged,
        }
    }

    /// Numbers that belong to tenants which keep them.
    async fn taken_numbers(
        &self,
        transaction: &mut PgConnection,
        apply: &Apply,
    ) -> Result<Vec<RefusedField>, sqlx::Error> {
        let wanted = apply.declarations.iter().filter_map(|declaration| declaration.values.phone.clone());
        let freed = self.renumbered.iter().chain(&self.deletions);
        let query = sqlx::query!(
            "select id, phone from tenants where phone = any($1) and deleting_since is null and id <> all($2)",
            &wanted.collect::<Vec<_>>(),
            &ids_to_column(freed),
        );
        let mut refused = Vec::new();
        for row in query.fetch_all(transaction).await? {
            let by = |declaration: &TenantDeclaration| {
                declaration.values.phone.as_ref() == Some(&row.phone) && declaration.id.as_str() != row.id
            };
            let index = apply.declarations.iter().position(by);
            let Some((index, owner)) = index.zip(TenantId::new(&row.id).ok()) else { continue };
            refused.push(RefusedField { index, field: "phone", problem: Problem::TakenBy(owner) });
        }
        Ok(refused)
    }

    async fn write(
        &self,
        transaction: &mut PgConnection,
        apply: &Apply,
        by: &Requester,
    ) -> Result<(), sqlx::Error> {
        for id in &self.deletions {
            deletion(id).fetch_optional(&mut *transaction).await?;
        }
        // Their numbers may be each other's.
        let query = sqlx::query!(
            "update tenants set phone = '~' || id where id = any($1)",
            &ids_to_column(&self.renumbered)
        );
        query.execute(&mut *transaction).await?;
        for new in &self.creations {
            creation(new).fetch_one(&mut *transaction).await?;
        }
        for (id, patch) in &self.changes {
            change(id, patch).fetch_optional(&mut *transaction).await?;
        }
        let query = sqlx::query!(
            "update tenants t set applied_fields = declared.value
            from jsonb_each($1::jsonb) as declared where t.id = declared.key",
            Json(&self.fields) as Json<&BTreeMap<TenantId, BTreeSet<String>>>,
        );
        query.execute(&mut *transaction).await?;
        let query = sqlx::query!(
            r#"select count(*) as "told!" from (
                select tenant_id from ask_to_run($1::text[], $2, false)
                union all select * from ask_to_stop($3::text[])) as told"#,
            &ids_to_column(&self.starts),
            RestartMode::Graceful as RestartMode,
            &ids_to_column(&self.stops),
        );
        query.fetch_one(&mut *transaction).await?;
        self.note(transaction, apply, by).await
    }

    /// Nothing where nothing is another than before.
    async fn note(
        &self,
        transaction: &mut PgConnection,
        apply: &Apply,
        by: &Requester,
    ) -> Result<(), sqlx::Error> {
        let changed =
            self.applied.iter().filter(|tenant| matches!(tenant.change, TenantChange::Changed(_))).count();
        let counts = [
            (self.creations.len(), "created"),
            (changed, "changed"),
            (self.deletions.len(), "deleted"),
            (self.starts.len(), "started"),
            (self.stops.len(), "stopped"),
        ];
        let told: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).collect();
        if told.is_empty() {
            return Ok(());
        }
        let told: Vec<_> = told.into_iter().map(|(count, what)| format!("{count} {what}")).collect();
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            "with policy_lock as materialized (
                select singleton from cluster_policy for no key update
            )
            insert into cluster_events (kind, text, requested_by, reason)
            select 'TENANTS_APPLIED', $1, $2, $3 from policy_lock",
            format!("apply {}: {}", apply.id, told.join(", ")),
            requested_by,
            reason,
        );
        query.execute(transaction).await.map(drop)
    }
}

struct Found {
    standings: HashMap<TenantId, Standing>,
    being_deleted: Vec<TenantId>,
}

async fn read_standings(transaction: &mut PgConnection, apply: &Apply) -> Result<Found, sqlx::Error> {
    let ids = ids_to_column(apply.ids());
    let query = sqlx::query!(
        r#"select t.id as "id!", w.desired as "desired?: DesiredState",
            t.applied_fields as "applied_fields!: Json<BTreeSet<String>>", t.proxy, t.proxy_user, t.proxy_password
        from tenants t left join worker_processes w on w.tenant_id = t.id where t.id = any($1)"#,
        &ids,
    );
    let mut being_deleted = Vec::new();
    let mut others = HashMap::new();
    for row in query.fetch_all(&mut *transaction).await? {
        let id = TenantId::new(&row.id).map_err(unreadable)?;
        match row.desired {
            Some(desired) => {
                let proxy = proxy_from_columns(row.proxy, (row.proxy_user, row.proxy_password));
                let proxy = proxy.map_err(unreadable)?;
                others.insert(id, (desired, row.applied_fields.0, proxy));
            }
            None => being_deleted.push(id),
        }
    }
    let mut standings = HashMap::new();
    for row in tenants_of(&ids).fetch_all(transaction).await? {
        let tenant = Tenant::try_from(row).map_err(unreadable)?;
        let Some((desired, applied_fields, proxy)) = others.remove(&tenant.id) else { continue };
        standings.insert(tenant.id.clone(), Standing { tenant, proxy, desired, applied_fields });
    }
    Ok(Found { standings, being_deleted })
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
