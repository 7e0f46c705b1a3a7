//! A tenant as it comes in, to be created or changed.

use std::collections::BTreeSet;

use roost_model::{LanguageCode, MenuItem, TemplateKind, Texts, ids::TenantId};
use roost_proto::{error::ApiError, v1};
use roost_store::{NewTenant, TenantPatch};
use uuid::Uuid;

use super::{Checks, Text, text::check_phone};

const DISPLAY_NAME: Text = Text::line(1, 200);
const BUSINESS_TEXT: Text = Text::lines(0, 4_096);
const MENU_TITLE: Text = Text::line(1, 80);
const MENU_REPLY: Text = Text::lines(1, 4_096);
const KEYWORD: Text = Text::line(1, 40);
const MENU_ITEMS: usize = 20;
const KEYWORDS: usize = 10;
const REPLY_LIMITS: std::ops::RangeInclusive<u32> = 0..=10_000;
const DEFAULT_REPLY_LIMIT: u32 = 10;

/// The fields that UpdateTenant can change, by their paths.
const PATHS: [&str; 6] = ["display_name", "phone", "template", "language", "texts", "reply_limit_per_minute"];
/// The fields of a tenant that no caller can change, with the reason.
const FIXED: [(&str, &str); 4] = [
    ("id", "never changes"),
    ("status", OUTPUT_ONLY),
    ("create_time", OUTPUT_ONLY),
    ("update_time", OUTPUT_ONLY),
];
const OUTPUT_ONLY: &str = "is output only";

/// A valid tenant to create, or all that is wrong with it.
pub fn new_tenant(request: v1::CreateTenantRequest) -> Result<NewTenant, ApiError> {
    let mut checks = Checks::default();
    let id = match request.tenant_id.as_str() {
        "" => checks
            .take("tenant_id", TenantId::new(&Uuid::now_v7().to_string()).map_err(|error| error.to_string())),
        given => checks.tenant_id("tenant_id", given),
    };
    let Some(tenant) = checks.take("tenant", request.tenant.ok_or_else(|| "is required".to_owned())) else {
        return Err(checks.refusal());
    };
    if !tenant.id.is_empty() && tenant.id != request.tenant_id {
        checks.take::<()>(
            "tenant.id",
            Err("differs from tenant_id, which gives the id; leave it empty".to_owned()),
        );
    }
    let display_name = display_name(&mut checks, tenant.display_name);
    let phone = phone(&mut checks, tenant.phone);
    let template = template(&mut checks, tenant.template);
    let language = language(&mut checks, tenant.language);
    let texts = texts(&mut checks, tenant.texts);
    let limit = reply_limit(&mut checks, tenant.reply_limit_per_minute);
    let (
        Some(id),
        Some(display_name),
        Some(phone),
        Some(template),
        Some(language),
        Some(texts),
        Some(limit),
        true,
    ) = (id, display_name, phone, template, language, texts, limit, checks.passed())
    else {
        return Err(checks.refusal());
    };
    Ok(NewTenant { id, display_name, phone, template, language, texts, reply_limit_per_minute: limit })
}

/// Which tenant to change and how, or all that is wrong with it. A field that the mask names is checked as at creation:
/// where it is not set it goes back to its default, or is missed where there is none.
pub fn tenant_patch(request: v1::UpdateTenantRequest) -> Result<(TenantId, TenantPatch), ApiError> {
    let mut checks = Checks::default();
    let Some(tenant) = checks.take("tenant", request.tenant.ok_or_else(|| "is required".to_owned())) else {
        return Err(checks.refusal());
    };
    let id = checks.tenant_id("tenant.id", &tenant.id);
    let paths = match request.update_mask {
        Some(mask) if !mask.paths.is_empty() => named(&mut checks, &mask.paths),
        _ => populated(&tenant),
    };
    if paths.is_empty() && checks.passed() {
        let nothing = "names no field, and no field of tenant that can be changed is set".to_owned();
        checks.take::<()>("update_mask", Err(nothing));
    }
    let named = |path: &str| paths.contains(path);
    let patch = TenantPatch {
        display_name: named("display_name").then(|| display_name(&mut checks, tenant.display_name)).flatten(),
        phone: named("phone").then(|| phone(&mut checks, tenant.phone)).flatten(),
        template: named("template").then(|| template(&mut checks, tenant.template)).flatten(),
        language: named("language").then(|| language(&mut checks, tenant.language)).flatten(),
        texts: named("texts").then(|| texts(&mut checks, tenant.texts)).flatten(),
        reply_limit_per_minute: named("reply_limit_per_minute")
            .then(|| reply_limit(&mut checks, tenant.reply_limit_per_minute))
            .flatten(),
    };
    match id {
        Some(id) if checks.passed() => Ok((id, patch)),
        _ => Err(checks.refusal()),
    }
}

fn named(checks: &mut Checks, given: &[String]) -> BTreeSet<&'static str> {
    let mut paths = BTreeSet::new();
    for path in given {
        if path == "*" {
            paths.extend(PATHS);
        } else if let Some(known) = PATHS.into_iter().find(|known| known == path) {
            paths.insert(known);
        } else {
            let shown: String = path.chars().take(80).collect();
            let why = match FIXED.into_iter().find(|(fixed, _)| fixed == path) {
                Some((_, why)) => format!("{shown:?} {why}"),
                None => format!("{shown:?} is no field of a tenant"),
            };
            checks.take::<()>("update_mask", Err(format!("{why}; use {} or *", PATHS.join(", "))));
        }
    }
    paths
}

fn populated(tenant: &v1::Tenant) -> BTreeSet<&'static str> {
    let set = [
        ("display_name", !tenant.display_name.is_empty()),
        ("phone", !tenant.phone.is_empty()),
        ("template", tenant.template != 0),
        ("language", tenant.language != 0),
        ("texts", tenant.texts.is_some()),
        ("reply_limit_per_minute", tenant.reply_limit_per_minute.is_some()),
    ];
    set.into_iter().filter_map(|(path, set)| set.then_some(path)).collect()
}

fn display_name(checks: &mut Checks, given: String) -> Option<String> {
    checks.text("tenant.display_name", &DISPLAY_NAME, given)
}

fn phone(checks: &mut Checks, given: String) -> Option<String> {
    checks.take("tenant.phone", check_phone(&given).map(|()| given))
}

fn template(checks: &mut Checks, given: i32) -> Option<TemplateKind> {
    checks.optional_enum("tenant.template", given).map(|given| match given {
        None | Some(v1::Template::Unspecified) | Some(v1::Template::Support) => TemplateKind::Support,
        Some(v1::Template::Booking) => TemplateKind::Booking,
        Some(v1::Template::Ecommerce) => TemplateKind::Ecommerce,
    })
}

fn language(checks: &mut Checks, given: i32) -> Option<LanguageCode> {
    checks.optional_enum("tenant.language", given).map(|given| match given {
        None | Some(v1::Language::Unspecified) | Some(v1::Language::En) => LanguageCode::En,
        Some(v1::Language::Sw) => LanguageCode::Sw,
    })
}

fn reply_limit(checks: &mut Checks, given: Option<i32>) -> Option<u32> {
    let Some(given) = given else { return Some(DEFAULT_REPLY_LIMIT) };
    let limit = u32::try_from(given).ok().filter(|limit| REPLY_LIMITS.contains(limit));
    let why = || format!("{given} is not allowed: 1 to {}, or 0 for no limit", REPLY_LIMITS.end());
    checks.take("tenant.reply_limit_per_minute", limit.ok_or_else(why))
}

fn texts(checks: &mut Checks, given: Option<v1::BusinessTexts>) -> Option<Texts> {
    let given = given.unwrap_or_default();
    let greeting = checks.text("tenant.texts.greeting", &BUSINESS_TEXT, given.greeting);
    let fallback = checks.text("tenant.texts.fallback", &BUSINESS_TEXT, given.fallback);
    let limit_warning = checks.text("tenant.texts.limit_warning", &BUSINESS_TEXT, given.limit_warning);
    let menu = menu(checks, given.menu);
    Some(Texts { greeting: greeting?, fallback: fallback?, limit_warning: limit_warning?, menu: menu? })
}

fn menu(checks: &mut Checks, given: Vec<v1::MenuItem>) -> Option<Vec<MenuItem>> {
    if given.len() > MENU_ITEMS {
        let why = format!("has {} items, at most {MENU_ITEMS} are allowed", given.len());
        return checks.take("tenant.texts.menu", Err(why));
    }
    // Every item is checked, also after one that is wrong.
    let items: Vec<_> =
        given.into_iter().enumerate().map(|(index, item)| menu_item(checks, index, item)).collect();
    items.into_iter().collect()
}

fn menu_item(checks: &mut Checks, index: usize, given: v1::MenuItem) -> Option<MenuItem> {
    let field = |name: &str| format!("tenant.texts.menu[{index}].{name}");
    let title = checks.text(&field("title"), &MENU_TITLE, given.title);
    let reply = checks.text(&field("reply"), &MENU_REPLY, given.reply);
    if given.keywords.len() > KEYWORDS {
        let why = format!("has {} words, at most {KEYWORDS} are allowed", given.keywords.len());
        return checks.take(&field("keywords"), Err(why));
    }
    let words = given.keywords.into_iter().enumerate();
    let words: Vec<_> = words
        .map(|(at, word)| checks.text(&format!("{}[{at}]", field("keywords")), &KEYWORD, word))
        .collect();
    Some(MenuItem { title: title?, reply: reply?, keywords: words.into_iter().collect::<Option<_>>()? })
}

#[cfg(test)]
#[path = "tenant_tests.rs"]
mod tests;
