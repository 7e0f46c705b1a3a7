//! A tenant as tests make one that needs nothing of its own.

use std::time::Duration;

use roost_model::{
    BrowserSettings, LanguageCode, ResendPolicy, ResourceLimits, TemplateKind, Texts, TimingOverrides,
    ids::TenantId,
};
use roost_store::{Labels, NewTenant};

/// With what the API gives a tenant by default, but for the reply limit, which there is none.
pub fn new_tenant(id: TenantId, phone: impl Into<String>) -> NewTenant {
    NewTenant {
        display_name: format!("Duka {id}"),
        id,
        phone: phone.into(),
        template: TemplateKind::Support,
        language: LanguageCode::En,
        texts: Texts::default(),
        reply_limit_per_minute: 0,
        answer_within: Duration::from_secs(24 * 3_600),
        resend_policy: ResendPolicy::Resend,
        restart_schedule: None,
        qr_rotations: None,
        limits: ResourceLimits::default(),
        browser: BrowserSettings::default(),
        log_level: None,
        proxy: None,
        timing: TimingOverrides::default(),
        labels: Labels::default(),
        metadata: Labels::default(),
    }
}
