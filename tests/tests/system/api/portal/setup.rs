//! Asking for a business in the portal, and what those who run the cluster decide about it.

use roost_proto::{
    error::ErrorCode,
    v1::{self, SetupRequestState, setup_service_client::SetupServiceClient},
};

use super::{
    Browser,
    browser::{PASSWORD, Page, signed_in},
};
use crate::api::harness::{Api, Authed, TOKEN, api, error_of};

fn setups(api: &Api) -> SetupServiceClient<Authed> {
    SetupServiceClient::new(api.authed(TOKEN))
}

async fn applicant(api: &Api, email: &str) -> Browser {
    let request = v1::InviteApplicantRequest { email: email.into() };
    let link = setups(api).invite_applicant(request).await.unwrap().into_inner().url;
    let mut browser = Browser::of(api);
    let page = browser.get(&link).await;
    assert!(page.text.contains("which business is to be set up"), "{page:?}");
    let answer = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((answer.status, browser.get("/").await.location()), (303, Some("/setup")));
    assert_eq!(Browser::of(api).get(&link).await.status, 410, "a link is used once");
    browser
}

async fn asks(browser: &mut Browser, phone: &str) -> Page {
    let form_token = browser.get("/setup").await.form_token();
    let form = [
        ("form_token", form_token.as_str()),
        ("name", "Duka la <b>Asha</b>"),
        ("phone", phone),
        ("template", "ecommerce"),
        ("language", "sw"),
        ("greeting", "Karibu {business}!"),
        ("fallback", ""),
    ];
    browser.post("/setup", &form).await
}

async fn listed(api: &Api, state: SetupRequestState) -> Vec<v1::SetupRequest> {
    let request = v1::ListSetupRequestsRequest { state: state.into(), ..Default::default() };
    setups(api).list_setup_requests(request).await.unwrap().into_inner().setup_requests
}

async fn told(browser: &mut Browser) -> String {
    browser.get("/setup").await.text
}

#[tokio::test]
async fn what_is_asked_for_is_made_as_it_was_asked_for_and_belongs_to_who_asked() {
    let api = api().await;
    let mut browser = applicant(&api, "asha@duka.example").await;
    assert_eq!(asks(&mut browser, "+255 700-000 001").await.location(), Some("/setup"));
    let page = told(&mut browser).await;
    assert!(page.contains("Asked for: Duka la &lt;b&gt;") && !page.contains("name=\"phone\""), "{page}");
    let id = listed(&api, SetupRequestState::Submitted).await[0].id;

    let mut events = browser.follow("/setup/live?seen=submitted").await;
    setups(&api).review_setup_request(v1::ReviewSetupRequestRequest { id }).await.unwrap();
    assert_eq!(events.next().await.map(|(name, _)| name).as_deref(), Some("over"));
    let page = told(&mut browser).await;
    assert!(page.contains("Somebody looks at it"), "{page}");

    let approval = v1::ApproveSetupRequestRequest { id, tenant_id: String::new() };
    let approved = setups(&api).approve_setup_request(approval.clone()).await.unwrap().into_inner();
    assert_eq!(
        (approved.state(), approved.tenant_id.as_str()),
        (SetupRequestState::Approved, "duka-la-b-asha-b-1")
    );
    let missed = browser.follow("/setup/live?seen=reviewing").await.next().await;
    assert_eq!(missed.map(|(name, _)| name).as_deref(), Some("over"), "told also of what was before");
    let own = format!("/t/{}", approved.tenant_id);
    assert!(told(&mut browser).await.contains(&own));
    let page = browser.get(&own).await;
    assert!(page.orders().contains(&"pause"), "its worker is started, and its owner runs it: {page:?}");
    let id_of = v1::GetTenantRequest { id: approved.tenant_id.clone() };
    let tenant = api.tenants().get_tenant(id_of).await.unwrap().into_inner();
    assert_eq!(
        (
            tenant.phone.as_str(),
            tenant.template(),
            tenant.language(),
            tenant.texts.unwrap().greeting.as_str()
        ),
        ("+255700000001", v1::Template::Ecommerce, v1::Language::Sw, "Karibu {business}!")
    );
    let again = setups(&api).approve_setup_request(approval).await.unwrap_err();
    assert_eq!(error_of(&again).code, ErrorCode::FailedPrecondition);

    sqlx::query("update whatsapp_sessions set status = 'CONNECTED' where tenant_id = $1")
        .bind(&approved.tenant_id)
        .execute(&sqlx::PgPool::connect(&api.database_url).await.unwrap())
        .await
        .unwrap();
    assert_eq!(listed(&api, SetupRequestState::Active).await.len(), 1);
    assert_eq!(asks(&mut browser, "+255700000002").await.status, 303, "one may be asked for beside it");
}

#[tokio::test]
async fn what_is_rejected_says_why_and_may_be_asked_for_again() {
    let api = api().await;
    let mut browser = applicant(&api, "asha@duka.example").await;
    asks(&mut browser, "+255700000001").await;
    let id = listed(&api, SetupRequestState::Submitted).await[0].id;
    let none = v1::RejectSetupRequestRequest { id, reason: String::new() };
    let refused = setups(&api).reject_setup_request(none).await.unwrap_err();
    assert_eq!(error_of(&refused).violations[0].field, "reason");
    let reason = "The number is <i>not</i> on WhatsApp.".to_owned();
    let rejection = v1::RejectSetupRequestRequest { id, reason };
    setups(&api).reject_setup_request(rejection.clone()).await.unwrap();
    let page = told(&mut browser).await;
    assert!(
        page.contains("The number is &lt;i&gt;not&lt;") && page.contains("value=\"+255700000001\""),
        "{page}"
    );
    let again = setups(&api).reject_setup_request(rejection).await.unwrap_err();
    assert_eq!(error_of(&again).code, ErrorCode::FailedPrecondition);
    let approval = v1::ApproveSetupRequestRequest { id, tenant_id: "asha".into() };
    let late = setups(&api).approve_setup_request(approval).await.unwrap_err();
    assert_eq!(error_of(&late).code, ErrorCode::FailedPrecondition);
    let no_tenant = api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await.unwrap_err();
    assert_eq!(error_of(&no_tenant).code, ErrorCode::NotFound, "nothing of it was made");
    assert_eq!(asks(&mut browser, "+255700000001").await.status, 303);
    assert_eq!(listed(&api, SetupRequestState::Unspecified).await.len(), 2);
}

#[tokio::test]
async fn a_number_that_is_taken_is_refused_when_it_is_submitted() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let phone = api
        .tenants()
        .get_tenant(v1::GetTenantRequest { id: "asha".into() })
        .await
        .unwrap()
        .into_inner()
        .phone;
    let mut one = applicant(&api, "juma@duka.example").await;
    let refused = asks(&mut one, &phone).await;
    assert!(refused.status == 409 && refused.text.contains("a business&#x27;s already"), "{refused:?}");
    assert_eq!(asks(&mut one, "+255700000009").await.status, 303);
    assert_eq!(asks(&mut one, "+255700000008").await.location(), Some("/setup"), "one at a time");
    assert_eq!(listed(&api, SetupRequestState::Submitted).await.len(), 1);
    let mut two = applicant(&api, "neema@duka.example").await;
    assert_eq!(asks(&mut two, "+255700000009").await.status, 409);

    for (phone, told) in [("0700 000 001", "country code"), ("", "country code")] {
        let wrong = asks(&mut two, phone).await;
        assert!(wrong.status == 400 && wrong.text.contains(told), "{wrong:?}");
    }
    let wrong = two
        .post(
            "/setup",
            &[
                ("form_token", "0"),
                ("name", "x"),
                ("phone", "+255700000003"),
                ("template", "support"),
                ("language", "en"),
                ("greeting", ""),
                ("fallback", ""),
            ],
        )
        .await;
    assert_eq!(wrong.status, 403, "a form of another page");
    assert_eq!(listed(&api, SetupRequestState::Submitted).await.len(), 1);
}

#[tokio::test]
async fn one_of_a_business_asks_for_another_and_nobody_else_sees_it() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    assert_eq!(asks(&mut owner, "+255700000002").await.status, 303);
    let mut other = applicant(&api, "juma@duka.example").await;
    let page = told(&mut other).await;
    assert!(!page.contains("Asked for"), "{page}");
    assert_eq!(other.get("/setup/live?seen=submitted").await.status, 404);
    let mut nobody = Browser::of(&api);
    for path in ["/setup", "/setup/live?seen=submitted"] {
        assert_eq!(nobody.get(path).await.location(), Some("/sign-in"), "{path}");
    }
}

#[tokio::test]
async fn nobody_asks_more_often_than_a_person_would() {
    let api = api().await;
    let mut browser = applicant(&api, "asha@duka.example").await;
    for _ in 0..10 {
        assert_eq!(asks(&mut browser, "+255700000001").await.status, 303);
        let id = listed(&api, SetupRequestState::Submitted).await[0].id;
        let rejection = v1::RejectSetupRequestRequest { id, reason: "no".into() };
        setups(&api).reject_setup_request(rejection).await.unwrap();
    }
    let refused = asks(&mut browser, "+255700000001").await;
    assert!(refused.status == 429 && refused.text.contains("tomorrow"), "{refused:?}");
}
