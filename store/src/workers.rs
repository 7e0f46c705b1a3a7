//! Workers as their operators see and steer them. What the owner of a worker says about it is in [`crate::reports`].
//!
//! ```text
//!   desired  STOPPED --start--> RUNNING --stop--> STOPPED       (only operators write it)
//!   status   STOPPED --start--> RUNNING --report or mark_stale--> ERROR --report, heartbeat, start, restart--> RUNNING
//! ```
//!
//! A start sets the status RUNNING at once and `expected_since` to now: from then on the worker must be seen, and a
//! worker that no node takes becomes ERROR by stale detection like one that has died; one that goes on saying what it waits for
//! does not.

use roost_model::{
    Proxy, ResourceUsage, RestartSchedule,
    ids::{Generation, NodeId, SessionNumber, SpecRevision, TenantId},
};
use sqlx::types::Json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    ChosenVersions, Condition, ConditionKind, LabelSelector, Labels, PairingOrder, SessionStatus,
    SnapshotPointer, Store, StoreError, Tenant, WorkerStatus,
    columns::{
        ids_to_column, optional_id, optional_unsigned, proxy_from_columns, restart_schedule_from_columns,
        unsigned,
    },
    pairing::ASKED_WITHIN,
    snapshots::pointer_from_columns,
    worker_figures::usage_from_columns,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    pub tenant: TenantId,
    /// `roost-worker-<tenant>`
    pub name: String,
    pub status: WorkerStatus,
    pub desired: DesiredState,
    /// The owner by the controller's last decision.
    pub node: Option<NodeId>,
    /// The only node that may have it.
    pub pin: Option<NodeId>,
    pub generation: Generation,
    pub spec_revision: SpecRevision,
    /// Restarts by operators and by the worker itself.
    pub restarts: u64,
    /// How often its owner took the session back from a newer connection.
    pub conflicts: u64,
    /// Replies that were sent again because they may have been sent before and the page did not know of them.
    pub resends: u64,
    /// Empty when all is well.
    pub last_error: String,
    pub last_seen_at: Option<OffsetDateTime>,
    /// Of its browser, when it was last seen.
    pub usage: Option<ResourceUsage>,
    /// Taken in and sent before it was last seen.
    pub messages_per_minute: Option<u32>,
    /// Of its tenant.
    pub labels: Labels,
    pub session_status: SessionStatus,
    pub condition: Condition,
    /// Of its tenant, as is `uid`, by which its restarts are spread.
    pub restart_schedule: Option<RestartSchedule>,
    pub uid: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "desired_state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DesiredState {
    Running,
    Stopped,
}

/// How an operator asked for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "restart_mode", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RestartMode {
    /// Close the browser, keep the session.
    Graceful,
    /// Kill the browser, keep the session.
    Force,
    /// Kill the browser, forget the session.
    ForceWipe,
    /// Unlink the device at WhatsApp, forget the session.
    Logout,
}

/// What the owner of a worker needs to know to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSpec {
    pub tenant: Tenant,
    /// With its credentials, which are read for the owner alone.
    pub proxy: Option<Proxy>,
    pub desired: DesiredState,
    pub generation: Generation,
    pub spec_revision: SpecRevision,
    /// Grows with each restart asked for. The owner carries out those that come while it owns the worker; what was
    /// asked of an earlier owner is done by the start itself, but for `forget_session`.
    pub restart_seq: i64,
    pub restart_mode: RestartMode,
    /// `ForceWipe` or `Logout` was asked for and nobody has carried it out: the owner does so, even one that has just
    /// started, and a local profile must not be resumed for good. Ends with `clear_snapshot` or with a QR code shown.
    pub forget_session: bool,
    pub snapshot: Option<SnapshotPointer>,
    /// The next start is to go back to another snapshot: see [`Store::ordered_restore`].
    pub restore_ordered: bool,
    /// Nobody scans its codes: no browser is started until it is asked to start anew.
    pub scan_paused: bool,
    /// Somebody waits for a code that is typed on the phone.
    pub pairing: Option<PairingOrder>,
    /// What its browser was to be given when this was read: [`Store::chosen_versions`] has what it is to be given now.
    pub versions: ChosenVersions,
    /// The session that there is now, or that is to be.
    pub session_number: SessionNumber,
    /// Those that have been down longest start first.
    pub last_seen_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerFilter {
    pub node: Option<NodeId>,
    pub status: Option<WorkerStatus>,
    /// Of its tenant.
    pub labels: LabelSelector,
}

impl WorkerFilter {
    /// What [`Store::list_workers`] would list.
    pub fn takes(&self, worker: &Worker) -> bool {
        self.node.as_ref().is_none_or(|node| worker.node.as_ref() == Some(node))
            && self.status.is_none_or(|status| worker.status == status)
            && self.labels.takes(&worker.labels)
    }
}

impl Store {
    /// Asks for the worker to run. The flag says that it was running or starting already and nothing was changed.
    pub async fn start_worker(&self, id: &TenantId) -> Result<(Worker, bool), StoreError> {
        let asked = self.ask_to_run(id, RestartMode::Graceful, Asked::IfNotRunning).await?;
        Ok((self.get_worker(id).await?, !asked))
    }

    /// Restarts the worker gracefully, or starts it; `last_error` is cleared.
    pub async fn restart_worker(&self, id: &TenantId) -> Result<Worker, StoreError> {
        self.ask_to_run(id, RestartMode::Graceful, Asked::InAnyCase).await?;
        self.get_worker(id).await
    }

    /// Has the browser killed and the worker started afresh; the tenant is QR_PENDING until it is connected.
    pub async fn force_restart_worker(&self, id: &TenantId, wipe: bool) -> Result<Worker, StoreError> {
        let mode = if wipe { RestartMode::ForceWipe } else { RestartMode::Force };
        self.ask_to_run(id, mode, Asked::InAnyCase).await?;
        self.get_worker(id).await
    }

    /// Asks for the worker to stop gracefully. Its session status follows when its owner has stopped it.
    pub async fn stop_worker(&self, id: &TenantId) -> Result<Worker, StoreError> {
        let query = sqlx::query!(
            r#"select tenant_id as "tenant_id!" from ask_to_stop(array[$1::text]) as stopped(tenant_id)"#,
            id.as_str(),
        );
        self.maybe("stop the worker", query).await?.ok_or_else(|| StoreError::no_tenant(id))?;
        self.get_worker(id).await
    }

    pub async fn get_worker(&self, id: &TenantId) -> Result<Worker, StoreError> {
        let found = self.workers_of([id]).await?;
        found.into_iter().next().ok_or_else(|| StoreError::no_tenant(id))
    }

    /// Of those of these tenants that there are, in no order. A few thousand at once.
    pub async fn workers_of<'a>(
        &self,
        tenants: impl IntoIterator<Item = &'a TenantId>,
    ) -> Result<Vec<Worker>, StoreError> {
        let query = sqlx::query_as!(
            WorkerRow,
            r#"select w.tenant_id, w.name, w.status as "status: WorkerStatus", w.desired as "desired: DesiredState",
                w.node, w.pin, w.generation, w.spec_revision, w.restarts, w.conflicts, w.resends, w.last_error,
                h.last_seen_at, h.memory_bytes, h.cpu_millicores, h.processes, h.messages_per_minute, s.status as "session_status: SessionStatus", w.stale, w.updated_at,
                w.condition as "condition: ConditionKind", w.condition_reason, w.condition_since,
                h.evident_since, coalesce(h.evident_until > now(), false) as "is_evident!",
                t.uid, t.labels as "labels: Json<Labels>", t.restart_cron, t.restart_time_zone, t.restart_jitter_s
            from worker_processes w join whatsapp_sessions s using (tenant_id) join worker_heartbeats h using (tenant_id)
                join tenants t on t.id = w.tenant_id
            where w.tenant_id = any($1)"#,
            &ids_to_column(tenants),
        );
        self.all("get workers", query).await?.into_iter().map(Worker::try_from).collect()
    }

    /// Ordered by tenant id, from the one after `after` on.
    pub async fn list_workers(
        &self,
        filter: &WorkerFilter,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Worker>, StoreError> {
        let query = sqlx::query_as!(
            WorkerRow,
            r#"select w.tenant_id, w.name, w.status as "status: WorkerStatus", w.desired as "desired: DesiredState",
                w.node, w.pin, w.generation, w.spec_revision, w.restarts, w.conflicts, w.resends, w.last_error,
                h.last_seen_at, h.memory_bytes, h.cpu_millicores, h.processes, h.messages_per_minute, s.status as "session_status: SessionStatus", w.stale, w.updated_at,
                w.condition as "condition: ConditionKind", w.condition_reason, w.condition_since,
                h.evident_since, coalesce(h.evident_until > now(), false) as "is_evident!",
                t.uid, t.labels as "labels: Json<Labels>", t.restart_cron, t.restart_time_zone, t.restart_jitter_s
            from worker_processes w join whatsapp_sessions s using (tenant_id) join worker_heartbeats h using (tenant_id)
                join tenants t on t.id = w.tenant_id
            where w.tenant_id > $1 and ($2::text is null or w.node = $2)
                and ($3::worker_status is null or w.status = $3)
                and ($5 or t.labels @> $6 and not t.labels @> any ($7::jsonb[]) and t.labels ?& $8 and not t.labels ?| $9)
            order by w.tenant_id limit $4"#,
            after.as_ref().map_or("", TenantId::as_str),
            filter.node.as_ref().map(NodeId::as_str),
            filter.status as Option<WorkerStatus>,
            i64::from(limit),
            filter.labels == LabelSelector::default(),
            Json(&filter.labels.equal) as Json<&Labels>,
            filter.labels.unequal() as Vec<Json<Labels>>,
            &filter.labels.present,
            &filter.labels.absent,
        );
        self.all("list the workers", query).await?.into_iter().map(Worker::try_from).collect()
    }

    pub async fn count_workers(&self, filter: &WorkerFilter) -> Result<u64, StoreError> {
        let query = sqlx::query!(
            r#"select count(*) as "workers!" from worker_processes
            where ($1::text is null or node = $1) and ($2::worker_status is null or status = $2)
                and ($3 or exists (
                    select from tenants t where t.id = tenant_id and t.labels @> $4 and not t.labels @> any ($5::jsonb[])
                        and t.labels ?& $6 and not t.labels ?| $7))"#,
            filter.node.as_ref().map(NodeId::as_str),
            filter.status as Option<WorkerStatus>,
            filter.labels == LabelSelector::default(),
            Json(&filter.labels.equal) as Json<&Labels>,
            filter.labels.unequal() as Vec<Json<Labels>>,
            &filter.labels.present,
            &filter.labels.absent,
        );
        unsigned("workers", self.one("count the workers", query).await?.workers)
    }

    /// What the owner needs. The tenant is read after the rest, so it is as new as `spec_revision` says or newer.
    pub async fn worker_spec(&self, id: &TenantId) -> Result<WorkerSpec, StoreError> {
        let query = sqlx::query!(
            r#"select w.desired as "desired: DesiredState", w.generation, w.spec_revision, w.restart_seq,
                w.restart_mode as "restart_mode: RestartMode", s.forget, s.snapshot_manifest,
                s.snapshot_generation, s.snapshot_sequence, s.snapshot_clean, s.snapshot_at,
                s.restore_generation is not null as "restore_ordered!", s.session_number, h.last_seen_at,
                s.scan_paused_at is not null as "scan_paused!", p.id as "pairing_id?", p.phone as "pairing_phone?",
                t.proxy, t.proxy_user, t.proxy_password, chosen_versions(t) as "versions!: Json<ChosenVersions>"
            from worker_processes w join whatsapp_sessions s using (tenant_id) join worker_heartbeats h using (tenant_id)
                join tenants t on t.id = w.tenant_id
                left join pairing_requests p on p.tenant_id = w.tenant_id and p.code is null and p.refusal is null
                    and p.asked_at > now() - make_interval(secs => $2)
            where w.tenant_id = $1"#,
            id.as_str(),
            ASKED_WITHIN.as_secs_f64(),
        );
        let row =
            self.maybe("get the worker's spec", query).await?.ok_or_else(|| StoreError::no_tenant(id))?;
        let snapshot = pointer_from_columns(
            row.snapshot_manifest,
            row.snapshot_generation,
            row.snapshot_sequence,
            row.snapshot_clean,
            row.snapshot_at,
        )?;
        let proxy = proxy_from_columns(row.proxy, (row.proxy_user, row.proxy_password))?;
        Ok(WorkerSpec {
            tenant: self.get_tenant(id).await?,
            proxy,
            desired: row.desired,
            generation: Generation(row.generation),
            spec_revision: SpecRevision(row.spec_revision),
            restart_seq: row.restart_seq,
            restart_mode: row.restart_mode,
            forget_session: row.forget,
            snapshot,
            restore_ordered: row.restore_ordered,
            scan_paused: row.scan_paused,
            pairing: row.pairing_id.zip(row.pairing_phone).map(|(id, phone)| PairingOrder { id, phone }),
            versions: row.versions.0,
            session_number: SessionNumber(row.session_number),
            last_seen_at: row.last_seen_at,
        })
    }

    /// Start and every kind of restart; answers whether anything was asked.
    async fn ask_to_run(&self, id: &TenantId, mode: RestartMode, asked: Asked) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"select was_asked as "was_asked!" from ask_to_run(array[$1::text], $2, $3)"#,
            id.as_str(),
            mode as RestartMode,
            matches!(asked, Asked::InAnyCase),
        );
        let row = self.maybe("ask the worker to run", query).await?;
        row.map(|row| row.was_asked).ok_or_else(|| StoreError::no_tenant(id))
    }
}

#[derive(Clone, Copy)]
enum Asked {
    IfNotRunning,
    InAnyCase,
}

/// As the columns come, before they are checked.
struct WorkerRow {
    tenant_id: String,
    name: String,
    status: WorkerStatus,
    desired: DesiredState,
    node: Option<String>,
    pin: Option<String>,
    generation: i64,
    spec_revision: i64,
    restarts: i64,
    conflicts: i64,
    resends: i64,
    last_error: String,
    last_seen_at: Option<OffsetDateTime>,
    memory_bytes: Option<i64>,
    cpu_millicores: Option<i32>,
    processes: Option<i32>,
    messages_per_minute: Option<i32>,
    labels: Json<Labels>,
    session_status: SessionStatus,
    stale: bool,
    updated_at: OffsetDateTime,
    condition: ConditionKind,
    condition_reason: String,
    condition_since: OffsetDateTime,
    evident_since: Option<OffsetDateTime>,
    is_evident: bool,
    uid: Uuid,
    restart_cron: Option<String>,
    restart_time_zone: Option<String>,
    restart_jitter_s: Option<i32>,
}

impl WorkerRow {
    /// What its node said last, as far as it still holds: that it answers only on evidence that is fresh by the database's
    /// clock, whatever has become of the node since. One that said what it waits for may be waiting still.
    fn condition(&self) -> Condition {
        let kind = self.condition;
        match kind {
            ConditionKind::Answering if !self.is_evident => self.out_of_sight(),
            // As programs of before say that all is well.
            ConditionKind::None if self.stale => self.out_of_sight(),
            ConditionKind::Answering => {
                let since =
                    self.evident_since.map_or(self.condition_since, |at| at.max(self.condition_since));
                Condition { kind, reason: String::new(), since }
            }
            _ => Condition { kind, reason: self.condition_reason.clone(), since: self.condition_since },
        }
    }

    fn out_of_sight(&self) -> Condition {
        let kind = ConditionKind::WaitingForNode;
        match (&self.node, self.last_seen_at) {
            (Some(node), Some(seen)) => {
                let seen_at = seen.replace_nanosecond(0).unwrap_or(seen);
                let seen_at = seen_at.format(&Rfc3339).unwrap_or_else(|_| seen_at.to_string());
                let reason = format!("not seen since {seen_at}: node {node} reports nothing of it");
                Condition { kind, reason, since: seen.max(self.condition_since) }
            }
            _ => Condition { kind, reason: self.last_error.clone(), since: self.updated_at },
        }
    }
}

impl TryFrom<WorkerRow> for Worker {
    type Error = StoreError;

    fn try_from(row: WorkerRow) -> Result<Self, StoreError> {
        let is_wanted = row.desired == DesiredState::Running;
        Ok(Self {
            condition: row.condition(),
            usage: usage_from_columns(is_wanted, row.memory_bytes, row.cpu_millicores, row.processes)?,
            messages_per_minute: optional_unsigned(
                row.messages_per_minute.filter(|_| is_wanted).map(i64::from),
            )?,
            labels: row.labels.0,
            tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
            name: row.name,
            status: row.status,
            desired: row.desired,
            node: optional_id(row.node.as_deref(), NodeId::new)?,
            pin: optional_id(row.pin.as_deref(), NodeId::new)?,
            generation: Generation(row.generation),
            spec_revision: SpecRevision(row.spec_revision),
            restarts: unsigned("restarts", row.restarts)?,
            conflicts: unsigned("conflicts", row.conflicts)?,
            resends: unsigned("resends", row.resends)?,
            last_error: row.last_error,
            last_seen_at: row.last_seen_at,
            session_status: row.session_status,
            restart_schedule: restart_schedule_from_columns(
                row.restart_cron,
                row.restart_time_zone,
                row.restart_jitter_s,
            )?,
            uid: row.uid,
        })
    }
}
