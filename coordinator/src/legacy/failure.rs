//! What is told when it is not done: `{"success": false, "error": "…"}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use roost_proto::error::ApiError;
use serde_json::json;

use crate::{app::Error, http::json::status_of};

#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// Of what is another's and of what there is not.
    pub fn nothing_here() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here, or it is not yours")
    }
}

/// As front ends name what is so in the API.
fn named(field: &str) -> &str {
    match field.strip_prefix("tenant.").unwrap_or(field) {
        "display_name" => "name",
        "phone" => "phone_number",
        "texts.greeting" => "greeting",
        "texts.fallback" => "fallback",
        "tenant_id" => "id",
        other => other,
    }
}

pub async fn nothing_here() -> Failure {
    Failure::nothing_here()
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let status = StatusCode::from_u16(status_of(error.code.grpc()));
        let wrong = error
            .violations
            .iter()
            .map(|violation| format!("{} {}", named(&violation.field), violation.description));
        let wrong = wrong.collect::<Vec<_>>().join("; ");
        let told = if wrong.is_empty() { error.message } else { wrong };
        Self::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), told)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "success": false, "error": self.error }))).into_response()
    }
}
