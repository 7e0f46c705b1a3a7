//! Which tenants are accepted as they are written in a request, and which are refused.

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
