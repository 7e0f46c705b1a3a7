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
    let mut entries = Named::default();
    let paths = match request.update_mask {
        Some(mask) if !mask.paths.is_empty() => {
            let fields = entries.take_from(mask.paths);
            named(&mut checks, &fields)
        }
        _ => populated(&tenant),
    };
    if paths.is_empty() && entries.is_empty() && checks.passed() {
        let nothing = "names no field, and no field of tenant that can be changed is set".to_owned();
        checks.take::<()>("update_mask", Err(nothing));
    }
    let named = |path: &str| paths.contains(path);
    let patch = TenantPatch {
        limits: limits_patch(&mut checks, &tenant, named),
        display_name: named("display_name").then(|| display_name(&mut checks, tenant.display_name)).flatten(),
        phone: named("phone").then(|| phone(&mut checks, tenant.phone)).flatten(),
        template: named("template").then(|| template(&mut checks, tenant.template)).flatten(),
        language: named("language").then(|| language(&mut checks, tenant.language)).flatten(),
        texts: named("texts").then(|| texts(&mut checks, tenant.texts)).flatten(),
        reply_limit_per_minute: named("reply_limit_per_minute")
            .then(|| reply_limit(&mut checks, tenant.reply_limit_per_minute))
            .flatten(),
        answer_within: named("answer_within")
            .then(|| answer_within(&mut checks, tenant.answer_within))
            .flatten(),
        resend_policy: named("resend_policy")
            .then(|| resend_policy(&mut checks, tenant.resend_policy))
            .flatten(),
        restart_schedule: named("restart_schedule")
            .then(|| restart_schedule(&mut checks, tenant.restart_schedule))
            .flatten(),
        qr_rotations: named("qr_rotations").then(|| qr_rotations(&mut checks, tenant.qr_rotations)).flatten(),
        browser: named("browser").then(|| browser_settings(&mut checks, tenant.browser)).flatten(),
        proxy: named("proxy").then(|| proxy(&mut checks, tenant.proxy)).flatten(),
        timing: named("timing").then(|| timing(&mut checks, tenant.timing)).flatten(),
        log_level: named("log_level").then(|| own_log_level(&mut checks, tenant.log_level)).flatten(),
        labels: LABELS.patch(&mut checks, tenant.labels, named("labels"), entries.labels),
        metadata: METADATA.patch(&mut checks, tenant.metadata, named("metadata"), entries.metadata),
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
mod tests {
    use roost_model::{DEFAULT_ANSWER_WITHIN, ResendPolicy, Texts};

    use super::*;

    fn tenant() -> v1::Tenant {
        v1::Tenant { display_name: "Mama Asha".into(), phone: "+255700000001".into(), ..Default::default() }
    }

    fn create(tenant: v1::Tenant) -> Result<NewTenant, ApiError> {
        new_tenant(v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "asha".into() })
    }

    fn update(tenant: v1::Tenant, paths: &[&str]) -> Result<TenantPatch, ApiError> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let request = v1::UpdateTenantRequest {
            tenant: Some(v1::Tenant { id: "asha".into(), ..tenant }),
            update_mask: Some(prost_types::FieldMask { paths }),
        };
        tenant_patch(request).map(|(_, patch)| patch)
    }

    fn fields(error: &ApiError) -> Vec<&str> {
        error.violations.iter().map(|violation| violation.field.as_str()).collect()
    }

    #[test]
    fn a_tenant_has_defaults_for_all_but_its_name_and_phone() {
        let new = create(tenant()).unwrap();
        assert_eq!(
            (new.template, new.language, new.reply_limit_per_minute),
            (TemplateKind::Support, LanguageCode::En, 10)
        );
        assert_eq!(new.texts, Texts::default());
        assert_eq!(
            fields(&create(v1::Tenant::default()).unwrap_err()),
            ["tenant.display_name", "tenant.phone"]
        );
        assert_eq!(fields(&new_tenant(v1::CreateTenantRequest::default()).unwrap_err()), ["tenant"]);
    }

    #[test]
    fn an_id_is_chosen_when_none_is_given() {
        let new =
            new_tenant(v1::CreateTenantRequest { tenant: Some(tenant()), tenant_id: String::new() }).unwrap();
        assert_eq!(Uuid::parse_str(new.id.as_str()).unwrap().get_version_num(), 7);
    }

    #[test]
    fn an_id_in_the_tenant_must_be_the_one_of_the_request() {
        assert!(create(v1::Tenant { id: "asha".into(), ..tenant() }).is_ok());
        assert_eq!(
            fields(&create(v1::Tenant { id: "other".into(), ..tenant() }).unwrap_err()),
            ["tenant.id"]
        );
    }

    #[test]
    fn every_wrong_field_is_named_with_its_path() {
        let item = |title: &str, keywords: Vec<&str>| v1::MenuItem {
            title: title.into(),
            reply: "yes".into(),
            keywords: keywords.into_iter().map(Into::into).collect(),
        };
        let error = create(v1::Tenant {
            display_name: "x".repeat(201),
            phone: "0700".into(),
            template: 9,
            language: -1,
            reply_limit_per_minute: Some(10_001),
            answer_within: Some(prost_types::Duration { seconds: 604_801, nanos: 0 }),
            resend_policy: 3,
            texts: Some(v1::BusinessTexts {
                greeting: "g".repeat(4_097),
                menu: vec![
                    item("Hours", vec!["open"]),
                    item("", vec!["ok", ""]),
                    item("Many", vec!["w"; 11]),
                ],
                ..Default::default()
            }),
            ..Default::default()
        })
        .unwrap_err();
        assert_eq!(
            fields(&error),
            [
                "tenant.display_name",
                "tenant.phone",
                "tenant.template",
                "tenant.language",
                "tenant.texts.greeting",
                "tenant.texts.menu[1].title",
                "tenant.texts.menu[1].keywords[1]",
                "tenant.texts.menu[2].keywords",
                "tenant.reply_limit_per_minute",
                "tenant.answer_within",
                "tenant.resend_policy",
            ]
        );
    }

    #[test]
    fn a_menu_has_at_most_twenty_items() {
        let item = v1::MenuItem { title: "t".into(), reply: "r".into(), keywords: vec![] };
        let with = |count: usize| {
            let texts = v1::BusinessTexts { menu: vec![item.clone(); count], ..Default::default() };
            create(v1::Tenant { texts: Some(texts), ..tenant() })
        };
        assert!(with(20).is_ok());
        assert_eq!(fields(&with(21).unwrap_err()), ["tenant.texts.menu"]);
    }

    #[test]
    fn zero_lifts_the_reply_limit_and_less_is_refused() {
        let with = |limit| create(v1::Tenant { reply_limit_per_minute: Some(limit), ..tenant() });
        assert_eq!(with(0).unwrap().reply_limit_per_minute, 0);
        assert!(with(-1).is_err());
    }

    #[test]
    fn messages_are_answered_for_a_day_unless_it_is_set_to_a_minute_or_more_and_a_week_at_most() {
        let with = |seconds, nanos| {
            let answer_within = Some(prost_types::Duration { seconds, nanos });
            create(v1::Tenant { answer_within, ..tenant() })
        };
        assert_eq!(create(tenant()).unwrap().answer_within, DEFAULT_ANSWER_WITHIN);
        for seconds in [60, 604_800] {
            assert_eq!(with(seconds, 0).unwrap().answer_within.as_secs(), seconds.unsigned_abs());
        }
        for (seconds, nanos) in [(59, 0), (604_801, 0), (60, 1), (-60, 0), (i64::MAX, 0)] {
            let error = with(seconds, nanos).unwrap_err();
            assert_eq!(fields(&error), ["tenant.answer_within"], "{seconds} s {nanos} ns");
        }
        let patch = update(tenant(), &["answer_within"]).unwrap();
        assert_eq!(patch.answer_within, Some(DEFAULT_ANSWER_WITHIN), "back to its default");
    }

    #[test]
    fn what_may_have_been_sent_is_sent_again_unless_it_is_to_be_held() {
        let hold = || v1::Tenant { resend_policy: v1::ResendPolicy::Hold.into(), ..tenant() };
        assert_eq!(create(tenant()).unwrap().resend_policy, ResendPolicy::Resend);
        assert_eq!(create(hold()).unwrap().resend_policy, ResendPolicy::Hold);
        assert_eq!(update(hold(), &["resend_policy"]).unwrap().resend_policy, Some(ResendPolicy::Hold));
        let patch = update(tenant(), &["resend_policy"]).unwrap();
        assert_eq!(patch.resend_policy, Some(ResendPolicy::Resend), "back to its default");
        let held = v1::Tenant { resend_policy: v1::ResendPolicy::Hold.into(), ..v1::Tenant::default() };
        let only = TenantPatch { resend_policy: Some(ResendPolicy::Hold), ..TenantPatch::default() };
        assert_eq!(update(held, &[]).unwrap(), only);
    }

    #[test]
    fn the_number_of_codes_is_the_nodes_unless_it_is_given() {
        let with = |codes| v1::Tenant { qr_rotations: codes, ..tenant() };
        assert_eq!(create(with(None)).unwrap().qr_rotations, None);
        assert_eq!(create(with(Some(0))).unwrap().qr_rotations, Some(0));
        assert_eq!(update(with(Some(7)), &["qr_rotations"]).unwrap().qr_rotations, Some(Some(7)));
        assert_eq!(update(with(None), &["qr_rotations"]).unwrap().qr_rotations, Some(None));
        for wrong in [-1, 10_001] {
            assert_eq!(fields(&create(with(Some(wrong))).unwrap_err()), ["tenant.qr_rotations"]);
        }
    }

    #[test]
    fn a_restart_schedule_is_changed_as_a_whole_and_an_empty_one_takes_it_off() {
        let daily = || v1::RestartSchedule { cron: "@daily".into(), ..Default::default() };
        let with = |schedule| v1::Tenant { restart_schedule: Some(schedule), ..v1::Tenant::default() };
        let set = update(with(daily()), &[]).unwrap().restart_schedule.unwrap().unwrap();
        assert_eq!((set.cron.as_str(), set.time_zone.as_str()), ("@daily", "UTC"));
        for off in [update(with(Default::default()), &[]), update(tenant(), &["restart_schedule"])] {
            assert_eq!(off.unwrap().restart_schedule, Some(None));
        }
        assert_eq!(update(tenant(), &["phone"]).unwrap().restart_schedule, None);
    }

    #[test]
    fn a_mask_changes_what_it_names_and_nothing_else() {
        let patch =
            update(v1::Tenant { language: 2, ..tenant() }, &["language", "reply_limit_per_minute"]).unwrap();
        let expected = TenantPatch {
            language: Some(LanguageCode::Sw),
            reply_limit_per_minute: Some(10),
            ..TenantPatch::default()
        };
        assert_eq!(patch, expected);
    }

    #[test]
    fn an_empty_mask_changes_the_fields_that_are_set() {
        let patch = update(v1::Tenant { template: 1, ..v1::Tenant::default() }, &[]).unwrap();
        assert_eq!(patch, TenantPatch { template: Some(TemplateKind::Booking), ..TenantPatch::default() });
        assert_eq!(fields(&update(v1::Tenant::default(), &[]).unwrap_err()), ["update_mask"]);
    }

    #[test]
    fn a_star_replaces_all_and_needs_what_has_no_default() {
        let patch = update(tenant(), &["*"]).unwrap();
        assert_eq!((patch.texts, patch.template), (Some(Texts::default()), Some(TemplateKind::Support)));
        assert_eq!(
            fields(&update(v1::Tenant::default(), &["*"]).unwrap_err()),
            ["tenant.display_name", "tenant.phone"]
        );
    }

    #[test]
    fn a_path_that_cannot_be_changed_is_named() {
        let error = update(tenant(), &["phone", "shoe_size", "status", "texts.greeting"]).unwrap_err();
        assert_eq!(fields(&error), ["update_mask"; 3]);
        for said in
            ["\"shoe_size\" is no field", "\"status\" is output only", "\"texts.greeting\" is no field"]
        {
            assert!(error.message.contains(said), "{said}: {}", error.message);
        }
    }
}
