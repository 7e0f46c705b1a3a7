//! What every page of a business has around what it shows: its name, its other pages, who is signed in.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context};
use roost_store::Tenant;

use super::{language::of, problem::failed, signed::Member, state::Portal};

/// Which of its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Status,
    Conversations,
}

impl Part {
    /// As the catalogues name it, after `part-`.
    fn key(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Conversations => "conversations",
        }
    }
}

pub async fn business_page(
    portal: &Portal,
    headers: &HeaderMap,
    member: &Member,
    part: Part,
    template: &str,
    content: Value,
    status: StatusCode,
) -> Response {
    match portal.app.get_tenant(&member.tenant).await {
        Ok(tenant) => {
            let about = context! { ..frame(member, &tenant, part), ..content };
            (status, Html(portal.templates.page(of(headers), template, about))).into_response()
        }
        Err(error) => failed(portal, headers, &error),
    }
}

pub fn frame(member: &Member, tenant: &Tenant, part: Part) -> Value {
    let others = member.user.memberships.iter().map(|(other, _)| other.to_string());
    let others: Vec<_> = others.filter(|other| *other != member.tenant.as_str()).collect();
    let name = match tenant.settings.display_name.as_str() {
        "" => member.tenant.to_string(),
        name => name.to_owned(),
    };
    let (email, form_token) = (&member.user.email, &member.form_token);
    context! { name, others, email, form_token, tenant => member.tenant.as_str(), part => part.key() }
}
