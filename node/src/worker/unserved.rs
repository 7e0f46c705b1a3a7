//! A worker's handle without a worker behind it, for tests of those who give workers orders.

use std::{sync::Arc, time::Duration};

use roost_model::{
    BrowserSettings, LanguageCode, ResendPolicy, ResourceLimits, TemplateKind, TenantSettings, Texts,
    TimingOverrides,
    ids::{Generation, SessionNumber, SpecRevision, TenantId},
};
use roost_store::{DesiredState, Labels, RestartMode, Tenant, TenantStatus, WorkerSpec};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{ORDERS, State, WorkerHandle, WorkerTiming, actor::WorkerCommand};

/// Where the orders lie.
pub(crate) struct Unserved {
    inbox: mpsc::Receiver<WorkerCommand>,
}

impl Unserved {
    /// One of a worker of this tenant, which never takes an order.
    pub(crate) fn handle(tenant: &TenantId) -> (WorkerHandle, Self) {
        let (commands, inbox) = mpsc::channel(ORDERS);
        let handle = WorkerHandle {
            tenant: tenant.clone(),
            generation: Generation(1),
            commands,
            specs: Arc::new(watch::channel(spec(tenant)).0),
            timing: WorkerTiming::default(),
            seen: watch::channel(None).1,
            state: watch::channel(State::Starting).1,
            attempts: watch::channel(0).1,
            traffic: Default::default(),
            sends: Default::default(),
            page: watch::channel(None).1,
            end: watch::channel(None).1,
            picturing: Arc::default(),
        };
        (handle, Self { inbox })
    }

    /// Takes out what lies there: how often the page was to be loaded anew.
    pub(crate) fn reloads(&mut self) -> usize {
        let orders = std::iter::from_fn(|| self.inbox.try_recv().ok());
        orders.filter(|order| matches!(order, WorkerCommand::Reload)).count()
    }
}

pub(crate) fn spec(tenant: &TenantId) -> WorkerSpec {
    let settings = TenantSettings {
        display_name: String::new(),
        phone: String::new(),
        template: TemplateKind::Support,
        language: LanguageCode::En,
        texts: Texts::default(),
        reply_limit_per_minute: 0,
        answer_within: Duration::ZERO,
        resend_policy: ResendPolicy::Resend,
        restart_schedule: None,
        qr_rotations: None,
        limits: ResourceLimits::default(),
        browser: BrowserSettings::default(),
        timing: TimingOverrides::default(),
        log_level: None,
    };
    let tenant = Tenant {
        id: tenant.clone(),
        proxy: None,
        temporary_log_level: None,
        uid: Uuid::nil(),
        settings: Arc::new(settings),
        labels: Labels::default(),
        metadata: Labels::default(),
        status: TenantStatus::Active,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
    };
    WorkerSpec {
        tenant,
        desired: DesiredState::Running,
        generation: Generation(1),
        spec_revision: SpecRevision(1),
        restart_seq: 0,
        restart_mode: RestartMode::Graceful,
        forget_session: false,
        snapshot: None,
        restore_ordered: false,
        scan_paused: false,
        pairing: None,
        versions: Default::default(),
        proxy: None,
        session_number: SessionNumber(1),
        last_seen_at: None,
    }
}
