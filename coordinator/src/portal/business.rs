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
    Template,
    Log,
    Looks,
}

impl Part {
    /// As the catalogues name it, after `part-`.
    fn key(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Conversations => "conversations",
            Self::Template => "template",
            Self::Log => "log",
            Self::Looks => "looks",
        }
    }

    /// Under the page of the business.
    fn path(self) -> &'static str {
        match self {
            Self::Status => "",
            Self::Conversations => "/chats",
            Self::Template => "/template",
            Self::Log => "/log",
            Self::Looks => "/looks",
        }
    }

    /// The call that it is, by which it is decided who sees it.
    fn call(self) -> &'static str {
        match self {
            Self::Status => "/roost.v1.WorkerService/GetWorker",
            Self::Conversations => "/roost.v1.MessageService/ListMessages",
            Self::Template => "/roost.v1.TenantService/PreviewTemplate",
            Self::Log => "/roost.v1.WorkerInspectionService/ReadWorkerLog",
            Self::Looks => "/roost.v1.AccessService/ListLooks",
        }
    }

    const ALL: [Self; 5] = [Self::Status, Self::Conversations, Self::Template, Self::Log, Self::Looks];
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
    let parts: Vec<_> = Part::ALL
        .into_iter()
        .filter(|part| member.may(part.call()))
        .map(|part| context! { key => part.key(), path => part.path() })
        .collect();
    context! { name, others, parts, email, form_token, tenant => member.tenant.as_str(), part => part.key() }
}
