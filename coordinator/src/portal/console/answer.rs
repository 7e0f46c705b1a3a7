//! A page of the console, or what is told in its place.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use minijinja::{Value, context};
use roost_proto::error::ApiError;

use super::operator::Operator;
use crate::{app::Error, portal::state::Portal};

/// What is asked for is shown to none of this role, or is not there.
pub fn nothing(portal: &Portal, operator: &Operator) -> Response {
    let told = portal.console.text("not-found");
    problem(portal, operator, StatusCode::NOT_FOUND, told)
}

pub fn page(
    portal: &Portal,
    operator: &Operator,
    part: &'static str,
    template: &str,
    content: Value,
) -> Response {
    let about = context! { ..operator.frame(part), ..content };
    Html(portal.console.page(template, about)).into_response()
}

/// In the words of the API, which say what to do.
pub fn failed(portal: &Portal, operator: &Operator, error: Error) -> Response {
    refused(portal, operator, ApiError::from(error))
}

pub fn refused(portal: &Portal, operator: &Operator, error: ApiError) -> Response {
    let status = match error.code.grpc() {
        tonic::Code::NotFound => StatusCode::NOT_FOUND,
        tonic::Code::InvalidArgument => StatusCode::BAD_REQUEST,
        tonic::Code::FailedPrecondition | tonic::Code::AlreadyExists | tonic::Code::Aborted => {
            StatusCode::CONFLICT
        }
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    problem(portal, operator, status, error.message)
}

pub fn problem(portal: &Portal, operator: &Operator, status: StatusCode, told: String) -> Response {
    let title = portal.console.text("cannot");
    let about = context! { ..context! { title, told }, ..operator.frame("") };
    (status, Html(portal.console.page("problem.html", about))).into_response()
}
