//! What is told, in the shapes that front ends know. Golden files hold them (tests/tests/system/api/legacy).

use http::StatusCode;
use roost_model::{LanguageCode, TemplateKind};
use roost_proto::v1;
use roost_store::{
    Direction, Message, Session, SessionStatus, SetupRequest, Tenant, TenantStatus, Worker, WorkerStatus,
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::failure::Failure;

#[derive(Debug, Serialize)]
pub struct TenantShape {
    id: String,
    name: String,
    phone_number: String,
    status: &'static str,
    whatsapp_session: SessionShape,
    worker_process: WorkerShape,
}

#[derive(Debug, Serialize)]
struct SessionShape {
    state: &'static str,
    last_seen_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct WorkerShape {
    pm2_name: String,
    status: &'static str,
    last_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct StatusShape {
    /// None of a user who is of no business yet.
    pub tenant: Option<TenantShape>,
    #[serde(rename = "setupRequest")]
    pub setup_request: Option<SetupRequestShape>,
}

#[derive(Debug, Serialize)]
pub struct QrShape {
    state: &'static str,
    /// A PNG as a data URI, while one is shown.
    qr: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct LogShape {
    direction: &'static str,
    chat: String,
    body: String,
    time: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct SetupRequestShape {
    id: i64,
    status: &'static str,
    reason: Option<String>,
    name: String,
    phone_number: String,
    template: &'static str,
    language: &'static str,
    email: String,
    tenant_id: Option<String>,
    created_at: Option<String>,
}

/// What is asked for: a business to be set up, or made at once by an operator.
#[derive(Debug, Deserialize)]
pub struct BusinessShape {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub phone_number: String,
    #[serde(default)]
    pub template: String,
    #[serde(default)]
    pub language: String,
    #[serde(default)]
    pub greeting: String,
    #[serde(default)]
    pub fallback: String,
}

impl BusinessShape {
    /// In the words of the API, whose checks hold for it.
    pub fn into_tenant(self) -> Result<v1::Tenant, Failure> {
        let unknown = |field: &str, known: &str| {
            Failure::new(StatusCode::BAD_REQUEST, format!("{field} has to be one of: {known}"))
        };
        let template = match self.template.to_ascii_lowercase().as_str() {
            "" => v1::Template::Unspecified,
            "booking" => v1::Template::Booking,
            "ecommerce" => v1::Template::Ecommerce,
            "support" => v1::Template::Support,
            _ => return Err(unknown("template", "booking, ecommerce, support")),
        };
        let language = match self.language.to_ascii_lowercase().as_str() {
            "" => v1::Language::Unspecified,
            "en" => v1::Language::En,
            "sw" => v1::Language::Sw,
            _ => return Err(unknown("language", "en, sw")),
        };
        let (greeting, fallback) = (self.greeting, self.fallback);
        Ok(v1::Tenant {
            display_name: self.name,
            phone: self.phone_number,
            template: template.into(),
            language: language.into(),
            texts: Some(v1::BusinessTexts { greeting, fallback, ..v1::BusinessTexts::default() }),
            ..v1::Tenant::default()
        })
    }
}

impl TenantShape {
    pub fn of(tenant: &Tenant, worker: &Worker, session: &Session) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.settings.display_name.clone(),
            phone_number: tenant.settings.phone.clone(),
            status: tenant_status(tenant.status),
            whatsapp_session: SessionShape {
                state: session_state(session.status),
                last_seen_at: session.last_seen_at.and_then(rfc3339),
            },
            worker_process: WorkerShape {
                pm2_name: worker.name.clone(),
                status: worker_status(worker.status),
                last_error: Some(worker.last_error.clone()).filter(|error| !error.is_empty()),
            },
        }
    }
}

impl QrShape {
    pub fn of(session: &Session, now: OffsetDateTime) -> Self {
        Self { state: session_state(session.status), qr: session.code(now).map(|code| code.data_uri.clone()) }
    }
}

impl From<Message> for LogShape {
    fn from(message: Message) -> Self {
        let direction = match message.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        Self { direction, chat: message.chat, body: message.body, time: rfc3339(message.created_at) }
    }
}

impl From<SetupRequest> for SetupRequestShape {
    fn from(request: SetupRequest) -> Self {
        let template = match request.wanted.template {
            TemplateKind::Booking => "booking",
            TemplateKind::Ecommerce => "ecommerce",
            TemplateKind::Support => "support",
        };
        let language = match request.wanted.language {
            LanguageCode::En => "en",
            LanguageCode::Sw => "sw",
        };
        Self {
            id: request.id,
            status: request.state.as_str(),
            reason: Some(request.reason).filter(|reason| !reason.is_empty()),
            name: request.wanted.display_name,
            phone_number: request.wanted.phone,
            template,
            language,
            email: request.email,
            tenant_id: request.tenant.map(String::from),
            created_at: rfc3339(request.submitted_at),
        }
    }
}

fn rfc3339(at: OffsetDateTime) -> Option<String> {
    at.format(&Rfc3339).ok()
}

fn tenant_status(status: TenantStatus) -> &'static str {
    match status {
        TenantStatus::New => "NEW",
        TenantStatus::QrPending => "QR_PENDING",
        TenantStatus::Active => "ACTIVE",
        TenantStatus::Paused => "PAUSED",
        TenantStatus::Error => "ERROR",
    }
}

fn session_state(status: SessionStatus) -> &'static str {
    match status {
        SessionStatus::Disconnected => "DISCONNECTED",
        SessionStatus::QrReady => "QR_READY",
        SessionStatus::Connected => "CONNECTED",
    }
}

fn worker_status(status: WorkerStatus) -> &'static str {
    match status {
        WorkerStatus::Running => "RUNNING",
        WorkerStatus::Stopped => "STOPPED",
        WorkerStatus::Error => "ERROR",
    }
}
