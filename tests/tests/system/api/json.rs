//! The API in JSON over HTTP, as a caller meets it who knows no gRPC.

mod caller;
mod hostile;

use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage};
use roost_devcluster::wait_until;
use roost_proto::{FILE_DESCRIPTOR_SET, v1};
use serde_json::{Value, json};

use self::caller::Http;
use crate::api::harness::{Api, SOON, TOKEN, api};

/// What the JSON says, as gRPC has it.
fn typed<T: prost::Message + Default>(name: &str, json: Value) -> T {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let message = pool.get_message_by_name(&format!("roost.v1.{name}")).unwrap();
    let message = DynamicMessage::deserialize(message, json).unwrap();
    assert_eq!(message.descriptor().name(), name);
    message.transcode_to().unwrap()
}

async fn created(http: &Http, id: &str, digits: u32) -> Value {
    let tenant = json!({"displayName": format!("Duka {digits}"), "phone": format!("+2557{digits:08}")});
    http.post(&format!("/v1/tenants?tenantId={id}"), tenant).await.ok()
}

#[tokio::test]
async fn a_tenant_is_created_read_changed_and_removed() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    let made = created(&http, "asha", 1).await;
    assert_eq!(
        (&made["id"], &made["status"], &made["replyLimitPerMinute"]),
        (&json!("asha"), &json!("TENANT_STATUS_NEW"), &json!(10))
    );
    assert_eq!(http.get("/v1/tenants/asha").await.ok(), made);

    let change = json!({"displayName": "Duka la Asha", "language": "LANGUAGE_SW", "labels": {"planTier": "pro", "plan_tier": "old"}});
    let changed = http.patch("/v1/tenants/asha?updateMask=displayName,labels.planTier", change).await.ok();
    assert_eq!((&changed["displayName"], &changed["language"]), (&json!("Duka la Asha"), &made["language"]));
    assert_eq!(changed["labels"], json!({"planTier": "pro"}));
    let back = http.patch("/v1/tenants/asha?updateMask=replyLimitPerMinute", changed.clone()).await;
    assert_eq!(back.ok()["displayName"], "Duka la Asha");

    assert_eq!(http.delete("/v1/tenants/asha").await.ok(), json!({}));
    let gone = http.get("/v1/tenants/asha").await.problem(404);
    assert_eq!(
        (&gone["code"], &gone["resource"]),
        (&json!("NOT_FOUND"), &json!({"kind": "tenant", "id": "asha"}))
    );
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_chosen_by_parameters() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    for (digits, id) in ["a", "b", "c"].into_iter().enumerate() {
        created(&http, id, u32::try_from(digits).unwrap()).await;
    }
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/v1/tenants?pageSize=2&pageToken={token}")).await.ok();
        ids.extend(
            page["tenants"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tenant| tenant["id"].as_str().unwrap().to_owned()),
        );
        token = page["nextPageToken"].as_str().unwrap().replace('+', "%2B");
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, ["a", "b", "c"]);
    let none = http.get("/v1/tenants?status=TENANT_STATUS_ACTIVE").await.ok();
    assert_eq!(none, json!({"tenants": [], "nextPageToken": ""}));
}

#[tokio::test]
async fn grpc_and_http_say_the_same() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    api.node("n1").await;
    api.tenant("asha", 1).await;
    api.placed("asha").await;
    let grpc =
        api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await.unwrap().into_inner();
    assert_eq!(typed::<v1::Tenant>("Tenant", http.get("/v1/tenants/asha").await.ok()), grpc);
    let steady = |mut list: v1::ListWorkersResponse| {
        // It is worked out anew at each reading.
        list.workers.iter_mut().for_each(|worker| worker.condition = None);
        list
    };
    let grpc = api.workers().list_workers(v1::ListWorkersRequest::default()).await.unwrap().into_inner();
    let json = http.get("/v1/workers?nodeId=n1").await.ok();
    assert_eq!(steady(typed("ListWorkersResponse", json)), steady(grpc));
}

#[tokio::test]
async fn orders_are_given_and_carried_out() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    api.node("n1").await;
    api.tenant("asha", 1).await;
    let started = http.post("/v1/tenants/asha/worker:start", json!({})).await.ok();
    assert_eq!(
        (&started["alreadyRunning"], &started["worker"]["desiredState"]),
        (&json!(false), &json!("DESIRED_STATE_RUNNING"))
    );
    let is_placed = || async { !api.worker("asha").await.node_id.is_empty() };
    wait_until("the worker is placed", SOON, is_placed).await.unwrap();
    let again = http.bare("POST", "/v1/tenants/asha/worker:start").await.ok();
    assert_eq!(again["alreadyRunning"], true);

    let cordoned =
        http.post("/v1/nodes/n1:cordon", json!({"requestedBy": "asha", "reason": "kernel"})).await.ok();
    assert_eq!((&cordoned["cordoned"], &cordoned["cordonReason"]), (&json!(true), &json!("kernel")));
    let refused = http.post("/v1/nodes/n1:startDrain", json!({"deadline": "600s"})).await.problem(400);
    assert_eq!(refused["code"], "FAILED_PRECONDITION");
    let drain = http.post("/v1/nodes/n1:startDrain", json!({"force": true})).await.ok();
    let id = drain["id"].as_str().unwrap();
    assert_eq!(http.get(&format!("/v1/operations/{id}")).await.ok()["nodeId"], "n1");
    let cancelled = http.post(&format!("/v1/operations/{id}:cancel"), json!({})).await.ok();
    assert_eq!(cancelled["state"], "OPERATION_STATE_CANCELLED");
}

#[tokio::test]
async fn a_refused_call_names_all_that_is_wrong_as_it_was_sent() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    let tenant =
        json!({"phone": "0700", "texts": {"menu": [{"title": "", "reply": "x"}]}, "replyLimitPerMinute": -1});
    let problem = http.post("/v1/tenants?tenantId=No%20Good", tenant).await.problem(400);
    let fields: Vec<_> = problem["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wrong| wrong["field"].as_str().unwrap())
        .collect();
    for field in ["tenantId", "displayName", "phone", "texts.menu[0].title", "replyLimitPerMinute"] {
        assert!(fields.contains(&field), "{field} is not in {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&format!("{field}: ")), "{problem}");
    }
    created(&http, "asha", 1).await;
    let taken = http
        .post("/v1/tenants?tenantId=b", json!({"displayName": "B", "phone": "+255700000001"}))
        .await
        .problem(409);
    assert_eq!(
        (&taken["reason"], &taken["violations"][0]["field"]),
        (&json!("ALREADY_EXISTS"), &json!("phone"))
    );
}

#[tokio::test]
async fn a_stream_tells_each_change_and_why_it_ends() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    api.tenant("asha", 1).await;
    let mut workers = http.events("/v1/workers:watch?tenantId=asha").await;
    let mut session = http.events("/v1/tenants/asha/session:watch").await;
    assert_eq!(workers.event().await.1["worker"]["desiredState"], "DESIRED_STATE_STOPPED");
    assert_eq!(session.event().await.1["status"], "SESSION_STATUS_DISCONNECTED");
    http.post("/v1/tenants/asha/worker:start", json!({})).await.ok();
    workers.until(|told| told["worker"]["desiredState"] == "DESIRED_STATE_RUNNING").await;
    http.delete("/v1/tenants/asha").await.ok();
    let problem = session.until_named("error").await;
    assert_eq!((&problem["status"], &problem["code"]), (&json!(404), &json!("NOT_FOUND")));
    session.ends().await;
    http.get("/v1/tenants/asha/session:watch").await.problem(404);
}

#[tokio::test]
async fn a_stop_ends_streams_with_the_reason_and_closes_the_door() {
    let api = api().await;
    let http = Http::of(&api, TOKEN);
    let mut workers = http.events("/v1/workers:watch").await;
    let Api { coordinator, .. } = api;
    let (stopped, told) = tokio::join!(coordinator.stop(), workers.until_named("error"));
    stopped.unwrap();
    assert_eq!((&told["status"], &told["dependency"]), (&json!(503), &json!("coordinator")));
    assert!(http.try_get("/v1/cluster").await.is_none());
}

#[tokio::test]
async fn the_description_names_every_call() {
    let api = api().await;
    let document = Http::of(&api, TOKEN).get("/v1/openapi.json").await.ok();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("Roost")));
    assert_eq!(document["paths"]["/v1/tenants/{id}"]["get"]["operationId"], "GetTenant");
}

#[tokio::test]
async fn a_wrong_token_is_refused_before_the_body_is_read_and_counts_for_its_address() {
    let api = api().await;
    for token in ["wrong", ""] {
        let http = Http::of(&api, token);
        for answer in [
            http.get("/v1/tenants").await,
            http.get("/v1/openapi.json").await,
            http.get("/v1/workers:watch").await,
            http.raw(
                "POST",
                "/v1/tenants",
                &[("content-type", "application/json"), ("cookie", "token=x")],
                "{garbage",
            )
            .await,
        ] {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert_eq!(answer.problem(401)["reason"], "UNAUTHENTICATED");
        }
    }
    // The eighth and later ones wait: also over gRPC, for they come from the same address.
    let begun = std::time::Instant::now();
    let mut workers = v1::worker_service_client::WorkerServiceClient::new(api.authed("wrong"));
    workers.list_workers(v1::ListWorkersRequest::default()).await.unwrap_err();
    assert!(begun.elapsed().as_millis() >= 400, "{:?}", begun.elapsed());
    assert_eq!(Http::of(&api, TOKEN).get("/v1/tenants").await.ok()["tenants"], json!([]));
}

#[tokio::test]
async fn a_token_of_one_tenant_reaches_that_one_and_the_audit_has_what_it_ordered() {
    let api = api().await;
    let admin = Http::of(&api, TOKEN);
    created(&admin, "asha", 1).await;
    created(&admin, "other", 2).await;
    let new = json!({"name": "till", "role": "ROLE_OWNER", "tenantId": "asha"});
    let made = admin.post("/v1/tokens", new).await.ok();
    let owner = Http::of(&api, made["secret"].as_str().unwrap());
    assert_eq!(
        owner.get("/v1/caller").await.ok(),
        json!({"name": "token till", "role": "ROLE_OWNER", "tenantId": "asha"})
    );
    assert_eq!(owner.get("/v1/tenants/asha").await.ok()["id"], "asha");
    owner.post("/v1/tenants/asha/worker:start", json!({})).await.ok();
    let other = owner.post("/v1/tenants/other/worker:stop", json!({})).await.problem(404);
    let nobody = owner.post("/v1/tenants/nobdy/worker:stop", json!({})).await.problem(404);
    assert_eq!(other.to_string().replace("other", "nobdy"), nobody.to_string());
    let denied = owner.get("/v1/tenants").await.problem(403);
    assert_eq!(denied["reason"], "PERMISSION_DENIED");
    let entries = admin.get("/v1/auditEntries?caller=token%20till").await.ok();
    let told: Vec<_> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            (text("call"), text("tenantId"), text("result"))
        })
        .collect();
    let entry =
        |call: &str, tenant: &str, result: &str| (call.to_owned(), tenant.to_owned(), result.to_owned());
    assert_eq!(
        told,
        [
            entry("TenantService/ListTenants", "asha", "PERMISSION_DENIED"),
            entry("WorkerService/StopWorker", "nobdy", "NOT_FOUND"),
            entry("WorkerService/StopWorker", "other", "NOT_FOUND"),
            entry("WorkerService/StartWorker", "asha", "OK"),
        ]
    );
    let id = made["token"]["id"].as_str().unwrap();
    admin.post(&format!("/v1/tokens/{id}:revoke"), json!({})).await.ok();
    let refused = || async { owner.try_get("/v1/caller").await == Some(401) };
    wait_until("the token is refused", SOON, refused).await.unwrap();
}
