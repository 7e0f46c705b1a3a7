//! What a business's automation says: tried and changed in the portal and by the API, and its worker's log.

use roost_proto::{error::ErrorCode, v1};

use super::{audit, browser::signed_in};
use crate::api::harness::{TOKEN, api, error_of};

const PAGE: &str = "/t/asha/template";
const PREVIEW: &str = "/t/asha/template/preview";

#[tokio::test]
async fn an_owner_tries_and_changes_what_is_answered_and_staff_only_tries() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let page = owner.get(PAGE).await;
    let token = page.form_token();
    assert!(page.text.contains("value=\"save\"") && page.text.contains("Hello"), "{page:?}");
    let form = |action: &'static str, title: &'static str| {
        [
            ("name", "Duka <la> Asha"),
            ("template", "ecommerce"),
            ("language", "sw"),
            ("greeting", "Karibu {business}!"),
            ("fallback", ""),
            ("limit_warning", ""),
            ("title", title),
            ("reply", "Bei ni\r\n500"),
            ("keywords", "bei, gharama"),
            ("title", ""),
            ("reply", ""),
            ("keywords", ""),
            ("messages", "Habari\nGHARAMA?"),
            ("action", action),
        ]
    };
    let with = |token: &str, action, title| {
        let fields = form(action, title).into_iter().map(|(name, value)| (name, value.to_owned()));
        fields.chain([("form_token", token.to_owned())]).collect::<Vec<_>>()
    };
    fn fields<'a>(owned: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
        owned.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    // Shown and not kept.
    let shown = owner.post(PREVIEW, &fields(&with(&token, "", "Bei"))).await;
    assert!(
        shown.text.contains("Karibu Duka &lt;la&gt; Asha!") && shown.text.contains("Bei ni\n500"),
        "{shown:?}"
    );
    assert!(!shown.text.contains("<html"), "{shown:?}");
    let forged = owner.post(PREVIEW, &fields(&with("0", "", "Bei"))).await;
    assert_eq!(forged.status, 403);
    let tried = owner.post(PAGE, &fields(&with(&token, "preview", "Bei"))).await;
    assert!(tried.status == 200 && tried.text.contains("value=\"bei, gharama\""), "{tried:?}");
    assert!(!owner.get(PAGE).await.text.contains("gharama"));

    // What is wrong is told beside what was typed, and nothing is changed.
    let wrong = owner.post(PAGE, &fields(&with(&token, "save", ""))).await;
    assert!(wrong.status == 400 && wrong.text.contains("A line of the menu needs a name"), "{wrong:?}");
    let old = owner.post(PAGE, &fields(&with("0", "save", "Bei"))).await;
    assert!(old.status == 403 && old.text.contains("value=\"bei, gharama\""), "{old:?}");

    let saved = owner.post(PAGE, &fields(&with(&token, "save", "Bei"))).await;
    assert_eq!((saved.status, saved.location()), (303, Some(PAGE)));
    let tenant =
        api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await.unwrap().into_inner();
    let texts = tenant.texts.unwrap();
    assert_eq!((tenant.display_name.as_str(), tenant.language), ("Duka <la> Asha", v1::Language::Sw as i32));
    assert_eq!((texts.menu.len(), texts.menu[0].reply.as_str()), (1, "Bei ni\n500"));
    assert_eq!(texts.menu[0].keywords, ["bei", "gharama"]);
    let written = audit(&api, "user asha@duka.example").await;
    assert!(written.contains(&("TenantService/UpdateTemplateSettings".into(), "OK".into())), "{written:?}");

    let mut staff = signed_in(&api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let page = staff.get(PAGE).await;
    assert!(!page.text.contains("value=\"save\"") && page.text.contains("Karibu"), "{page:?}");
    let refused = staff.post(PAGE, &fields(&with(&page.form_token(), "save", "Other"))).await;
    assert_eq!(refused.status, 404);
    assert_eq!(staff.get("/t/asha/log").await.status, 404);
    assert_eq!(staff.get("/t/juma/template").await.status, 404);
}

#[tokio::test]
async fn a_template_is_tried_and_changed_by_the_api_and_nothing_else_by_it() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let request = |tenant: Option<v1::Tenant>, messages: &[&str]| v1::PreviewTemplateRequest {
        tenant_id: "asha".into(),
        tenant,
        messages: messages.iter().map(|message| (*message).to_owned()).collect(),
    };
    let echo = v1::Tenant {
        texts: Some(v1::BusinessTexts { fallback: "You: {message}".into(), ..Default::default() }),
        ..Default::default()
    };
    let answer = api.tenants().preview_template(request(Some(echo), &["Hello", ""])).await.unwrap();
    let told: Vec<_> = answer.into_inner().messages.into_iter().map(|it| (it.message, it.replies)).collect();
    assert_eq!(told, [("Hello".into(), vec!["You: Hello".into()]), (String::new(), vec!["You: ".into()])]);
    let none = api.tenants().preview_template(request(None, &[])).await.unwrap_err();
    assert_eq!(error_of(&none).violations[0].field, "messages");
    let unknown = v1::PreviewTemplateRequest { tenant_id: "nobody".into(), ..request(None, &["x"]) };
    assert_eq!(
        error_of(&api.tenants().preview_template(unknown).await.unwrap_err()).code,
        ErrorCode::NotFound
    );

    let tenant = v1::Tenant { id: "asha".into(), reply_limit_per_minute: Some(0), ..Default::default() };
    let more = v1::UpdateTemplateSettingsRequest { tenant: Some(tenant), update_mask: None };
    let mut tenants = v1::tenant_service_client::TenantServiceClient::new(api.authed(TOKEN));
    let refused = tenants.update_template_settings(more).await.unwrap_err();
    assert_eq!(error_of(&refused).violations[0].field, "tenant");
}
