//! One change of settings on many tenants, and its undoing: the plan, the next leader, who is left out, and which are refused.

use roost_model::ids::TenantId;
use roost_proto::{error::ErrorCode, v1};
use roost_store::{LimitsPatch, TenantPatch};
use sqlx::{Connection, PgConnection};

use crate::api::{
    fleet::{a_pass_is_made, end, labelled, restart, start, watch},
    harness::{Api, api, fields, leader_and_next, refused, until},
};

const TENANTS: i32 = 200;

fn id(number: i32) -> String {
    format!("t-{number:03}")
}

/// With the plan pro; they are stopped, which is nothing to an update.
async fn tenants(api: &Api, count: i32) {
    let make = |number: i32| async move {
        let phone = format!("+2557{number:08}");
        let new = roost_tests::new_tenant(TenantId::new(&id(number)).unwrap(), phone);
        let labels = [("plan".to_owned(), "pro".to_owned())].into();
        let new = roost_store::NewTenant { labels, reply_limit_per_minute: 10, ..new };
        api.store.create_tenant(new).await.unwrap();
    };
    futures::future::join_all((0..count).map(make)).await;
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// 20 replies a minute and a memory request of 64 MiB.
fn update() -> v1::StartSettingsUpdateRequest {
    let settings = v1::Tenant {
        reply_limit_per_minute: Some(20),
        memory_request_bytes: Some(64 << 20),
        ..Default::default()
    };
    v1::StartSettingsUpdateRequest {
        settings: Some(settings),
        update_mask: mask(&["reply_limit_per_minute", "memory_request_bytes"]),
        selector: "plan=pro".into(),
        requested_by: "asha".into(),
        ..Default::default()
    }
}

fn undo(id: i64) -> v1::StartSettingsUndoRequest {
    v1::StartSettingsUndoRequest { id, ..Default::default() }
}

async fn limit_memory(api: &Api, id: &str, bytes: u64) {
    let limits = LimitsPatch { memory_limit_bytes: Some(Some(bytes)), ..LimitsPatch::default() };
    let patch = TenantPatch { limits, ..TenantPatch::default() };
    api.store.update_tenant(&TenantId::new(id).unwrap(), patch).await.unwrap();
}

async fn set_limit(api: &Api, id: &str, limit: u32) {
    let patch = TenantPatch { reply_limit_per_minute: Some(limit), ..TenantPatch::default() };
    api.store.update_tenant(&TenantId::new(id).unwrap(), patch).await.unwrap();
}

async fn limit_of(api: &Api, id: &str) -> i32 {
    let request = v1::GetTenantRequest { id: id.into() };
    api.tenants().get_tenant(request).await.unwrap().into_inner().reply_limit_per_minute()
}

/// How many tenants answer so often.
async fn with_limit(api: &Api, limit: i32) -> usize {
    let request = v1::ListTenantsRequest { page_size: 1_000, ..Default::default() };
    let listed = api.tenants().list_tenants(request).await.unwrap().into_inner().tenants;
    listed.iter().filter(|tenant| tenant.reply_limit_per_minute() == limit).count()
}

#[tokio::test]
async fn the_next_leader_goes_on_with_an_update_of_many_and_an_undoing_spares_who_was_changed_since() {
    let (first, second) = leader_and_next().await;
    tenants(&second, TENANTS).await;
    limit_memory(&second, "t-007", 32 << 20).await;

    let v1::StartSettingsUpdateRequest { settings, update_mask, selector, .. } = update();
    let request = v1::PlanSettingsUpdateRequest { settings, update_mask, selector, all: false };
    let plan = second.tenants().plan_settings_update(request).await.unwrap().into_inner();
    assert_eq!((plan.changed_tenants, plan.unchanged_tenants, plan.refused_tenants), (TENANTS - 1, 0, 1));
    let field = |path: &str, before: &str, after: &str| v1::FieldChange {
        path: path.into(),
        before: before.into(),
        after: after.into(),
    };
    let changes =
        [field("memory_request_bytes", "", "67108864"), field("reply_limit_per_minute", "10", "20")];
    assert_eq!(
        (plan.changes[0].tenant_id.as_str(), plan.changes[0].fields.as_slice()),
        ("t-000", &changes[..])
    );
    let why = "memory_request_bytes would be 67108864, over its memory_limit_bytes of 33554432";
    let unfit = v1::WorkerFailure { tenant_id: "t-007".into(), error: why.into() };
    assert_eq!(plan.refused, std::slice::from_ref(&unfit));
    assert_eq!(with_limit(&second, 20).await, 0, "a plan changes nothing");

    // One whose row somebody holds is waited for, so the operation is not over before its leader is.
    let mut holder = PgConnection::connect(&second.database_url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    let hold = "select from worker_processes where tenant_id = 't-150' for update";
    sqlx::query(hold).execute(&mut *held).await.unwrap();
    let started = second.tenants().start_settings_update(update()).await.unwrap().into_inner();
    let told: Vec<_> = started.settings.iter().map(|one| (one.path.as_str(), one.value.as_str())).collect();
    assert_eq!(told, [("memory_request_bytes", "67108864"), ("reply_limit_per_minute", "20")]);
    assert_eq!((started.action(), started.total_tenants), (v1::WorkerAction::UpdateSettings, TENANTS));
    let mut changes = watch(&second, started.id).await;
    until(&mut changes, |change| change.done_tenants == TENANTS - 2).await;
    first.coordinator.stop().await.unwrap();
    held.rollback().await.unwrap();
    let ended = end(&mut changes).await;
    let message = format!("1 of {TENANTS} failed: t-007 ({why})");
    assert_eq!((ended.state(), ended.message), (v1::OperationState::Failed, message));
    assert_eq!(ended.done_tenants, TENANTS - 1);
    assert_eq!((with_limit(&second, 20).await, limit_of(&second, "t-007").await), (TENANTS as usize - 1, 10));
    let request = v1::GetOperationRequest { id: started.id };
    let kept = second.operations().get_operation(request).await.unwrap().into_inner();
    assert_eq!(kept.failures, [unfit]);

    set_limit(&second, "t-042", 99).await;
    let request = v1::PlanSettingsUndoRequest { id: started.id };
    let plan = second.tenants().plan_settings_undo(request).await.unwrap().into_inner();
    let left = v1::WorkerFailure {
        tenant_id: "t-042".into(),
        error: "changed by somebody else since: reply_limit_per_minute".into(),
    };
    assert_eq!((plan.changed_tenants, plan.refused.as_slice()), (TENANTS - 2, &[left.clone()][..]));
    let undone = second.tenants().start_settings_undo(undo(started.id)).await.unwrap().into_inner();
    assert_eq!((undone.undoes, undone.left_out.as_slice()), (started.id, &[left][..]));
    let ended = end(&mut watch(&second, undone.id).await).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, TENANTS - 2), "{ended:?}");
    assert_eq!((with_limit(&second, 10).await, limit_of(&second, "t-042").await), (TENANTS as usize - 1, 99));

    let error = refused(second.tenants().start_settings_undo(undo(started.id)).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition, "{error:?}");
    assert!(error.message.contains(&format!("was undone by operation {}", undone.id)), "{error:?}");
    let again = second.tenants().start_settings_undo(undo(undone.id)).await.unwrap().into_inner();
    end(&mut watch(&second, again.id).await).await;
    assert_eq!(with_limit(&second, 20).await, TENANTS as usize - 2, "an undoing is undone");
}

#[tokio::test]
async fn a_cancelled_update_changes_nobody_more_and_what_it_has_changed_is_undone() {
    let api = api().await;
    let _node = api.fake_node("n1").await;
    tenants(&api, 3).await;
    let mut holder = PgConnection::connect(&api.database_url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    let hold = "select from worker_processes where tenant_id = 't-001' for update";
    sqlx::query(hold).execute(&mut *held).await.unwrap();
    let request = v1::StartSettingsUpdateRequest { max_concurrent: 1, ..update() };
    let started = api.tenants().start_settings_update(request).await.unwrap().into_inner();
    let mut changes = watch(&api, started.id).await;
    until(&mut changes, |change| change.done_tenants == 1).await;
    let early = refused(api.tenants().start_settings_undo(undo(started.id)).await);
    assert!(early.message.contains("still runs"), "{early:?}");
    let cancel = v1::CancelOperationRequest { id: started.id, ..Default::default() };
    api.operations().cancel_operation(cancel).await.unwrap();
    held.rollback().await.unwrap();
    a_pass_is_made(&api).await;
    assert_eq!(with_limit(&api, 20).await, 1);
    let undone = api.tenants().start_settings_undo(undo(started.id)).await.unwrap().into_inner();
    let ended = end(&mut watch(&api, undone.id).await).await;
    assert_eq!((ended.state(), ended.total_tenants), (v1::OperationState::Done, 1));
    assert_eq!(with_limit(&api, 20).await, 0);
}

#[tokio::test]
async fn an_update_that_too_many_do_not_fit_is_halted_and_names_them() {
    let api = api().await;
    tenants(&api, 6).await;
    for number in 0..3 {
        limit_memory(&api, &id(number), 32 << 20).await;
    }
    let request = v1::StartSettingsUpdateRequest { max_concurrent: 1, ..update() };
    let started = api.tenants().start_settings_update(request).await.unwrap().into_inner();
    let ended = end(&mut watch(&api, started.id).await).await;
    assert_eq!(ended.state(), v1::OperationState::Failed);
    assert!(ended.message.starts_with("halted, for 3 of 6 failed; 3 not begun: t-000 ("), "{ended:?}");
    assert_eq!(with_limit(&api, 20).await, 0);
}

#[tokio::test]
async fn an_update_or_an_undoing_that_makes_no_sense_is_refused() {
    let api = api().await;
    let _node = api.fake_node("n1").await;
    let nobody = refused(api.tenants().start_settings_update(update()).await);
    assert_eq!(fields(&nobody, ErrorCode::FailedPrecondition), [] as [&str; 0]);
    assert!(nobody.message.starts_with("plan=pro matches no tenant; "), "{nobody:?}");
    labelled(&api, "asha", 1, "pro").await;
    api.placed("asha").await;
    let phone = v1::StartSettingsUpdateRequest {
        update_mask: mask(&["phone"]),
        selector: String::new(),
        max_concurrent: 1_001,
        ..update()
    };
    let error = refused(api.tenants().start_settings_update(phone).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["update_mask", "selector", "max_concurrent"]);
    let told = v1::StartFleetOperationRequest {
        action: v1::WorkerAction::UpdateSettings.into(),
        ..restart("plan=pro")
    };
    let error = refused(api.operations().start_fleet_operation(told).await);
    assert_eq!(fields(&error, ErrorCode::InvalidArgument), ["action"]);

    let unknown = refused(api.tenants().start_settings_undo(undo(77)).await);
    assert_eq!((unknown.code, unknown.resource.unwrap().id.as_str()), (ErrorCode::NotFound, "77"));
    let running = start(&api, restart("plan=pro")).await;
    let beside = refused(api.tenants().start_settings_update(update()).await);
    assert_eq!(beside.code, ErrorCode::AlreadyExists, "{beside:?}");
    let no_update = refused(api.tenants().start_settings_undo(undo(running.id)).await);
    assert_eq!(no_update.code, ErrorCode::FailedPrecondition);
    assert!(no_update.message.contains("is no update of settings"), "{no_update:?}");
    assert_eq!(no_update.resource.unwrap().id, running.id.to_string());
    let cancel = v1::CancelOperationRequest { id: running.id, ..Default::default() };
    api.operations().cancel_operation(cancel).await.unwrap();

    let same =
        v1::Tenant { reply_limit_per_minute: Some(limit_of(&api, "asha").await), ..Default::default() };
    let same = v1::StartSettingsUpdateRequest {
        settings: Some(same),
        update_mask: mask(&["reply_limit_per_minute"]),
        ..update()
    };
    let started = api.tenants().start_settings_update(same).await.unwrap().into_inner();
    let ended = end(&mut watch(&api, started.id).await).await;
    assert_eq!((ended.state(), ended.done_tenants), (v1::OperationState::Done, 1));
    let nothing = refused(api.tenants().start_settings_undo(undo(started.id)).await);
    assert!(nothing.message.contains("has changed nothing"), "{nothing:?}");
}
