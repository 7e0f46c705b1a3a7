//! TenantService.

use roost_devcluster::wait_until;
use roost_proto::{error::ErrorCode, v1};
use sqlx::Executor;

use crate::api::harness::{Api, SOON, api, api_with, apis, business, error_of, fields, refused};

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

#[tokio::test]
async fn a_tenant_is_created_read_and_changed() {
    let api = api().await;
    let texts = v1::BusinessTexts {
        greeting: "Karibu {business} \u{1F44B}".into(),
        menu: vec![v1::MenuItem {
            title: "Bei".into(),
            reply: "TSh 5,000\nkwa kilo".into(),
            keywords: vec!["bei".into()],
        }],
        ..Default::default()
    };
    let tenant =
        v1::Tenant { texts: Some(texts.clone()), template: v1::Template::Booking.into(), ..business(1) };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "asha".into() };
    let created = api.tenants().create_tenant(request).await.unwrap().into_inner();
    assert_eq!((created.id.as_str(), created.status()), ("asha", v1::TenantStatus::New));
    assert_eq!((created.template(), created.language()), (v1::Template::Booking, v1::Language::En));
    assert_eq!((created.texts.as_ref(), created.reply_limit_per_minute), (Some(&texts), Some(10)));
    assert!(created.create_time.is_some());

    let read =
        api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await.unwrap().into_inner();
    assert_eq!(read, created);

    let change =
        v1::Tenant { id: "asha".into(), language: 2, reply_limit_per_minute: Some(0), ..Default::default() };
    let request = v1::UpdateTenantRequest { tenant: Some(change), update_mask: mask(&["language"]) };
    let changed = api.tenants().update_tenant(request).await.unwrap().into_inner();
    assert_eq!((changed.language(), changed.reply_limit_per_minute), (v1::Language::Sw, Some(10)));
    assert_eq!((changed.display_name, changed.texts), (created.display_name, created.texts));
}

#[tokio::test]
async fn a_tenant_without_an_id_gets_one() {
    let api = api().await;
    let request = v1::CreateTenantRequest { tenant: Some(business(1)), tenant_id: String::new() };
    let created = api.tenants().create_tenant(request).await.unwrap().into_inner();
    assert_eq!(created.id.len(), 36);
}

#[tokio::test]
async fn all_wrong_fields_are_named_in_one_answer_and_nothing_is_created() {
    let api = api().await;
    let tenant = v1::Tenant { phone: "0700 000 001".into(), template: 7, ..Default::default() };
    let request = v1::CreateTenantRequest { tenant: Some(tenant), tenant_id: "No Good".into() };
    let error = refused(api.tenants().create_tenant(request).await);
    let named = fields(&error, ErrorCode::InvalidArgument);
    assert_eq!(named, ["tenant_id", "tenant.display_name", "tenant.phone", "tenant.template"]);
    assert!(list(&api, 0, "").await.tenants.is_empty());
}

#[tokio::test]
async fn a_restart_schedule_is_shown_with_its_next_time_until_it_is_taken_off() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let update = async |schedule: Option<v1::RestartSchedule>| {
        let tenant = v1::Tenant { id: "asha".into(), restart_schedule: schedule, ..v1::Tenant::default() };
        let update_mask = mask(&["restart_schedule"]);
        let request = v1::UpdateTenantRequest { tenant: Some(tenant), update_mask };
        api.tenants().update_tenant(request).await
    };
    let nightly = |cron: &str, time_zone: &str| {
        Some(v1::RestartSchedule { cron: cron.into(), time_zone: time_zone.into(), jitter: None })
    };
    let error = refused(update(nightly("0 25 * * *", "Africa/Nairobi")).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant.restart_schedule.cron"]);
    let error = refused(update(nightly("0 4 * * *", "Nairobi")).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant.restart_schedule.time_zone"]);
    assert!(error.message.contains("\"Nairobi\" is no time zone"), "{}", error.message);

    let kept =
        update(nightly("0 4 * * *", "Africa/Nairobi")).await.unwrap().into_inner().restart_schedule.unwrap();
    assert_eq!(kept.jitter.unwrap().seconds, 600, "its default");
    assert_eq!(api.worker("asha").await.next_restart_time, None, "it is not to run");
    let start = v1::StartWorkerRequest { tenant_id: "asha".into() };
    api.workers().start_worker(start).await.unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let next = api.worker("asha").await.next_restart_time.unwrap().seconds;
    assert!((now..=now + 86_400 + 600).contains(&next));
    assert!((next - 3_600).rem_euclid(86_400) <= 600, "at four in Nairobi, and ten minutes later at most");

    let off = update(Some(v1::RestartSchedule::default())).await.unwrap().into_inner();
    assert_eq!(off.restart_schedule, None);
    assert_eq!(api.worker("asha").await.next_restart_time, None);
}

#[tokio::test]
async fn a_second_tenant_with_the_same_phone_or_id_is_refused_by_field() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let create =
        |id: &str, digits| v1::CreateTenantRequest { tenant: Some(business(digits)), tenant_id: id.into() };
    let error = refused(api.tenants().create_tenant(create("neema", 1)).await);
    assert_eq!(fields(&error, ErrorCode::AlreadyExists), ["tenant.phone"]);
    let error = refused(api.tenants().create_tenant(create("asha", 3)).await);
    assert_eq!(fields(&error, ErrorCode::AlreadyExists), ["tenant_id"]);
    let change = v1::Tenant { id: "juma".into(), phone: business(1).phone, ..Default::default() };
    let request = v1::UpdateTenantRequest { tenant: Some(change), update_mask: None };
    let error = refused(api.tenants().update_tenant(request).await);
    assert_eq!(fields(&error, ErrorCode::AlreadyExists), ["tenant.phone"]);
    assert_eq!(list(&api, 0, "").await.tenants.len(), 2);
}

#[tokio::test]
async fn a_mask_with_an_unknown_path_is_refused_by_its_name() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let tenant = v1::Tenant { id: "asha".into(), display_name: "New".into(), ..Default::default() };
    let request =
        v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: mask(&["display_name", "shoe_size"]) };
    let error = refused(api.tenants().update_tenant(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["update_mask"]);
    assert!(error.message.contains("\"shoe_size\""), "{}", error.message);
    let read =
        api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await.unwrap().into_inner();
    assert_eq!(read.display_name, "Duka 1");
}

async fn list(api: &Api, page_size: i32, page_token: &str) -> v1::ListTenantsResponse {
    let request = v1::ListTenantsRequest { page_size, page_token: page_token.into(), ..Default::default() };
    api.tenants().list_tenants(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn pages_follow_each_other_in_order() {
    let api = api().await;
    for (digits, id) in ["d", "a", "c", "e", "b"].into_iter().enumerate() {
        api.tenant(id, u32::try_from(digits).unwrap()).await;
    }
    let mut found = vec![];
    let mut token = String::new();
    loop {
        let page = list(&api, 2, &token).await;
        found.push(page.tenants.into_iter().map(|tenant| tenant.id).collect::<Vec<_>>());
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
}

#[tokio::test]
async fn a_page_token_that_does_not_fit_the_call_is_refused() {
    let api = api().await;
    api.tenant("a", 1).await;
    api.tenant("b", 2).await;
    let token = list(&api, 1, "").await.next_page_token;
    let request = |status: i32, page_token: &str| v1::ListTenantsRequest {
        page_size: 1,
        page_token: page_token.into(),
        status,
        ..Default::default()
    };
    let chosen = v1::ListTenantsRequest { selector: "plan".into(), ..request(0, &token) };
    for bad in [request(1, &token), chosen, request(0, "junk"), request(0, &token[1..])] {
        let error = refused(api.tenants().list_tenants(bad).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["page_token"]);
    }
    let other = v1::ListWorkersRequest { page_token: token, ..Default::default() };
    let error = refused(api.workers().list_workers(other).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["page_token"]);
}

#[tokio::test]
async fn labels_are_set_by_name_and_choose_tenants_and_workers() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let update = |labels: &[(&str, &str)], paths: &[&str]| {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let tenant = v1::Tenant { id: "asha".into(), labels, ..Default::default() };
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: Some(prost_types::FieldMask { paths }) }
    };
    let request = update(&[("plan", "pro"), ("zone", "east")], &["labels"]);
    api.tenants().update_tenant(request).await.unwrap();
    let request = update(&[("plan", "free")], &["labels.plan", "labels.zone"]);
    let changed = api.tenants().update_tenant(request).await.unwrap().into_inner();
    assert_eq!(
        changed.labels,
        [("plan".to_owned(), "free".to_owned())].into(),
        "zone is named and not given"
    );

    let selector = "plan=free,status=stopped".to_owned();
    let request = v1::ListTenantsRequest { selector: selector.clone(), ..Default::default() };
    let listed = api.tenants().list_tenants(request).await.unwrap().into_inner().tenants;
    assert_eq!(listed.iter().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>(), ["asha"]);
    let request = v1::ListWorkersRequest { selector, ..Default::default() };
    let listed = api.workers().list_workers(request).await.unwrap().into_inner().workers;
    assert_eq!(listed.iter().map(|worker| worker.tenant_id.as_str()).collect::<Vec<_>>(), ["asha"]);

    for (wrong, path) in [(("status", "x"), "labels"), (("plan", "-"), "labels.plan"), (("", "x"), "labels")]
    {
        let error = refused(api.tenants().update_tenant(update(&[wrong], &[path])).await);
        assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["tenant.labels"], "{wrong:?}");
    }
    let request = v1::ListWorkersRequest { selector: "plan=free,".into(), ..Default::default() };
    let error = refused(api.workers().list_workers(request).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["selector"]);
}

#[tokio::test]
async fn tenants_are_listed_by_status() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    api.workers().stop_worker(v1::StopWorkerRequest { tenant_id: "juma".into() }).await.unwrap();
    let request = v1::ListTenantsRequest { status: v1::TenantStatus::Paused.into(), ..Default::default() };
    let page = api.tenants().list_tenants(request).await.unwrap().into_inner();
    assert_eq!(page.tenants.into_iter().map(|tenant| tenant.id).collect::<Vec<_>>(), ["juma"]);
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_with_its_worker_and_its_place_and_may_come_again() {
    let api = api().await;
    let node = api.node("n1").await;
    api.tenant("asha", 1).await;
    let before = api.placed("asha").await;
    api.delete("asha").await;
    let error = refused(api.tenants().get_tenant(v1::GetTenantRequest { id: "asha".into() }).await);
    assert_eq!(error.code, ErrorCode::NotFound);
    let error = refused(api.workers().get_worker(v1::GetWorkerRequest { tenant_id: "asha".into() }).await);
    assert_eq!(error.code, ErrorCode::NotFound);
    // The node is told to let go of it.
    let releasing = || async {
        let key = roost_cluster::keys::assignments(&node.node);
        let entry = api.registry.get(&key).await.unwrap().unwrap();
        let record: roost_cluster::records::AssignmentRecord = roost_cluster::keys::decode(&entry).unwrap();
        record.entries.iter().all(|entry| entry.phase == roost_cluster::records::Phase::Releasing)
    };
    wait_until("the node is told", SOON, releasing).await.unwrap();
    wait_until("the id is free", SOON, || create(&api, "asha")).await.unwrap();
    assert!(api.worker("asha").await.generation > before.generation.0);
}

/// Whether the id was free.
async fn create(api: &Api, id: &str) -> bool {
    let request = v1::CreateTenantRequest { tenant: Some(business(1)), tenant_id: id.into() };
    let Err(status) = api.tenants().create_tenant(request).await else { return true };
    let error = error_of(&status);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    assert!(error.message.contains("is still being deleted"), "{error:?}");
    false
}

#[tokio::test]
async fn a_deletion_that_a_coordinator_has_left_is_finished_by_another_one() {
    let [first, second] = apis(["c1", "c2"]).await;
    first.tenant("asha", 1).await;
    let many = "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
        select 'asha', 'IN', 'c', 'x', 'm' || n from generate_series(1, 100000) n";
    second.store.pool().execute(many).await.unwrap();
    first.delete("asha").await;
    let first = first.coordinator.stop();
    let taken_over = wait_until("the id is free", SOON, || create(&second, "asha"));
    let (stopped, finished) = tokio::join!(first, taken_over);
    stopped.unwrap();
    finished.unwrap();
    let left = "select count(*) from message_logs";
    let left: i64 = sqlx::query_scalar(left).fetch_one(second.store.pool()).await.unwrap();
    assert_eq!(left, 0);
}

/// As after a crash of all: nobody tells of it again.
#[tokio::test]
async fn a_deletion_that_was_left_is_found_by_a_coordinator_that_starts() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let Api { coordinator, store, database_url, cluster_name, .. } = api;
    coordinator.stop().await.unwrap();
    let many = "insert into message_logs (tenant_id, direction, chat_id, body, whatsapp_id)
        select 'asha', 'IN', 'c', 'x', 'm' || n from generate_series(1, 5000) n";
    store.pool().execute(many).await.unwrap();
    store.delete_tenant(&roost_model::ids::TenantId::new("asha").unwrap()).await.unwrap();
    let api = api_with(&database_url, &cluster_name).await;
    wait_until("the id is free", SOON, || create(&api, "asha")).await.unwrap();
}
