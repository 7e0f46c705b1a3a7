//! Links for others: the code of one tenant, for whoever has the phone.

use roost_proto::{error::ErrorCode, v1};

use super::{
    audit,
    browser::{Browser, signed_in},
};
use crate::api::harness::{Api, api, refused};

async fn sql(api: &Api, statement: &'static str) {
    let pool = sqlx::PgPool::connect(&api.database_url).await.unwrap();
    sqlx::query(statement).execute(&pool).await.unwrap();
}

const SHOWS: &str = "update whatsapp_sessions set status = 'QR_READY', qr_text = 't', \
    qr_data_uri = 'data:image/png;base64,iVBORw0KGgo=', qr_expires_at = now() + interval '1 hour'";
const OTHER_CODE: &str =
    "update whatsapp_sessions set qr_text = 'u', qr_data_uri = 'data:image/png;base64,iVBORw0KGgp='";

async fn made(api: &Api) -> String {
    let request = v1::CreateScanLinkRequest { tenant_id: "asha".into() };
    api.sessions().create_scan_link(request).await.unwrap().into_inner().url
}

#[tokio::test]
async fn whoever_has_the_link_sees_the_code_until_a_phone_is_linked_and_nothing_else() {
    let api = api().await;
    api.node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    sql(&api, SHOWS).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let page = owner.get("/t/asha").await;
    assert!(page.orders().contains(&"scan-link"), "{page:?}");
    let token = page.form_token();
    let page = owner.post("/t/asha/orders", &[("order", "scan-link"), ("form_token", &token)]).await;
    let link = page.text.split("scan&#x2f;").nth(1).and_then(|rest| rest.split('"').next());
    let link = format!("/scan/{}", link.expect("a link"));
    let written = audit(&api, "user asha@duka.example").await;
    assert!(written.contains(&("SessionService/CreateScanLink".into(), "OK".into())), "{written:?}");
    let mut staff = signed_in(&api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let token = staff.get("/t/asha/chats").await.form_token();
    let refused = staff.post("/t/asha/orders", &[("order", "scan-link"), ("form_token", &token)]).await;
    assert_eq!(refused.status, 404);

    let mut anybody = Browser::of(&api);
    let page = anybody.get(&link).await;
    assert!(page.status == 200 && page.text.contains("iVBORw0KGgo="), "{page:?}");
    assert!(!page.text.contains("asha") && page.orders().is_empty(), "{page:?}");
    for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(page.headers[name], value);
    }
    let path = format!("{link}/live");
    let mut events = anybody.follow(&path).await;
    events.until("iVBORw0KGgo=").await;
    sql(&api, OTHER_CODE).await;
    events.until("iVBORw0KGgp=").await;
    sql(&api, "update whatsapp_sessions set status = 'CONNECTED', connected_at = now(), qr_text = null, qr_data_uri = null, \
        qr_expires_at = null").await;
    while events.next().await.expect("an end").0 != "over" {}
    assert!(anybody.get(&link).await.text.contains("A phone is linked."));
    // Void for good, also when it is unlinked again.
    sql(&api, SHOWS).await;
    let page = anybody.get(&link).await;
    assert!(page.text.contains("A phone is linked.") && !page.text.contains("iVBORw0KGgo="), "{page:?}");
    assert_eq!(anybody.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_link_is_replaced_by_the_next_one_and_lapses() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut anybody = Browser::of(&api);
    let first = made(&api).await;
    assert_eq!(anybody.get(&first).await.status, 200);
    let second = made(&api).await;
    for gone in [first.as_str(), "/scan/roost_nothing", "/scan/roost_nothing/live"] {
        let page = anybody.get(gone).await;
        assert!([404, 410].contains(&page.status), "{page:?}");
    }
    assert_eq!(anybody.get(&second).await.status, 200);
    sql(&api, "update scan_links set expires_at = now()").await;
    let page = anybody.get(&second).await;
    assert!(page.status == 410 && page.text.contains("does not count any more"), "{page:?}");
    let third = made(&api).await;
    let request = v1::DeleteTenantRequest { id: "asha".into() };
    api.tenants().delete_tenant(request).await.unwrap();
    assert_eq!(anybody.get(&third).await.status, 410);
    let request = v1::CreateScanLinkRequest { tenant_id: "asha".into() };
    assert_eq!(refused(api.sessions().create_scan_link(request).await).code, ErrorCode::NotFound);
}
