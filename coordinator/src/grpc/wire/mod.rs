//! The store's rows and the registry's records as messages of the API.

mod access;
mod apply;
mod chat;
mod cluster;
mod imports;
mod member;
mod node;
mod operation;
mod session;
mod setup;
mod snapshot;
mod timestamp;
mod user;
mod version;
mod worker_description;
mod worker_log;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use prost_types::Timestamp;
use roost_model::{
    BrowserSettings, LanguageCode, MenuItem, ResendPolicy, RestartSchedule, TemplateKind, Texts,
    TimingOverrides,
};
use roost_proto::v1;
use roost_store::{
    Condition, ConditionKind, DeadLetter, DesiredState, Direction, KnownProxy, Message, MessageState,
    SessionStatus, Tenant, TenantStatus, Worker, WorkerFigures, WorkerStatus,
};
use time::OffsetDateTime;

use crate::app::watch::WorkerNews;

pub use access::{audit_entry, caller, look, token};
pub use apply::{applied_tenant, refused_fields};
pub use chat::chat;
pub use cluster::{cluster_status, event, policy};
pub use imports::session_import;
pub use member::member;
pub use node::node;
pub use operation::{
    blocked_moves, fleet_plan, made_move, operation, operation_state_filter, placement_explanation, plan,
    settings_plan, worker_failure, worker_failures,
};
pub use session::{pairing_code, qr_form, qr_picture, session};
pub use setup::setup_request;
pub use snapshot::{session_snapshot, snapshot_orphan};
pub use timestamp::timestamp;
pub use user::user;
pub use version::{rollout_plan, version};
pub use worker_description::{condition_change, worker_description};
pub use worker_log::{log_item, log_level_of, tenant_log_level};

pub fn tenant(row: Tenant) -> v1::Tenant {
    let log_level = tenant_log_level(&row, OffsetDateTime::now_utc());
    let settings = Arc::unwrap_or_clone(row.settings);
    v1::Tenant {
        id: row.id.into(),
        display_name: settings.display_name,
        phone: settings.phone,
        template: template(settings.template).into(),
        language: language(settings.language).into(),
        status: tenant_status(row.status).into(),
        texts: Some(texts(settings.texts)),
        // The column is an integer of the same width.
        reply_limit_per_minute: Some(i32::try_from(settings.reply_limit_per_minute).unwrap_or(i32::MAX)),
        create_time: Some(timestamp(row.created_at)),
        update_time: Some(timestamp(row.updated_at)),
        answer_within: prost_types::Duration::try_from(settings.answer_within).ok(),
        resend_policy: resend_policy(settings.resend_policy).into(),
        labels: row.labels.into_iter().collect(),
        metadata: row.metadata.into_iter().collect(),
        restart_schedule: settings.restart_schedule.map(restart_schedule),
        qr_rotations: settings.qr_rotations.and_then(|codes| codes.try_into().ok()),
        memory_request_bytes: settings.limits.memory_request_bytes.map(amount),
        memory_limit_bytes: settings.limits.memory_limit_bytes.map(amount),
        cpu_limit_millicores: settings.limits.cpu_limit_millicores.map(count),
        process_limit: settings.limits.process_limit.map(count),
        browser: browser_settings(settings.browser),
        proxy: row.proxy.map(proxy),
        timing: timing(settings.timing),
        log_level,
    }
}

fn proxy(known: KnownProxy) -> v1::Proxy {
    v1::Proxy { url: known.place.to_string(), has_credentials: known.has_credentials }
}

/// One of which nothing is set is none.
fn browser_settings(settings: BrowserSettings) -> Option<v1::BrowserSettings> {
    let BrowserSettings { time_zone, languages, user_agent, page_version, library_version } = settings;
    let [time_zone, user_agent, page_version, library_version] =
        [time_zone, user_agent, page_version, library_version].map(Option::unwrap_or_default);
    let told = v1::BrowserSettings { time_zone, languages, user_agent, page_version, library_version };
    Some(told).filter(|told| *told != v1::BrowserSettings::default())
}

/// One of which nothing is set is none.
fn timing(set: TimingOverrides) -> Option<v1::WorkerTiming> {
    let span = |span: Option<Duration>| span.and_then(|span| prost_types::Duration::try_from(span).ok());
    let told = v1::WorkerTiming {
        probe_every: span(set.probe_every),
        stale_after: span(set.stale_after),
        start_deadline: span(set.start_deadline),
        reconnect_attempts: set.reconnect_attempts.map(count),
        reconnect_delay: span(set.reconnect_delay),
        reconnect_delay_max: span(set.reconnect_delay_max),
        stable_after: span(set.stable_after),
        stop_grace: span(set.stop_grace),
        max_crashes: set.max_crashes.map(count),
        crash_window: span(set.crash_window),
    };
    Some(told).filter(|told| *told != v1::WorkerTiming::default())
}

fn restart_schedule(schedule: RestartSchedule) -> v1::RestartSchedule {
    let RestartSchedule { cron, time_zone, jitter } = schedule;
    v1::RestartSchedule { cron, time_zone, jitter: prost_types::Duration::try_from(jitter).ok() }
}

fn texts(row: Texts) -> v1::BusinessTexts {
    v1::BusinessTexts {
        greeting: row.greeting,
        fallback: row.fallback,
        menu: row.menu.into_iter().map(menu_item).collect(),
        limit_warning: row.limit_warning,
    }
}

fn menu_item(row: MenuItem) -> v1::MenuItem {
    v1::MenuItem { title: row.title, reply: row.reply, keywords: row.keywords }
}

pub fn worker(row: Worker) -> v1::Worker {
    v1::Worker {
        next_restart_time: next_restart(&row, SystemTime::now()),
        tenant_id: row.tenant.into(),
        name: row.name,
        status: worker_status(row.status).into(),
        desired_state: desired(row.desired).into(),
        node_id: row.node.map(String::from).unwrap_or_default(),
        generation: row.generation.0,
        last_error: row.last_error,
        restarts: i64::try_from(row.restarts).unwrap_or(i64::MAX),
        last_seen_time: row.last_seen_at.map(timestamp),
        session_status: session_status(row.session_status).into(),
        pinned_node_id: row.pin.map(String::from).unwrap_or_default(),
        conflicts: i64::try_from(row.conflicts).unwrap_or(i64::MAX),
        resends: i64::try_from(row.resends).unwrap_or(i64::MAX),
        condition: Some(condition(row.condition)),
        memory_bytes: row.usage.map(|usage| amount(usage.memory_bytes)),
        cpu_millicores: row.usage.map(|usage| count(usage.cpu_millicores)),
        processes: row.usage.map(|usage| count(usage.processes)),
        messages_per_minute: row.messages_per_minute.map(count),
    }
}

/// By the function that its node goes by.
fn next_restart(row: &Worker, now: SystemTime) -> Option<Timestamp> {
    let schedule = row.restart_schedule.as_ref().filter(|_| row.desired == DesiredState::Running)?;
    let next = schedule.timetable(row.uid.as_u128()).ok()?.next_after(now)?;
    Some(timestamp(next.into()))
}

fn condition(row: Condition) -> v1::WorkerCondition {
    let kind = condition_kind(row.kind);
    v1::WorkerCondition { kind: kind.into(), reason: row.reason, since_time: Some(timestamp(row.since)) }
}

fn condition_kind(kind: ConditionKind) -> v1::ConditionKind {
    match kind {
        ConditionKind::None => v1::ConditionKind::None,
        ConditionKind::Starting => v1::ConditionKind::Starting,
        ConditionKind::WaitingForCapacity => v1::ConditionKind::WaitingForCapacity,
        ConditionKind::WaitingForFailover => v1::ConditionKind::WaitingForFailover,
        ConditionKind::WaitingForNode => v1::ConditionKind::WaitingForNode,
        ConditionKind::WaitingForWhatsapp => v1::ConditionKind::WaitingForWhatsapp,
        ConditionKind::WaitingForStore => v1::ConditionKind::WaitingForStore,
        ConditionKind::WaitingForScan => v1::ConditionKind::WaitingForScan,
        ConditionKind::ScanPaused => v1::ConditionKind::ScanPaused,
        ConditionKind::Healing => v1::ConditionKind::Healing,
        ConditionKind::Failed => v1::ConditionKind::Failed,
        ConditionKind::Answering => v1::ConditionKind::Answering,
        ConditionKind::NeedsUpdate => v1::ConditionKind::NeedsUpdate,
        ConditionKind::Unlinked => v1::ConditionKind::Unlinked,
        ConditionKind::SessionRefused => v1::ConditionKind::SessionRefused,
    }
}

pub fn worker_news(news: WorkerNews) -> v1::WatchWorkersResponse {
    match news {
        WorkerNews::Changed(change, figures) => v1::WatchWorkersResponse {
            worker: Some(worker(change.worker)),
            deleted: change.deleted,
            no_longer_fits: change.no_longer_fits,
            figures: figures.map(worker_figures).into_iter().collect(),
            all_told: false,
        },
        WorkerNews::Figures(figures) => {
            let figures = figures.into_iter().map(worker_figures).collect();
            v1::WatchWorkersResponse { figures, ..Default::default() }
        }
        WorkerNews::AllTold => v1::WatchWorkersResponse { all_told: true, ..Default::default() },
    }
}

fn worker_figures(row: WorkerFigures) -> v1::WorkerFigures {
    v1::WorkerFigures {
        tenant_id: row.tenant.into(),
        memory_bytes: row.usage.map(|usage| amount(usage.memory_bytes)),
        cpu_millicores: row.usage.map(|usage| count(usage.cpu_millicores)),
        processes: row.usage.map(|usage| count(usage.processes)),
        messages_per_minute: row.messages_per_minute.map(count),
        inbound_queue: amount(row.queue.inbound),
        outbound_queue: amount(row.queue.outbound),
    }
}

pub fn message(row: Message) -> v1::Message {
    v1::Message {
        id: row.id,
        tenant_id: row.tenant.into(),
        direction: direction(row.direction).into(),
        chat_id: row.chat,
        body: row.body,
        whatsapp_id: row.whatsapp_id,
        create_time: Some(timestamp(row.created_at)),
        state: row.state.map_or(v1::MessageState::Unspecified, message_state).into(),
        state_reason: row.state_reason,
        said_by: row.said_by.unwrap_or_default(),
    }
}

fn message_state(state: MessageState) -> v1::MessageState {
    match state {
        MessageState::TooOld => v1::MessageState::TooOld,
        MessageState::Suppressed => v1::MessageState::Suppressed,
        MessageState::Held => v1::MessageState::Held,
    }
}

pub fn message_state_filter(given: v1::MessageState) -> Option<MessageState> {
    match given {
        v1::MessageState::Unspecified => None,
        v1::MessageState::TooOld => Some(MessageState::TooOld),
        v1::MessageState::Suppressed => Some(MessageState::Suppressed),
        v1::MessageState::Held => Some(MessageState::Held),
    }
}

pub fn dead_letter(row: DeadLetter) -> v1::DeadLetter {
    v1::DeadLetter {
        id: row.id.to_string(),
        tenant_id: row.tenant.into(),
        direction: direction(row.id.direction).into(),
        chat_id: row.chat,
        body: row.body,
        whatsapp_id: row.whatsapp_id,
        reason: row.reason,
        attempts: count(row.attempts),
        create_time: Some(timestamp(row.created_at)),
        redrivable: row.redrivable,
    }
}

/// Counts of tenants and nodes are far below the limit of the message's field.
pub fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// Amounts of memory too.
fn amount(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn template(kind: TemplateKind) -> v1::Template {
    match kind {
        TemplateKind::Booking => v1::Template::Booking,
        TemplateKind::Ecommerce => v1::Template::Ecommerce,
        TemplateKind::Support => v1::Template::Support,
    }
}

fn language(code: LanguageCode) -> v1::Language {
    match code {
        LanguageCode::En => v1::Language::En,
        LanguageCode::Sw => v1::Language::Sw,
    }
}

fn resend_policy(policy: ResendPolicy) -> v1::ResendPolicy {
    match policy {
        ResendPolicy::Resend => v1::ResendPolicy::Resend,
        ResendPolicy::Hold => v1::ResendPolicy::Hold,
    }
}

fn tenant_status(status: TenantStatus) -> v1::TenantStatus {
    match status {
        TenantStatus::New => v1::TenantStatus::New,
        TenantStatus::QrPending => v1::TenantStatus::QrPending,
        TenantStatus::Active => v1::TenantStatus::Active,
        TenantStatus::Paused => v1::TenantStatus::Paused,
        TenantStatus::Error => v1::TenantStatus::Error,
    }
}

/// The filter's value; None for UNSPECIFIED, which chooses nothing.
pub fn tenant_status_filter(status: v1::TenantStatus) -> Option<TenantStatus> {
    match status {
        v1::TenantStatus::Unspecified => None,
        v1::TenantStatus::New => Some(TenantStatus::New),
        v1::TenantStatus::QrPending => Some(TenantStatus::QrPending),
        v1::TenantStatus::Active => Some(TenantStatus::Active),
        v1::TenantStatus::Paused => Some(TenantStatus::Paused),
        v1::TenantStatus::Error => Some(TenantStatus::Error),
    }
}

fn worker_status(status: WorkerStatus) -> v1::WorkerStatus {
    match status {
        WorkerStatus::Running => v1::WorkerStatus::Running,
        WorkerStatus::Stopped => v1::WorkerStatus::Stopped,
        WorkerStatus::Error => v1::WorkerStatus::Error,
    }
}

/// The filter's value; None for UNSPECIFIED, which chooses nothing.
pub fn worker_status_filter(status: v1::WorkerStatus) -> Option<WorkerStatus> {
    match status {
        v1::WorkerStatus::Unspecified => None,
        v1::WorkerStatus::Running => Some(WorkerStatus::Running),
        v1::WorkerStatus::Stopped => Some(WorkerStatus::Stopped),
        v1::WorkerStatus::Error => Some(WorkerStatus::Error),
    }
}

fn desired(state: DesiredState) -> v1::DesiredState {
    match state {
        DesiredState::Running => v1::DesiredState::Running,
        DesiredState::Stopped => v1::DesiredState::Stopped,
    }
}

fn session_status(status: SessionStatus) -> v1::SessionStatus {
    match status {
        SessionStatus::Disconnected => v1::SessionStatus::Disconnected,
        SessionStatus::QrReady => v1::SessionStatus::QrReady,
        SessionStatus::Connected => v1::SessionStatus::Connected,
    }
}

fn direction(direction: Direction) -> v1::Direction {
    match direction {
        Direction::In => v1::Direction::In,
        Direction::Out => v1::Direction::Out,
    }
}

/// The filter's value; None for UNSPECIFIED, which chooses nothing.
pub fn direction_filter(direction: v1::Direction) -> Option<Direction> {
    match direction {
        v1::Direction::Unspecified => None,
        v1::Direction::In => Some(Direction::In),
        v1::Direction::Out => Some(Direction::Out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_waits_for_is_called_the_same_on_the_wire() {
        let kinds = [
            ConditionKind::None,
            ConditionKind::Starting,
            ConditionKind::WaitingForCapacity,
            ConditionKind::WaitingForFailover,
            ConditionKind::WaitingForNode,
            ConditionKind::WaitingForWhatsapp,
            ConditionKind::WaitingForStore,
            ConditionKind::WaitingForScan,
            ConditionKind::ScanPaused,
            ConditionKind::Healing,
            ConditionKind::Failed,
            ConditionKind::Answering,
            ConditionKind::NeedsUpdate,
            ConditionKind::Unlinked,
            ConditionKind::SessionRefused,
        ];
        for kind in kinds {
            let since = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(7);
            let told = condition(Condition { kind, reason: "why".into(), since });
            assert_eq!(format!("{:?}", told.kind()), format!("{kind:?}"));
            assert_eq!((told.reason.as_str(), told.since_time), ("why", Some(timestamp(since))));
        }
    }
}
