//! What somebody asks for.

use roost_proto::v1::{InviteApplicantResponse, Language, SetupRequest, SetupRequestState, Template};
use serde::Serialize;

use super::{LinkView, ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct SetupRequestView {
    id: i64,
    email: String,
    state: String,
    display_name: String,
    phone: String,
    template: String,
    language: String,
    greeting: String,
    fallback: String,
    submit_time: Option<String>,
    review_time: Option<String>,
    reviewed_by: String,
    reason: String,
    tenant_id: String,
}

impl From<SetupRequest> for SetupRequestView {
    fn from(request: SetupRequest) -> Self {
        let texts = request.texts.unwrap_or_default();
        Self {
            id: request.id,
            email: request.email,
            state: enum_name(request.state, "SETUP_REQUEST_STATE_", SetupRequestState::as_str_name),
            display_name: request.display_name,
            phone: request.phone,
            template: enum_name(request.template, "TEMPLATE_", Template::as_str_name),
            language: enum_name(request.language, "LANGUAGE_", Language::as_str_name),
            greeting: texts.greeting,
            fallback: texts.fallback,
            submit_time: rfc3339(&request.submit_time),
            review_time: rfc3339(&request.review_time),
            reviewed_by: request.reviewed_by,
            reason: request.reason,
            tenant_id: request.tenant_id,
        }
    }
}

impl Row for SetupRequestView {
    const HEADER: &'static [&'static str] = &["id", "state", "name", "phone", "email", "submitted", "tenant"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.state.clone(),
            self.display_name.clone(),
            self.phone.clone(),
            self.email.clone(),
            ago(self.submit_time.as_deref()),
            self.tenant_id.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details: Vec<_> = Self::HEADER.iter().copied().zip(self.cells()).collect();
        details.extend([
            ("template", self.template.clone()),
            ("language", self.language.clone()),
            ("greeting", self.greeting.clone()),
            ("fallback", self.fallback.clone()),
            ("reviewed", ago(self.review_time.as_deref())),
            ("by", self.reviewed_by.clone()),
            ("reason", self.reason.clone()),
        ]);
        details
    }
}

impl From<InviteApplicantResponse> for LinkView {
    fn from(made: InviteApplicantResponse) -> Self {
        Self::to(made.url)
    }
}
