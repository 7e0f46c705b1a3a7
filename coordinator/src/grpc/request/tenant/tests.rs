//! What of a request for a tenant is taken, and how the rest is refused.

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
    assert_eq!(fields(&create(v1::Tenant::default()).unwrap_err()), ["tenant.display_name", "tenant.phone"]);
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
    assert_eq!(fields(&create(v1::Tenant { id: "other".into(), ..tenant() }).unwrap_err()), ["tenant.id"]);
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
            menu: vec![item("Hours", vec!["open"]), item("", vec!["ok", ""]), item("Many", vec!["w"; 11])],
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
    for said in ["\"shoe_size\" is no field", "\"status\" is output only", "\"texts.greeting\" is no field"] {
        assert!(error.message.contains(said), "{said}: {}", error.message);
    }
}
