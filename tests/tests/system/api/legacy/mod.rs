//! The JSON API of the first system: its shapes, held to a golden text, and who gets at them.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use roost_devcluster::wait_until;
use roost_proto::v1;
use serde_json::{Value, json};

use super::portal::{invite, signed_in};
use crate::api::harness::{Api, PORTAL_KEY, SOON, TOKEN, api};

/// Long before an answer is made anew by itself.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A front end, or an operator's program.
struct Program {
    client: reqwest::Client,
    origin: String,
    headers: Vec<(&'static str, String)>,
}

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

impl Program {
    fn of(api: &Api, headers: &[(&'static str, &str)]) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(SOON).build().expect("a client");
        let origin = format!("http://{}", api.coordinator.http_addr().expect("an address"));
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { client, origin, headers }
    }

    fn front_end(api: &Api, user: &str) -> Self {
        Self::of(api, &[("x-portal-key", PORTAL_KEY), ("x-user-email", user)])
    }

    fn operator(api: &Api) -> Self {
        Self::of(api, &[("authorization", &format!("Bearer {TOKEN}"))])
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>, tag: Option<&str>) -> Answer {
        let url = format!("{}{path}", self.origin);
        let mut request = self.client.request(method.parse().expect("a method"), url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().expect("text").to_owned());
        let text = answer.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, etag, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body), None).await
    }

    /// As it stands in the golden text.
    async fn told(&self, told: &mut String, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.send(method, path, body, None).await;
        let body = scrubbed(answer.body);
        let shown = serde_json::to_string_pretty(&body).expect("JSON");
        writeln!(told, "{method} {path}\n{}\n{shown}\n", answer.status).expect("a text");
        body
    }
}

/// Without what differs at each run.
fn scrubbed(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, scrubbed(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(scrubbed).collect()),
        Value::String(text) if text.starts_with("20") && text.ends_with('Z') => "TIME".into(),
        other => other,
    }
}

async fn sql(api: &Api, statement: &'static str) {
    let pool = sqlx::PgPool::connect(&api.database_url).await.expect("the database");
    sqlx::query(statement).execute(&pool).await.expect("a statement");
}

const WANTED: fn() -> Value = || json!({ "name": "Duka la Asha", "phone_number": "+255700000009", "template": "ecommerce", "language": "sw", "greeting": "Karibu!" });

#[tokio::test]
async fn every_answer_has_the_shape_that_front_ends_know() {
    let api = api().await;
    let mut told = String::new();
    let newcomer = Program::front_end(&api, "Asha@duka.example");
    let operator = Program::operator(&api);
    let text = &mut told;
    newcomer.told(text, "GET", "/portal/setup-request", None).await;
    newcomer.told(text, "POST", "/portal/setup-request", Some(json!({ "name": "Duka" }))).await;
    newcomer.told(text, "POST", "/portal/setup-request", Some(WANTED())).await;
    operator.told(text, "GET", "/admin/setup-requests", None).await;
    operator
        .told(text, "POST", "/admin/setup-requests/1/reject", Some(json!({ "reason": "no such number" })))
        .await;
    newcomer.told(text, "GET", "/api/portal/setup-request", None).await;
    newcomer.told(text, "GET", "/portal/tenant/current/status", None).await;
    newcomer.told(text, "POST", "/api/portal/setup-request", Some(WANTED())).await;
    let approved = operator.told(text, "POST", "/admin/setup-requests/2/approve", None).await;
    let id = approved["setupRequest"]["tenant_id"].as_str().expect("a tenant").to_owned();
    operator.told(text, "POST", "/admin/setup-requests/2/approve", None).await;

    sql(&api, "update whatsapp_sessions set status = 'QR_READY', qr_text = 't', qr_data_uri = 'data:image/png;base64,iVBORw0KGgo=', qr_expires_at = now() + interval '1 hour'").await;
    sql(&api, "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id) select id, 'IN', '255600000001@c.us', 'Is there fish?', 'm1' from tenants").await;
    let owner = Program::front_end(&api, "asha@duka.example");
    // Who is of which business is believed for 2 s.
    let is_told = async || owner.get("/portal/tenant/current/qr").await.body["state"] == "QR_READY";
    wait_until("the owner sees the business", SOON, is_told).await.expect("the code");
    for path in ["status", "qr", "logs"] {
        owner.told(text, "GET", &format!("/portal/tenant/current/{path}"), None).await;
    }
    for path in ["qr", "logs"] {
        operator.told(text, "GET", &format!("/admin/tenants/{id}/{path}"), None).await;
    }
    for order in ["start", "stop", "start", "restart", "force-restart", "dance"] {
        operator.told(text, "POST", &format!("/admin/tenants/{id}/worker/{order}"), None).await;
    }
    let made = json!({ "id": "duka", "name": "Duka", "phone_number": "+255700000008" });
    operator.told(text, "POST", "/admin/tenants", Some(made.clone())).await;
    operator.told(text, "POST", "/admin/tenants", Some(made)).await;
    let wrong = json!({ "name": "Duka", "phone_number": "0700", "template": "dance" });
    operator.told(text, "POST", "/admin/tenants", Some(wrong)).await;
    operator.told(text, "GET", "/admin/tenants", None).await;
    operator.told(text, "GET", "/admin/tenants?after=duka", None).await;
    operator.told(text, "GET", "/admin/nothing", None).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/api/legacy/golden.txt");
    if std::env::var_os("ROOST_UPDATE_GOLDEN").is_some() {
        fs::write(&file, &told).expect("the golden text");
    }
    assert_eq!(told, fs::read_to_string(&file).expect("the golden text"));
}

#[tokio::test]
async fn the_portals_paths_take_the_key_alone_and_show_a_member_his_own() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    signed_in(&api, "asha", "neema@duka.example", v1::Role::Staff).await;
    invite(&api, "juma", "asha@duka.example", v1::Role::Owner).await;
    let status = "/portal/tenant/current/status";
    let asha = Program::front_end(&api, "asha@duka.example");
    let answer = asha.get(status).await;
    assert_eq!((answer.status, &answer.body["tenant"]["id"]), (200, &json!("asha")));
    for headers in [
        &[("x-user-email", "asha@duka.example")][..],
        &[("x-user-email", "asha@duka.example"), ("x-portal-key", "another-key")],
        &[("x-user-email", "asha@duka.example"), ("x-portal-key", TOKEN)],
        &[("x-user-email", "asha@duka.example"), ("authorization", "Bearer a-token-of-the-tests")],
    ] {
        assert_eq!(Program::of(&api, headers).get(status).await.status, 401, "{headers:?}");
    }
    assert_eq!(Program::of(&api, &[("x-portal-key", PORTAL_KEY)]).get(status).await.status, 400);
    for path in ["/v1/tenants/asha", "/admin/tenants", "/t/asha"] {
        let elsewhere = asha.get(path).await;
        assert!(
            [401, 200].contains(&elsewhere.status) && !elsewhere.body.to_string().contains("phone"),
            "{path}"
        );
    }
    let as_token = Program::of(&api, &[("authorization", &format!("Bearer {PORTAL_KEY}"))]);
    assert_eq!(as_token.get("/admin/tenants").await.status, 401, "the key is no token");

    let staff = Program::front_end(&api, "neema@duka.example");
    assert_eq!(staff.get(status).await.status, 200);
    assert_eq!(staff.get("/portal/tenant/current/qr").await.status, 404, "the code is the owner's");
    for (user, tenant) in
        [("asha@duka.example", "juma"), ("asha@duka.example", "none"), ("nobody@duka.example", "asha")]
    {
        let other = Program::of(
            &api,
            &[("x-portal-key", PORTAL_KEY), ("x-user-email", user), ("x-tenant-id", tenant)],
        );
        for path in ["status", "qr", "logs"] {
            let answer = other.get(&format!("/portal/tenant/current/{path}")).await;
            assert_eq!(
                (answer.status, answer.body),
                (404, json!({ "success": false, "error": "there is nothing here, or it is not yours" }))
            );
        }
    }
}

#[tokio::test]
async fn who_asks_every_second_is_told_that_nothing_has_changed_and_at_once_that_something_has() {
    let api = api().await;
    api.tenant("asha", 1).await;
    signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let asha = Program::front_end(&api, "asha@duka.example");
    let status = "/portal/tenant/current/status";
    let first = asha.get(status).await;
    let tag = first.etag.expect("a tag");
    let again = asha.send("GET", status, None, Some(&tag)).await;
    assert_eq!((again.status, again.body), (304, json!("")));
    let operator = Program::operator(&api);
    assert_eq!(operator.post("/admin/tenants/asha/worker/start", json!({})).await.status, 200);
    let is_told = async || {
        let answer = asha.send("GET", status, None, Some(&tag)).await;
        answer.body["tenant"]["worker_process"]["status"] == "RUNNING"
    };
    wait_until("the change is told", ONE_SECOND, is_told).await.expect("a change");
}

#[tokio::test]
async fn what_a_program_orders_is_held_to_its_role_and_in_the_audit() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let token = |role: v1::Role, tenant: &str| {
        let name = format!("{}-{tenant}", role.as_str_name().to_lowercase().replace('_', "-"));
        let request = v1::CreateTokenRequest {
            name,
            role: role.into(),
            tenant_id: tenant.to_owned(),
            lifetime: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        };
        let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
        async move { access.create_token(request).await.expect("a token").into_inner().secret }
    };
    let bearer = |token: String| Program::of(&api, &[("authorization", &format!("Bearer {token}"))]);
    let viewer = bearer(token(v1::Role::Viewer, "").await);
    assert_eq!(viewer.get("/admin/tenants").await.status, 200);
    assert_eq!(viewer.get("/admin/tenants/asha/logs").await.status, 403, "no bodies");
    assert_eq!(viewer.post("/admin/tenants/asha/worker/start", json!({})).await.status, 403);
    let owner = bearer(token(v1::Role::Owner, "asha").await);
    assert_eq!(owner.post("/admin/tenants/asha/worker/start", json!({})).await.status, 200);
    assert_eq!(owner.get("/admin/tenants").await.status, 403);
    for id in ["juma", "none", "N"] {
        for answer in [
            owner.post(&format!("/admin/tenants/{id}/worker/start"), json!({})).await,
            owner.get(&format!("/admin/tenants/{id}/qr")).await,
        ] {
            assert_eq!(
                (answer.status, answer.body),
                (404, json!({ "success": false, "error": "there is nothing here, or it is not yours" })),
                "{id}"
            );
        }
    }
    let caller = "token role-viewer-".to_owned();
    let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
    let request = v1::ListAuditEntriesRequest { caller, ..Default::default() };
    let entries = access.list_audit_entries(request).await.unwrap().into_inner().entries;
    let denied: Vec<_> =
        entries.iter().map(|it| (it.call.as_str(), it.tenant_id.as_str(), it.result.as_str())).collect();
    assert_eq!(
        denied,
        [
            ("WorkerService/StartWorker", "asha", "PERMISSION_DENIED"),
            ("MessageService/ListMessages", "asha", "PERMISSION_DENIED")
        ]
    );
}
