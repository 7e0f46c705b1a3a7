//! Tenants: who the customers are and what they want said in their name.

use std::{sync::Arc, time::Duration};

use roost_model::{
    BrowserSettings, Proxy, ProxyPlace, ResourceLimits, RestartSchedule, TenantSettings, Texts,
    TimingOverrides,
    ids::{NodeId, TenantId},
};
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Map,
    types::Json,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    LabelPatch, LabelSelector, Labels, Store, StoreError, VersionKind, WorkerStatus,
    columns::{
        LanguageCode, LogLevel, ResendPolicy, TemplateKind, bytes_to_column, limit_to_column,
        optional_unsigned, proxy_from_columns, restart_schedule_from_columns, seconds_to_column, unsigned,
    },
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// Names the tenant's profile and snapshots; another one when a tenant is made again under the same id.
    pub uid: Uuid,
    pub settings: Arc<TenantSettings>,
    /// What may be shown of it.
    pub proxy: Option<KnownProxy>,
    pub temporary_log_level: Option<TemporaryLogLevel>,
    pub labels: Labels,
    pub metadata: Labels,
    pub status: TenantStatus,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// A tenant's own proxy without its credentials; they are in [`crate::WorkerSpec`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownProxy {
    pub place: ProxyPlace,
    pub has_credentials: bool,
}

/// In place of the tenant's own level. It ends by itself: whoever reads it compares the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TemporaryLogLevel {
    pub level: roost_model::LogLevel,
    pub until: OffsetDateTime,
}

impl TemporaryLogLevel {
    /// Both are set or none.
    pub(crate) fn from_columns(level: Option<LogLevel>, until: Option<OffsetDateTime>) -> Option<Self> {
        Some(Self { level: level?.into(), until: until? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "tenant_status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    New,
    QrPending,
    Active,
    Paused,
    Error,
}

/// The caller has validated the fields; the id is its choice too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    pub id: TenantId,
    pub display_name: String,
    pub phone: String,
    pub template: roost_model::TemplateKind,
    pub language: roost_model::LanguageCode,
    pub texts: Texts,
    pub reply_limit_per_minute: u32,
    pub answer_within: Duration,
    pub resend_policy: roost_model::ResendPolicy,
    pub restart_schedule: Option<RestartSchedule>,
    pub qr_rotations: Option<u32>,
    pub limits: ResourceLimits,
    pub browser: BrowserSettings,
    pub proxy: Option<Proxy>,
    pub timing: TimingOverrides,
    pub log_level: Option<roost_model::LogLevel>,
    pub labels: Labels,
    pub metadata: Labels,
}

/// `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantPatch {
    pub display_name: Option<String>,
    pub phone: Option<String>,
    pub template: Option<roost_model::TemplateKind>,
    pub language: Option<roost_model::LanguageCode>,
    pub texts: Option<Texts>,
    pub reply_limit_per_minute: Option<u32>,
    pub answer_within: Option<Duration>,
    pub resend_policy: Option<roost_model::ResendPolicy>,
    /// `Some(None)` takes it off.
    pub restart_schedule: Option<Option<RestartSchedule>>,
    /// `Some(None)`: as its node says.
    pub qr_rotations: Option<Option<u32>>,
    pub limits: LimitsPatch,
    pub browser: Option<BrowserSettings>,
    /// `Some(None)` takes it off.
    pub proxy: Option<Option<Proxy>>,
    pub timing: Option<TimingOverrides>,
    /// `Some(None)`: as its node logs.
    pub log_level: Option<Option<roost_model::LogLevel>>,
    pub labels: LabelPatch,
    pub metadata: LabelPatch,
}

/// `Some(None)` is the node's own again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitsPatch {
    pub memory_request_bytes: Option<Option<u64>>,
    pub memory_limit_bytes: Option<Option<u64>>,
    pub cpu_limit_millicores: Option<Option<u32>>,
    pub process_limit: Option<Option<u32>>,
}

impl LimitsPatch {
    /// Of a tenant that had none of its own before.
    pub fn of_new(self) -> ResourceLimits {
        ResourceLimits {
            memory_request_bytes: self.memory_request_bytes.flatten(),
            memory_limit_bytes: self.memory_limit_bytes.flatten(),
            cpu_limit_millicores: self.cpu_limit_millicores.flatten(),
            process_limit: self.process_limit.flatten(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantFilter {
    pub status: Option<TenantStatus>,
    pub labels: LabelSelector,
    /// Of its worker.
    pub worker_status: Option<WorkerStatus>,
    pub node: Option<NodeId>,
}

impl Store {
    /// Creates the tenant with its session and its stopped worker. `AlreadyExists` names `id` or `phone`;
    /// `BeingDeleted`: there was one of this id, and what is left of it is still being removed.
    pub async fn create_tenant(&self, new: NewTenant) -> Result<Tenant, StoreError> {
        let created = self.one("create the tenant", creation(&new)).await;
        match created.map_err(|error| named_field(error, new.id.as_str(), &new.phone)) {
            Err(StoreError::AlreadyExists { field: "id", .. }) if !self.is_there(&new.id).await? => {
                Err(StoreError::BeingDeleted { tenant: new.id })
            }
            created => created?.try_into(),
        }
    }

    async fn is_there(&self, id: &TenantId) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"select exists(select from tenants where id = $1 and deleting_since is null) as "there!""#,
            id.as_str(),
        );
        Ok(self.one("look for the tenant", query).await?.there)
    }

    pub async fn get_tenant(&self, id: &TenantId) -> Result<Tenant, StoreError> {
        let row = self.maybe("get the tenant", tenants_of(&[id.to_string()])).await?;
        row.ok_or_else(|| StoreError::no_tenant(id))?.try_into()
    }

    /// Ordered by id, from the one after `after` on.
    pub async fn list_tenants(
        &self,
        filter: &TenantFilter,
        after: Option<TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>, StoreError> {
        let query = sqlx::query_as!(
            TenantRow,
            r#"select id, uid, display_name, phone, template as "template: TemplateKind",
                language as "language: LanguageCode", status as "status: TenantStatus",
                texts as "texts: Json<Texts>", reply_limit_per_minute, answer_within_s,
                resend_policy as "resend_policy: ResendPolicy", restart_cron, restart_time_zone, restart_jitter_s,
                memory_request_bytes, memory_limit_bytes, cpu_limit_millicores, process_limit, browser as "browser: Json<BrowserSettings>", proxy, proxy_user is not null as "has_proxy_login!", timing as "timing: Json<TimingOverrides>", labels as "labels: Json<Labels>",
                log_level as "log_level: LogLevel", temporary_log_level as "temporary_log_level: LogLevel", temporary_log_level_until,
                metadata as "metadata: Json<Labels>", qr_rotations, created_at, updated_at
            from tenants
            where id > $1 and deleting_since is null and ($2::tenant_status is null or status = $2)
                and labels @> $4 and not labels @> any ($5::jsonb[]) and labels ?& $6 and not labels ?| $7
                and ($8::worker_status is null and $9::text is null or exists (
                    select from worker_processes w where w.tenant_id = tenants.id
                        and ($8 is null or w.status = $8) and ($9 is null or w.node = $9)))
            order by id limit $3"#,
            after.as_ref().map_or("", TenantId::as_str),
            filter.status as Option<TenantStatus>,
            i64::from(limit),
            Json(&filter.labels.equal) as Json<&Labels>,
            filter.labels.unequal() as Vec<Json<Labels>>,
            &filter.labels.present,
            &filter.labels.absent,
            filter.worker_status as Option<WorkerStatus>,
            filter.node.as_ref().map(NodeId::as_str),
        );
        self.all("list the tenants", query).await?.into_iter().map(Tenant::try_from).collect()
    }

    /// Changes the fields that are set; the worker is told. `AlreadyExists` names `phone`.
    pub async fn update_tenant(&self, id: &TenantId, patch: TenantPatch) -> Result<Tenant, StoreError> {
        let updated = self.maybe("update the tenant", change(id, &patch)).await;
        let phone = patch.phone.as_deref().unwrap_or_default();
        let row = updated.map_err(|error| named_field(error, id.as_str(), phone))?;
        row.ok_or_else(|| StoreError::no_tenant(id))?.try_into()
    }
}

/// A statement that answers with tenants.
type TenantStatement<F> = Map<'static, Postgres, F, PgArguments>;

/// Makes the tenant with its session and its stopped worker.
pub(crate) fn creation(
    new: &NewTenant,
) -> TenantStatement<impl FnMut(PgRow) -> Result<TenantRow, sqlx::Error> + Send + use<>> {
    let login = new.proxy.as_ref().and_then(|proxy| proxy.login.as_ref());
    sqlx::query_as!(
        TenantRow,
        r#"with tenant as (
            insert into tenants (
                id, display_name, phone, template, language, texts, reply_limit_per_minute, answer_within_s,
                resend_policy, labels, metadata, restart_cron, restart_time_zone, restart_jitter_s,
                memory_request_bytes, memory_limit_bytes, cpu_limit_millicores, process_limit, qr_rotations, browser,
                proxy, proxy_user, proxy_password, timing, log_level)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
            returning *
        ), session as (
            insert into whatsapp_sessions (tenant_id) select id from tenant
        ), worker as (
            insert into worker_processes (tenant_id) select id from tenant
        ), heartbeat as (
            insert into worker_heartbeats (tenant_id) select id from tenant
        )
        select id, uid, display_name, phone, template as "template: TemplateKind",
            language as "language: LanguageCode", status as "status: TenantStatus",
            texts as "texts: Json<Texts>", reply_limit_per_minute, answer_within_s,
            resend_policy as "resend_policy: ResendPolicy", restart_cron, restart_time_zone, restart_jitter_s,
            memory_request_bytes, memory_limit_bytes, cpu_limit_millicores, process_limit,
            browser as "browser: Json<BrowserSettings>", proxy, proxy_user is not null as "has_proxy_login!", timing as "timing: Json<TimingOverrides>", labels as "labels: Json<Labels>",
            log_level as "log_level: LogLevel", temporary_log_level as "temporary_log_level: LogLevel", temporary_log_level_until,
            metadata as "metadata: Json<Labels>", qr_rotations, created_at, updated_at
        from tenant"#,
        new.id.as_str(),
        new.display_name,
        new.phone,
        TemplateKind::from(new.template) as TemplateKind,
        LanguageCode::from(new.language) as LanguageCode,
        Json(&new.texts) as Json<&Texts>,
        limit_to_column(new.reply_limit_per_minute),
        seconds_to_column(new.answer_within),
        ResendPolicy::from(new.resend_policy) as ResendPolicy,
        Json(&new.labels) as Json<&Labels>,
        Json(&new.metadata) as Json<&Labels>,
        new.restart_schedule.as_ref().map(|schedule| schedule.cron.as_str()),
        new.restart_schedule.as_ref().map(|schedule| schedule.time_zone.as_str()),
        new.restart_schedule.as_ref().map(|schedule| seconds_to_column(schedule.jitter)),
        new.limits.memory_request_bytes.map(bytes_to_column),
        new.limits.memory_limit_bytes.map(bytes_to_column),
        new.limits.cpu_limit_millicores.map(limit_to_column),
        new.limits.process_limit.map(limit_to_column),
        new.qr_rotations.map(limit_to_column),
        Json(&new.browser) as Json<&BrowserSettings>,
        new.proxy.as_ref().map(|proxy| proxy.place.to_string()),
        login.map(|login| login.user.as_str()),
        login.map(|login| login.password.as_str()),
        Json(&new.timing) as Json<&TimingOverrides>,
        new.log_level.map(LogLevel::from) as Option<LogLevel>,
    )
}

/// Those of these that there are, in no order.
pub(crate) fn tenants_of(
    ids: &[String],
) -> TenantStatement<impl FnMut(PgRow) -> Result<TenantRow, sqlx::Error> + Send + use<>> {
    sqlx::query_as!(
        TenantRow,
        r#"select id, uid, display_name, phone, template as "template: TemplateKind",
            language as "language: LanguageCode", status as "status: TenantStatus",
            texts as "texts: Json<Texts>", reply_limit_per_minute, answer_within_s,
            resend_policy as "resend_policy: ResendPolicy", restart_cron, restart_time_zone, restart_jitter_s,
            memory_request_bytes, memory_limit_bytes, cpu_limit_millicores, process_limit,
            browser as "browser: Json<BrowserSettings>", proxy, proxy_user is not null as "has_proxy_login!", timing as "timing: Json<TimingOverrides>", labels as "labels: Json<Labels>",
            log_level as "log_level: LogLevel", temporary_log_level as "temporary_log_level: LogLevel", temporary_log_level_until,
            metadata as "metadata: Json<Labels>", qr_rotations, created_at, updated_at
        from tenants where id = any($1) and deleting_since is null"#,
        ids,
    )
}

/// Changes the fields that are set, and tells the worker.
pub(crate) fn change(
    id: &TenantId,
    patch: &TenantPatch,
) -> TenantStatement<impl FnMut(PgRow) -> Result<TenantRow, sqlx::Error> + Send + use<>> {
    let restart_schedule = patch.restart_schedule.as_ref().and_then(Option::as_ref);
    let proxy = patch.proxy.as_ref().and_then(Option::as_ref);
    let login = proxy.and_then(|proxy| proxy.login.as_ref());
    sqlx::query_as!(
        TenantRow,
        r#"with worker as (
            update worker_processes set spec_revision = nextval('spec_revisions'), updated_at = now()
            where tenant_id = $1
            returning tenant_id
        )
        update tenants t set
            display_name = coalesce($2, t.display_name),
            phone = coalesce($3, t.phone),
            template = coalesce($4, t.template),
            language = coalesce($5, t.language),
            texts = coalesce($6, t.texts),
            reply_limit_per_minute = coalesce($7, t.reply_limit_per_minute),
            answer_within_s = coalesce($8, t.answer_within_s),
            resend_policy = coalesce($9, t.resend_policy),
            labels = (case when $10 then '{}' else t.labels end) - $11::text[] || $12::jsonb,
            metadata = (case when $13 then '{}' else t.metadata end) - $14::text[] || $15::jsonb,
            restart_cron = case when $16 then $17 else t.restart_cron end,
            restart_time_zone = case when $16 then $18 else t.restart_time_zone end,
            restart_jitter_s = case when $16 then $19 else t.restart_jitter_s end,
            memory_request_bytes = case when $20 then $21 else t.memory_request_bytes end,
            memory_limit_bytes = case when $22 then $23 else t.memory_limit_bytes end,
            cpu_limit_millicores = case when $24 then $25 else t.cpu_limit_millicores end,
            process_limit = case when $26 then $27 else t.process_limit end,
            qr_rotations = case when $28 then $29 else t.qr_rotations end,
            browser = coalesce($30, t.browser),
            proxy = case when $31 then $32 else t.proxy end,
            proxy_user = case when $31 then $33 else t.proxy_user end,
            proxy_password = case when $31 then $34 else t.proxy_password end,
            timing = coalesce($35, t.timing),
            log_level = case when $36 then $37 else t.log_level end,
            updated_at = now()
        from worker where t.id = worker.tenant_id
        returning id, uid, display_name, phone, template as "template: TemplateKind",
            language as "language: LanguageCode", status as "status: TenantStatus",
            texts as "texts: Json<Texts>", reply_limit_per_minute, answer_within_s,
            resend_policy as "resend_policy: ResendPolicy", restart_cron, restart_time_zone, restart_jitter_s,
            memory_request_bytes, memory_limit_bytes, cpu_limit_millicores, process_limit,
            browser as "browser: Json<BrowserSettings>", proxy, proxy_user is not null as "has_proxy_login!", timing as "timing: Json<TimingOverrides>", labels as "labels: Json<Labels>",
            log_level as "log_level: LogLevel", temporary_log_level as "temporary_log_level: LogLevel", temporary_log_level_until,
            metadata as "metadata: Json<Labels>", qr_rotations, created_at, t.updated_at"#,
        id.as_str(),
        patch.display_name.as_deref(),
        patch.phone.as_deref(),
        patch.template.map(TemplateKind::from) as Option<TemplateKind>,
        patch.language.map(LanguageCode::from) as Option<LanguageCode>,
        patch.texts.as_ref().map(Json) as Option<Json<&Texts>>,
        patch.reply_limit_per_minute.map(limit_to_column),
        patch.answer_within.map(seconds_to_column),
        patch.resend_policy.map(ResendPolicy::from) as Option<ResendPolicy>,
        patch.labels.replace,
        &patch.labels.remove,
        Json(&patch.labels.set) as Json<&Labels>,
        patch.metadata.replace,
        &patch.metadata.remove,
        Json(&patch.metadata.set) as Json<&Labels>,
        patch.restart_schedule.is_some(),
        restart_schedule.map(|schedule| schedule.cron.as_str()),
        restart_schedule.map(|schedule| schedule.time_zone.as_str()),
        restart_schedule.map(|schedule| seconds_to_column(schedule.jitter)),
        patch.limits.memory_request_bytes.is_some(),
        patch.limits.memory_request_bytes.flatten().map(bytes_to_column),
        patch.limits.memory_limit_bytes.is_some(),
        patch.limits.memory_limit_bytes.flatten().map(bytes_to_column),
        patch.limits.cpu_limit_millicores.is_some(),
        patch.limits.cpu_limit_millicores.flatten().map(limit_to_column),
        patch.limits.process_limit.is_some(),
        patch.limits.process_limit.flatten().map(limit_to_column),
        patch.qr_rotations.is_some(),
        patch.qr_rotations.flatten().map(limit_to_column),
        patch.browser.as_ref().map(Json) as Option<Json<&BrowserSettings>>,
        patch.proxy.is_some(),
        proxy.map(|proxy| proxy.place.to_string()),
        login.map(|login| login.user.as_str()),
        login.map(|login| login.password.as_str()),
        patch.timing.as_ref().map(Json) as Option<Json<&TimingOverrides>>,
        patch.log_level.is_some(),
        patch.log_level.flatten().map(LogLevel::from) as Option<LogLevel>,
    )
}

/// As the columns come, before they are checked.
pub(crate) struct TenantRow {
    id: String,
    uid: Uuid,
    display_name: String,
    phone: String,
    template: TemplateKind,
    language: LanguageCode,
    status: TenantStatus,
    texts: Json<Texts>,
    reply_limit_per_minute: i32,
    answer_within_s: i32,
    resend_policy: ResendPolicy,
    restart_cron: Option<String>,
    restart_time_zone: Option<String>,
    restart_jitter_s: Option<i32>,
    qr_rotations: Option<i32>,
    memory_request_bytes: Option<i64>,
    memory_limit_bytes: Option<i64>,
    cpu_limit_millicores: Option<i32>,
    process_limit: Option<i32>,
    browser: Json<BrowserSettings>,
    proxy: Option<String>,
    has_proxy_login: bool,
    timing: Json<TimingOverrides>,
    log_level: Option<LogLevel>,
    temporary_log_level: Option<LogLevel>,
    temporary_log_level_until: Option<OffsetDateTime>,
    labels: Json<Labels>,
    metadata: Json<Labels>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<TenantRow> for Tenant {
    type Error = StoreError;

    fn try_from(row: TenantRow) -> Result<Self, StoreError> {
        let limit = unsigned("reply_limit_per_minute", row.reply_limit_per_minute.into())?;
        let answer_within_s = unsigned("answer_within_s", row.answer_within_s.into())?;
        let proxy = proxy_from_columns(row.proxy, (None, None))?;
        Ok(Self {
            id: TenantId::new(&row.id).map_err(StoreError::corrupt_id)?,
            uid: row.uid,
            settings: Arc::new(TenantSettings {
                display_name: row.display_name,
                phone: row.phone,
                template: row.template.into(),
                language: row.language.into(),
                texts: row.texts.0,
                reply_limit_per_minute: u32::try_from(limit).unwrap_or(u32::MAX),
                answer_within: Duration::from_secs(answer_within_s),
                resend_policy: row.resend_policy.into(),
                restart_schedule: restart_schedule_from_columns(
                    row.restart_cron,
                    row.restart_time_zone,
                    row.restart_jitter_s,
                )?,
                qr_rotations: row.qr_rotations.and_then(|codes| codes.try_into().ok()),
                limits: ResourceLimits {
                    memory_request_bytes: optional_unsigned(row.memory_request_bytes)?,
                    memory_limit_bytes: optional_unsigned(row.memory_limit_bytes)?,
                    cpu_limit_millicores: optional_unsigned(row.cpu_limit_millicores.map(i64::from))?,
                    process_limit: optional_unsigned(row.process_limit.map(i64::from))?,
                },
                browser: row.browser.0,
                timing: row.timing.0,
                log_level: row.log_level.map(Into::into),
            }),
            temporary_log_level: TemporaryLogLevel::from_columns(
                row.temporary_log_level,
                row.temporary_log_level_until,
            ),
            proxy: proxy.map(|proxy| KnownProxy { place: proxy.place, has_credentials: row.has_proxy_login }),
            labels: row.labels.0,
            metadata: row.metadata.0,
            status: row.status,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub(crate) fn named_field(error: StoreError, id: &str, phone: &str) -> StoreError {
    match error.unique_violation() {
        Some("tenants_pkey") => StoreError::AlreadyExists { field: "id", value: id.to_owned() },
        Some("tenants_phone_key") => StoreError::AlreadyExists { field: "phone", value: phone.to_owned() },
        _ => match error.check_violation() {
            Some("tenants_labels_size") => StoreError::TooLarge { field: "labels" },
            Some("tenants_metadata_size") => StoreError::TooLarge { field: "metadata" },
            Some("tenants_memory") => StoreError::RequestOverLimit,
            Some("tenants_page_version") => StoreError::NoVersion { kind: VersionKind::Page.noun() },
            Some("tenants_library_version") => StoreError::NoVersion { kind: VersionKind::Library.noun() },
            _ => error,
        },
    }
}
