//! What a business's automation says, changed by the business, with a conversation that shows at once what would be answered.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Form,
    extract::{ConnectInfo, Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};
use minijinja::{Value, context, value::Serde};
use roost_model::{LanguageCode, TenantSettings};
use roost_proto::{
    error::{ApiError, Violation},
    v1,
};
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};

use super::{
    business::{Part, business_page},
    language::of,
    problem::{failed, nothing_here},
    signed::{Member, Signed},
    state::Portal,
    typed::{SpokenLanguage, Template, unwrapped},
};
use crate::{
    app::{Error, Exchange},
    grpc::{preview, template_patch},
    http::{
        ordered::{ordered, told_as},
        peer::Peer,
    },
};

const PREVIEW: &str = "/roost.v1.TenantService/PreviewTemplate";
const UPDATE: &str = "/roost.v1.TenantService/UpdateTemplateSettings";
/// Rows of the menu that wait to be filled.
const EMPTY_ROWS: usize = 2;
const ROWS_AT_MOST: usize = 20;
/// Messages of a preview.
const MESSAGES: usize = 20;

/// As it is typed. Names of fields may be there again, for the rows of the menu.
type Fields = Vec<(String, String)>;

#[derive(Debug, Clone, Default, Serialize)]
struct Typed {
    name: String,
    template: Template,
    language: SpokenLanguage,
    greeting: String,
    fallback: String,
    limit_warning: String,
    menu: Vec<Row>,
    /// What a customer writes in the preview, a line each.
    messages: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Row {
    title: String,
    reply: String,
    /// With commas between.
    keywords: String,
}

pub async fn form(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
) -> Response {
    let Some(member) = signed.member_who_may(PREVIEW, &tenant) else {
        return nothing_here(&portal, &headers);
    };
    match portal.app.get_tenant(&member.tenant).await {
        Ok(tenant) => {
            let typed = Typed::of(Arc::unwrap_or_clone(tenant.settings));
            page(&portal, &headers, &member, typed, None, StatusCode::OK).await
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

/// Saves it, or shows it again with what was typed.
pub async fn submit(
    State(portal): State<Arc<Portal>>,
    ConnectInfo(Peer(origin)): ConnectInfo<Peer>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
    Form(fields): Form<Fields>,
) -> Response {
    let Some(member) = signed.member_who_may(PREVIEW, &tenant) else {
        return nothing_here(&portal, &headers);
    };
    let typed = Typed::from(&fields);
    if !is_from(&fields, &member) {
        return page(&portal, &headers, &member, typed, Some("form-old"), StatusCode::FORBIDDEN).await;
    }
    match last(&fields, "action") {
        "save" => save(&portal, &headers, &member, origin, typed).await,
        _ => page(&portal, &headers, &member, typed, None, StatusCode::OK).await,
    }
}

/// The conversation alone, while it is typed.
pub async fn shown(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Path(tenant): Path<String>,
    signed: Signed,
    Form(fields): Form<Fields>,
) -> Response {
    let Some(member) = signed.member_who_may(PREVIEW, &tenant) else {
        return nothing_here(&portal, &headers);
    };
    if !is_from(&fields, &member) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match tried(&portal, &member, &Typed::from(&fields)).await {
        Ok(conversation) => {
            let about = conversation.into_context(&portal, &headers);
            Html(portal.templates.page(of(&headers), "preview.html", about)).into_response()
        }
        Err(error) => failed(&portal, &headers, &error),
    }
}

async fn save(
    portal: &Portal,
    headers: &HeaderMap,
    member: &Member,
    origin: IpAddr,
    typed: Typed,
) -> Response {
    let request = v1::UpdateTemplateSettingsRequest {
        tenant: Some(typed.to_tenant(member)),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
    };
    let (tenant, patch) = match template_patch(request) {
        Ok(patch) => patch,
        // What is wrong stands beside the conversation.
        Err(_) => return page(portal, headers, member, typed, None, StatusCode::BAD_REQUEST).await,
    };
    let order = portal.app.update_tenant(&tenant, patch);
    match ordered(member.asks(portal, UPDATE, origin), order, told_as(|_: &Error| "order-refused")).await {
        None => nothing_here(portal, headers),
        Some(Ok(_)) => Redirect::to(&format!("/t/{}/template", member.tenant)).into_response(),
        Some(Err(told)) => page(portal, headers, member, typed, Some(told), StatusCode::CONFLICT).await,
    }
}

async fn page(
    portal: &Portal,
    headers: &HeaderMap,
    member: &Member,
    typed: Typed,
    told: Option<&str>,
    status: StatusCode,
) -> Response {
    let conversation = match tried(portal, member, &typed).await {
        Ok(conversation) => conversation.into_context(portal, headers),
        Err(error) => return failed(portal, headers, &error),
    };
    let may_save = member.may(UPDATE);
    let told = told.map(|told| portal.templates.text(of(headers), told));
    let typed = Value::from(Serde(typed.with_empty_rows()));
    let about = context! { ..context! { typed, may_save, told }, ..conversation };
    business_page(portal, headers, member, Part::Template, "template.html", about, status).await
}

/// What would be answered, or what is wrong with what was typed, by its keys in the catalogues.
enum Conversation {
    Shown(Vec<Exchange>),
    Wrong(Vec<&'static str>),
}

async fn tried(portal: &Portal, member: &Member, typed: &Typed) -> Result<Conversation, Error> {
    let request = v1::PreviewTemplateRequest {
        tenant_id: member.tenant.to_string(),
        tenant: Some(typed.to_tenant(member)),
        messages: typed.messages(),
    };
    match preview(request) {
        Ok((tenant, tried, messages)) => {
            portal.app.preview_template(&tenant, tried, messages).await.map(Conversation::Shown)
        }
        Err(ApiError { violations, .. }) => Ok(Conversation::Wrong(problems(&violations))),
    }
}

impl Conversation {
    fn into_context(self, portal: &Portal, headers: &HeaderMap) -> Value {
        let (exchanges, problems) = match self {
            Self::Shown(exchanges) => (exchanges, Vec::new()),
            Self::Wrong(problems) => (Vec::new(), problems),
        };
        let exchanges: Vec<_> = exchanges
            .into_iter()
            .map(|Exchange { message, replies }| context! { message, replies })
            .collect();
        let problems: Vec<_> =
            problems.into_iter().map(|key| portal.templates.text(of(headers), key)).collect();
        context! { exchanges, problems }
    }
}

fn problems(violations: &[Violation]) -> Vec<&'static str> {
    let mut problems: Vec<_> = violations
        .iter()
        .map(|violation| match violation.field.as_str() {
            "tenant.display_name" => "setup-name-wrong",
            "messages" => "template-messages-wrong",
            field if field.starts_with("tenant.texts.menu") => "template-menu-wrong",
            _ => "setup-text-wrong",
        })
        .collect();
    problems.dedup();
    problems
}

fn is_from(fields: &Fields, member: &Member) -> bool {
    last(fields, "form_token") == member.form_token
}

fn last<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().rev().find(|(given, _)| given == name).map_or("", |(_, value)| value)
}

fn all<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// What nobody can choose in the page is the first one.
fn chosen<T: DeserializeOwned + Default>(fields: &Fields, name: &str) -> T {
    let value: StrDeserializer<'_, serde::de::value::Error> = last(fields, name).into_deserializer();
    T::deserialize(value).unwrap_or_default()
}

impl From<&Fields> for Typed {
    fn from(fields: &Fields) -> Self {
        let text = |name| last(fields, name).to_owned();
        let rows = all(fields, "title").zip(all(fields, "reply")).zip(all(fields, "keywords"));
        let rows = rows.take(ROWS_AT_MOST).map(|((title, reply), keywords)| Row {
            title: title.to_owned(),
            reply: reply.to_owned(),
            keywords: keywords.to_owned(),
        });
        Self {
            name: text("name"),
            template: chosen(fields, "template"),
            language: chosen(fields, "language"),
            greeting: text("greeting"),
            fallback: text("fallback"),
            limit_warning: text("limit_warning"),
            menu: rows.filter(|row| *row != Row::default()).collect(),
            messages: text("messages"),
        }
    }
}

impl Typed {
    fn of(settings: TenantSettings) -> Self {
        let rows = settings.texts.menu.into_iter().map(|item| Row {
            title: item.title,
            reply: item.reply,
            keywords: item.keywords.join(", "),
        });
        let sample = match settings.language {
            LanguageCode::En => "Hello\n1\nWhere are you?",
            LanguageCode::Sw => "Habari\n1\nMko wapi?",
        };
        Self {
            name: settings.display_name,
            template: settings.template.into(),
            language: settings.language.into(),
            greeting: settings.texts.greeting,
            fallback: settings.texts.fallback,
            limit_warning: settings.texts.limit_warning,
            menu: rows.collect(),
            messages: sample.to_owned(),
        }
    }

    fn with_empty_rows(mut self) -> Self {
        let rows = (self.menu.len() + EMPTY_ROWS).min(ROWS_AT_MOST);
        self.menu.resize(rows.max(self.menu.len()), Row::default());
        self
    }

    fn messages(&self) -> Vec<String> {
        let lines = self.messages.lines().map(str::trim).filter(|line| !line.is_empty());
        // One more than are allowed is refused, and so are a million.
        lines.take(MESSAGES + 1).map(str::to_owned).collect()
    }

    fn to_tenant(&self, member: &Member) -> v1::Tenant {
        let words = |row: &Row| row.keywords.split(',').map(str::trim).map(str::to_owned).collect::<Vec<_>>();
        let menu = self.menu.iter().map(|row| v1::MenuItem {
            title: row.title.trim().to_owned(),
            reply: unwrapped(&row.reply),
            keywords: words(row).into_iter().filter(|word| !word.is_empty()).collect(),
        });
        v1::Tenant {
            id: member.tenant.to_string(),
            display_name: self.name.trim().to_owned(),
            template: v1::Template::from(self.template).into(),
            language: v1::Language::from(self.language).into(),
            texts: Some(v1::BusinessTexts {
                greeting: unwrapped(&self.greeting),
                fallback: unwrapped(&self.fallback),
                limit_warning: unwrapped(&self.limit_warning),
                menu: menu.collect(),
            }),
            ..v1::Tenant::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_rows_of_the_menu_are_put_together_and_empty_ones_left_out() {
        let fields = vec![
            field("name", "Duka"),
            field("template", "booking"),
            field("title", "Prices"),
            field("reply", "See\r\nbelow"),
            field("keywords", "price, , bei"),
            field("title", ""),
            field("reply", ""),
            field("keywords", ""),
            field("title", "Hours"),
            field("reply", ""),
            field("keywords", ""),
            field("messages", " a \n\n1"),
        ];
        let typed = Typed::from(&fields);
        assert_eq!(typed.menu.iter().map(|row| row.title.as_str()).collect::<Vec<_>>(), ["Prices", "Hours"]);
        assert_eq!((typed.template, typed.messages()), (Template::Booking, vec!["a".into(), "1".into()]));
        assert_eq!(typed.clone().with_empty_rows().menu.len(), 4);
        let full = Typed { menu: vec![typed.menu[0].clone(); 19], ..typed };
        assert_eq!(full.with_empty_rows().menu.len(), ROWS_AT_MOST);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        let violation = |field: &str| Violation { field: field.into(), description: String::new() };
        let wrong =
            ["tenant.display_name", "tenant.texts.menu[0].title", "tenant.texts.menu[1].reply", "messages"];
        let told = problems(&wrong.map(violation));
        assert_eq!(told, ["setup-name-wrong", "template-menu-wrong", "template-messages-wrong"]);
    }
}
