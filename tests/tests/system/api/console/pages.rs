//! What the console shows and orders, and to whom.

use std::time::Duration;

use roost_proto::v1;
use tokio::time::Instant;

use super::phone::{operator, users, viewer};
use crate::api::{
    harness::{Api, TOKEN, api},
    portal::browser::{Browser, Page},
};

const ADMIN: &str = "neema@roost.example";
const OPERATOR: &str = "juma@roost.example";
/// After which a person who was removed is nowhere any more.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

/// After which an open page shows what has changed: one look, and what tells it of workers.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

async fn audit(api: &Api, caller: &str) -> Vec<(String, String, String)> {
    let request = v1::ListAuditEntriesRequest { caller: caller.into(), ..Default::default() };
    let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
    let entries = access.list_audit_entries(request).await.unwrap().into_inner().entries;
    entries.into_iter().map(|entry| (entry.call, entry.tenant_id, entry.result)).collect()
}

async fn shown(browser: &mut Browser, path: &str) -> Page {
    let page = browser.get(path).await;
    assert_eq!(page.status, 200, "{path}: {page:?}");
    page
}

#[tokio::test]
async fn an_admin_finds_every_page_and_what_is_stuck_is_said_first() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let (mut browser, _) = operator(&api, ADMIN, v1::Role::Admin).await;
    let mut events = browser.follow("/console/live").await;
    for id in ["asha", "juma"] {
        api.workers().start_worker(v1::StartWorkerRequest { tenant_id: id.into() }).await.unwrap();
    }
    // There is no node that could take it.
    let begun = Instant::now();
    let live = events.part("trouble-waiting-for-capacity").await;
    assert!(live.contains("No node takes it"), "{live}");
    assert!(begun.elapsed() < SHOWN_WITHIN, "{:?}", begun.elapsed());
    let page = shown(&mut browser, "/console").await;
    let (stuck, counts) = (page.text.find("No node takes it"), page.text.find("Tenants by condition"));
    assert!(stuck.is_some() && stuck < counts, "{page:?}");
    for path in [
        "/console/nodes",
        "/console/tenants",
        "/console/tenants/asha",
        "/console/tenants/asha/log",
        "/console/operations",
        "/console/rebalance",
        "/console/fleet",
        "/console/letters",
        "/console/audit",
    ] {
        shown(&mut browser, path).await;
    }
    for path in
        ["/console/tenants/nobody", "/console/nodes/nowhere", "/console/operations/9", "/console/none"]
    {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn tenants_are_found_by_what_they_begin_with_their_labels_and_their_condition() {
    let api = api().await;
    for (number, id) in ["asha", "ashura", "juma"].into_iter().enumerate() {
        api.tenant(id, u32::try_from(number).unwrap() + 1).await;
    }
    api.workers().start_worker(v1::StartWorkerRequest { tenant_id: "ashura".into() }).await.unwrap();
    let (mut browser, _) = operator(&api, ADMIN, v1::Role::Operator).await;
    let mut found = async |query: &str| {
        let page = shown(&mut browser, &format!("/console/tenants?{query}")).await;
        let ids = ["asha", "ashura", "juma"];
        let is_there = |id: &&str| page.text.contains(&format!("/console/tenants/{id}\""));
        ids.into_iter().filter(is_there).collect::<Vec<_>>()
    };
    assert_eq!(found("").await, ["asha", "ashura", "juma"]);
    assert_eq!(found("q=ash").await, ["asha", "ashura"]);
    assert_eq!(found("q=ash&after=asha").await, ["ashura"]);
    assert_eq!(found("condition=stopped").await, ["asha", "juma"]);
    assert_eq!(found("condition=waiting-for-capacity").await, ["ashura"]);
    assert_eq!(found("condition=answering").await, [] as [&str; 0]);
    assert_eq!(found("labels=plan%3Dpro").await, [] as [&str; 0]);
    assert_eq!(found("q=%27%25").await, [] as [&str; 0]);
    assert_eq!(browser.get("/console/tenants?labels=%3D%3D").await.status, 400);
}

#[tokio::test]
async fn an_order_is_carried_out_for_who_may_give_it_and_is_in_the_audit() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let (mut browser, _) = operator(&api, OPERATOR, v1::Role::Operator).await;
    let token = shown(&mut browser, "/console/tenants/asha").await.form_token();
    let orders = "/console/tenants/asha/orders";
    let old = browser.post(orders, &[("order", "start"), ("form_token", "0")]).await;
    assert_eq!(old.status, 403);
    let given = [("order", "start"), ("form_token", token.as_str()), ("reason", "asked on the phone")];
    let started = browser.post(orders, &given).await;
    assert_eq!((started.status, started.location()), (303, Some("/console/tenants/asha")));
    let worker = v1::GetWorkerRequest { tenant_id: "asha".into() };
    let worker = api.workers().get_worker(worker).await.unwrap().into_inner();
    assert_eq!(worker.desired_state(), v1::DesiredState::Running);
    let nowhere = browser.post(orders, &[("order", "move"), ("to", "n9"), ("form_token", &token)]).await;
    assert!(nowhere.status == 404 && nowhere.text.contains("n9"), "{nowhere:?}");
    let plan = shown(&mut browser, "/console/fleet?labels=status%3Drunning&action=stop").await;
    assert!(plan.text.contains("1 chosen"), "{plan:?}");
    let form = [("labels", "status=running"), ("action", "stop"), ("form_token", token.as_str())];
    let fleet = browser.post("/console/fleet", &form).await;
    let operation = fleet.location().expect("an operation").to_owned();
    assert!(fleet.status == 303 && operation.starts_with("/console/operations/"), "{fleet:?}");
    shown(&mut browser, &operation).await;
    let all =
        browser.post("/console/fleet", &[("labels", ""), ("action", "stop"), ("form_token", &token)]).await;
    assert_eq!(all.status, 400, "every worker is not chosen by leaving something out");
    let written = audit(&api, &format!("user {OPERATOR}")).await;
    let expected = [
        ("OperationService/StartFleetOperation", "", "OK"),
        ("OperationService/StartMove", "asha", "NOT_FOUND"),
        ("WorkerService/StartWorker", "asha", "OK"),
    ];
    let expected =
        expected.map(|(call, tenant, result)| (call.to_owned(), tenant.to_owned(), result.to_owned()));
    assert_eq!(written, expected);
}

#[tokio::test]
async fn a_viewer_sees_the_cluster_and_no_message_no_audit_and_no_order() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut browser = viewer(&api, "zuri@roost.example").await;
    let page = shown(&mut browser, "/console/tenants/asha").await;
    assert!(page.orders().is_empty(), "{page:?}");
    let token = page.form_token();
    for path in ["/console/letters", "/console/audit", "/console/audit.csv"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
    assert!(!page.text.contains("/console/letters") && !page.text.contains("/console/audit"), "{page:?}");
    for (path, order) in [
        ("/console/tenants/asha/orders", "start"),
        ("/console/nodes/n1/orders", "cordon"),
        ("/console/operations/1/orders", "cancel"),
    ] {
        let refused = browser.post(path, &[("order", order), ("form_token", &token)]).await;
        assert_eq!(refused.status, 404, "{path}");
    }
    for (path, form) in [
        ("/console/rebalance", &[("form_token", token.as_str())][..]),
        ("/console/nodes/n1/drain", &[("form_token", token.as_str())]),
        ("/console/fleet", &[("form_token", token.as_str()), ("labels", "a=b"), ("action", "stop")]),
        ("/console/letters/redrive", &[("form_token", token.as_str()), ("tenant", "asha")]),
    ] {
        assert_eq!(browser.post(path, form).await.status, 404, "{path}");
    }
    let written = audit(&api, "user zuri@roost.example").await;
    assert_eq!(written.len(), 7, "{written:?}");
    assert!(written.iter().all(|(_, _, result)| result == "PERMISSION_DENIED"), "{written:?}");
}

#[tokio::test]
async fn a_look_at_what_customers_wrote_is_in_the_audit_and_its_table_is_text() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let (mut browser, _) = operator(&api, ADMIN, v1::Role::Admin).await;
    shown(&mut browser, "/console/letters?tenant=asha&reason=a+customer+asked").await;
    let looked = ("MessageService/ListDeadLetters".to_owned(), "asha".to_owned(), "OK".to_owned());
    assert_eq!(audit(&api, &format!("user {ADMIN}")).await, [looked]);
    let table = shown(&mut browser, "/console/audit.csv").await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    assert!(
        table.text.contains(&format!("\"user {ADMIN}\",\"admin\",\"MessageService/ListDeadLetters\"")),
        "{table:?}"
    );
}

#[tokio::test]
async fn whoever_is_removed_or_has_another_role_sees_nothing_any_more() {
    let api = api().await;
    let (mut removed, _) = operator(&api, ADMIN, v1::Role::Admin).await;
    let (mut other, _) = operator(&api, OPERATOR, v1::Role::Admin).await;
    let (mut first, mut second) =
        (removed.follow("/console/live").await, other.follow("/console/live").await);
    users(&api).remove_user(v1::RemoveUserRequest { email: ADMIN.into() }).await.unwrap();
    let role = v1::SetUserRoleRequest { email: OPERATOR.into(), role: v1::Role::Operator.into() };
    users(&api).set_user_role(role).await.unwrap();
    let begun = Instant::now();
    for (events, browser) in [(&mut first, &mut removed), (&mut second, &mut other)] {
        let mut last = String::new();
        while let Some((name, _)) = events.next().await {
            last = name;
        }
        assert_eq!(last, "over");
        assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    }
    assert!(begun.elapsed() < REMOVED_WITHIN, "{:?}", begun.elapsed());
}
