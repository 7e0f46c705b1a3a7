//! A tenant as it comes in, to be created or changed.

use std::{collections::BTreeSet, ops::RangeInclusive};

use roost_model::{DEFAULT_LANGUAGE, DEFAULT_TEMPLATE, LanguageCode, TemplateKind, ids::TenantId};
use roost_proto::{error::ApiError, v1};
use roost_store::{NewTenant, TenantPatch};
use uuid::Uuid;

use super::{
    Checks, Text,
    browser::browser_settings,
    business_texts::texts,
    labels::{LABELS, METADATA, Named},
    limits::{limits, limits_patch},
    log_level::own_log_level,
    proxy::proxy,
    replies::{answer_within, reply_limit, resend_policy},
    restart_schedule::restart_schedule,
    text::check_phone,
    timing::timing,
};

const DISPLAY_NAME: Text = Text::line(1, 200);
const QR_ROTATIONS: RangeInclusive<u32> = 0..=10_000;

/// The fields that UpdateTenant can change, by their paths.
const PATHS: [&str; 20] = [
    "display_name",
    "phone",
    "template",
    "language",
    "texts",
    "reply_limit_per_minute",
    "answer_within",
    "resend_policy",
    "restart_schedule",
    "qr_rotations",
    "memory_request_bytes",
    "memory_limit_bytes",
    "cpu_limit_millicores",
    "process_limit",
    "browser",
    "proxy",
    "timing",
    "log_level",
    "labels",
    "metadata",
];
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
    let limits = limits(&mut checks, &tenant);
    let display_name = display_name(&mut checks, tenant.display_name);
    let phone = phone(&mut checks, tenant.phone);
    let template = template(&mut checks, tenant.template);
    let language = language(&mut checks, tenant.language);
    let texts = texts(&mut checks, tenant.texts);
    let limit = reply_limit(&mut checks, tenant.reply_limit_per_minute);
    let answer_within = answer_within(&mut checks, tenant.answer_within);
    let resend_policy = resend_policy(&mut checks, tenant.resend_policy);
    let restart_schedule = restart_schedule(&mut checks, tenant.restart_schedule);
    let qr_rotations = qr_rotations(&mut checks, tenant.qr_rotations);
    let browser = browser_settings(&mut checks, tenant.browser);
    let proxy = proxy(&mut checks, tenant.proxy);
    let timing = timing(&mut checks, tenant.timing);
    let log_level = own_log_level(&mut checks, tenant.log_level);
    let labels = LABELS.check(&mut checks, tenant.labels);
    let metadata = METADATA.check(&mut checks, tenant.metadata);
    let (
        Some(id),
        Some(display_name),
        Some(phone),
        Some(template),
        Some(language),
        Some(texts),
        Some(limit),
        Some(answer_within),
        Some(resend_policy),
        Some(restart_schedule),
        Some(qr_rotations),
        Some(browser),
        Some(proxy),
        Some(timing),
        Some(log_level),
        Some(labels),
        Some(metadata),
        true,
    ) = (
        id,
        display_name,
        phone,
        template,
        language,
        texts,
        limit,
        answer_within,
        resend_policy,
        restart_schedule,
        qr_rotations,
        browser,
        proxy,
        timing,
        log_level,
        labels,
        metadata,
        checks.passed(),
    )
    else {
        return Err(checks.refusal());
    };
    let reply_limit_per_minute = limit;
    Ok(NewTenant {
        id,
        display_name,
        phone,
        template,
        language,
        texts,
        reply_limit_per_minute,
        answer_within,
        resend_policy,
        restart_schedule,
        qr_rotations,
        limits,
        browser,
        proxy,
        timing,
        log_level,
        labels,
        metadata,
    })
}

/// Which tenant to change and how, or all that is wrong with it. A field that the mask names is checked as at creation:
/// where it is not set it goes back to its default, or is missed where there is none.
pub fn tenant_patch(request: v1::UpdateTenantRequest) -> Result<(TenantId, TenantPatch), ApiError> {
    let mut checks = Checks::default();
    let Some(tenant) = checks.take("tenant", request.tenant.ok_or_else(|| "is required".to_owned())) else {
        return Err(checks.refusal());
    };
    let id = checks.tenant_id("tenant.id", &tenant.id);
    let patch = settings(&mut checks, tenant, request.update_mask);
    match id {
        Some(id) if checks.passed() => Ok((id, patch)),
        _ => Err(checks.refusal()),
    }
}

/// The fields that the mask names, or without one those that are set.
pub(super) fn settings(
    checks: &mut Checks,
    tenant: v1::Tenant,
    mask: Option<prost_types::FieldMask>,
) -> TenantPatch {
    let mut entries = Named::default();
    let paths = match mask {
        Some(mask) if !mask.paths.is_empty() => {
            let fields = entries.take_from(mask.paths);
            named(checks, &fields)
        }
        _ => populated(&tenant),
    };
    if paths.is_empty() && entries.is_empty() && checks.passed() {
        let nothing = "names no field, and no field of tenant that can be changed is set".to_owned();
        checks.take::<()>("update_mask", Err(nothing));
    }
    let named = |path: &str| paths.contains(path);
    TenantPatch {
        limits: limits_patch(checks, &tenant, named),
        display_name: named("display_name").then(|| display_name(checks, tenant.display_name)).flatten(),
        phone: named("phone").then(|| phone(checks, tenant.phone)).flatten(),
        template: named("template").then(|| template(checks, tenant.template)).flatten(),
        language: named("language").then(|| language(checks, tenant.language)).flatten(),
        texts: named("texts").then(|| texts(checks, tenant.texts)).flatten(),
        reply_limit_per_minute: named("reply_limit_per_minute")
            .then(|| reply_limit(checks, tenant.reply_limit_per_minute))
            .flatten(),
        answer_within: named("answer_within").then(|| answer_within(checks, tenant.answer_within)).flatten(),
        resend_policy: named("resend_policy").then(|| resend_policy(checks, tenant.resend_policy)).flatten(),
        restart_schedule: named("restart_schedule")
            .then(|| restart_schedule(checks, tenant.restart_schedule))
            .flatten(),
        qr_rotations: named("qr_rotations").then(|| qr_rotations(checks, tenant.qr_rotations)).flatten(),
        browser: named("browser").then(|| browser_settings(checks, tenant.browser)).flatten(),
        proxy: named("proxy").then(|| proxy(checks, tenant.proxy)).flatten(),
        timing: named("timing").then(|| timing(checks, tenant.timing)).flatten(),
        log_level: named("log_level").then(|| own_log_level(checks, tenant.log_level)).flatten(),
        labels: LABELS.patch(checks, tenant.labels, named("labels"), entries.labels),
        metadata: METADATA.patch(checks, tenant.metadata, named("metadata"), entries.metadata),
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
        ("answer_within", tenant.answer_within.is_some()),
        ("resend_policy", tenant.resend_policy != 0),
        ("restart_schedule", tenant.restart_schedule.is_some()),
        ("qr_rotations", tenant.qr_rotations.is_some()),
        ("memory_request_bytes", tenant.memory_request_bytes.is_some()),
        ("memory_limit_bytes", tenant.memory_limit_bytes.is_some()),
        ("cpu_limit_millicores", tenant.cpu_limit_millicores.is_some()),
        ("process_limit", tenant.process_limit.is_some()),
        ("browser", tenant.browser.is_some()),
        ("proxy", tenant.proxy.is_some()),
        ("timing", tenant.timing.is_some()),
        ("log_level", tenant.log_level.is_some()),
        ("labels", !tenant.labels.is_empty()),
        ("metadata", !tenant.metadata.is_empty()),
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
        None | Some(v1::Template::Unspecified) => DEFAULT_TEMPLATE,
        Some(v1::Template::Support) => TemplateKind::Support,
        Some(v1::Template::Booking) => TemplateKind::Booking,
        Some(v1::Template::Ecommerce) => TemplateKind::Ecommerce,
    })
}

fn language(checks: &mut Checks, given: i32) -> Option<LanguageCode> {
    checks.optional_enum("tenant.language", given).map(|given| match given {
        None | Some(v1::Language::Unspecified) => DEFAULT_LANGUAGE,
        Some(v1::Language::En) => LanguageCode::En,
        Some(v1::Language::Sw) => LanguageCode::Sw,
    })
}

fn qr_rotations(checks: &mut Checks, given: Option<i32>) -> Option<Option<u32>> {
    let Some(given) = given else { return Some(None) };
    let codes = u32::try_from(given).ok().filter(|codes| QR_ROTATIONS.contains(codes));
    let why =
        || format!("{given} is not allowed: 1 to {}, or 0 for codes without an end", QR_ROTATIONS.end());
    checks.take("tenant.qr_rotations", codes.ok_or_else(why)).map(Some)
}

#[cfg(test)]
mod tests;
