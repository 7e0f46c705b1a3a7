//! Ids that are unknown, missing or malformed, on every call that takes one; and what a caller is told that Postgres refuses.

use roost_proto::{error::ErrorCode, v1};
use sqlx::{Connection, Executor};
use tonic::Status;

use crate::{
    api::harness::{Api, WHY, api, error_of, refused},
    store::support::refuse_changes_of_tenants,
};

/// Every call with this tenant's id, and the field that carries it.
async fn every_call(api: &Api, id: &str) -> Vec<(&'static str, Status, &'static str)> {
    let tenant_id = id.to_owned();
    let tenant = v1::Tenant { id: id.into(), display_name: "x".into(), ..Default::default() };
    let (mut tenants, mut workers, mut sessions) = (api.tenants(), api.workers(), api.sessions());
    let get_tenant = tenants.get_tenant(v1::GetTenantRequest { id: id.into() }).await.unwrap_err();
    let delete = tenants.delete_tenant(v1::DeleteTenantRequest { id: id.into() }).await.unwrap_err();
    let update = v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: None };
    let update = tenants.update_tenant(update).await.unwrap_err();
    let start =
        workers.start_worker(v1::StartWorkerRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let stop = workers.stop_worker(v1::StopWorkerRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let restart =
        workers.restart_worker(v1::RestartWorkerRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let force = v1::ForceRestartWorkerRequest { tenant_id: tenant_id.clone(), wipe_session: false };
    let force = workers.force_restart_worker(force).await.unwrap_err();
    let get_worker =
        workers.get_worker(v1::GetWorkerRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let get_session =
        sessions.get_session(v1::GetSessionRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let logout = sessions.logout(v1::LogoutRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let watch_session =
        sessions.watch_session(v1::WatchSessionRequest { tenant_id: tenant_id.clone() }).await.unwrap_err();
    let pin = v1::PinTenantRequest { tenant_id: id.into(), node_id: "n1".into(), ..Default::default() };
    let pin = tenants.pin_tenant(pin).await.unwrap_err();
    let unpin = v1::UnpinTenantRequest { tenant_id: id.into(), ..Default::default() };
    let unpin = tenants.unpin_tenant(unpin).await.unwrap_err();
    let explain = v1::ExplainPlacementRequest { tenant_id: id.into() };
    let explain = tenants.explain_placement(explain).await.unwrap_err();
    let (mut operations, node_id) = (api.operations(), "n1".to_owned());
    let plan = v1::PlanMoveRequest { tenant_id: tenant_id.clone(), node_id: node_id.clone() };
    let plan = operations.plan_move(plan).await.unwrap_err();
    let order = v1::StartMoveRequest { tenant_id, node_id, ..Default::default() };
    let order = operations.start_move(order).await.unwrap_err();
    vec![
        ("GetTenant", get_tenant, "id"),
        ("DeleteTenant", delete, "id"),
        ("UpdateTenant", update, "tenant.id"),
        ("StartWorker", start, "tenant_id"),
        ("StopWorker", stop, "tenant_id"),
        ("RestartWorker", restart, "tenant_id"),
        ("ForceRestartWorker", force, "tenant_id"),
        ("GetWorker", get_worker, "tenant_id"),
        ("GetSession", get_session, "tenant_id"),
        ("WatchSession", watch_session, "tenant_id"),
        ("Logout", logout, "tenant_id"),
        ("PinTenant", pin, "tenant_id"),
        ("UnpinTenant", unpin, "tenant_id"),
        ("ExplainPlacement", explain, "tenant_id"),
        ("PlanMove", plan, "tenant_id"),
        ("StartMove", order, "tenant_id"),
    ]
}

/// Every call with this node's id, and the field that carries it.
async fn every_call_on_a_node(api: &Api, id: &str) -> Vec<(&'static str, Status, &'static str)> {
    let id = id.to_owned();
    let (mut nodes, mut operations) = (api.nodes(), api.operations());
    let get = nodes.get_node(v1::GetNodeRequest { id: id.clone() }).await.unwrap_err();
    let cordon = v1::CordonRequest { id: id.clone(), ..Default::default() };
    let cordon = nodes.cordon(cordon).await.unwrap_err();
    let uncordon = v1::UncordonRequest { id: id.clone(), ..Default::default() };
    let uncordon = nodes.uncordon(uncordon).await.unwrap_err();
    let window = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let set = v1::SetRestartWindowRequest { id: id.clone(), window, ..Default::default() };
    let set = nodes.set_restart_window(set).await.unwrap_err();
    let clear = v1::ClearRestartWindowRequest { id: id.clone(), ..Default::default() };
    let clear = nodes.clear_restart_window(clear).await.unwrap_err();
    let plan = v1::PlanDrainRequest { node_id: id.clone(), force: true };
    let plan = operations.plan_drain(plan).await.unwrap_err();
    let drain = v1::StartDrainRequest { node_id: id.clone(), force: true, ..Default::default() };
    let drain = operations.start_drain(drain).await.unwrap_err();
    let pin = v1::PinTenantRequest { tenant_id: "asha".into(), node_id: id.clone(), ..Default::default() };
    let pin = api.tenants().pin_tenant(pin).await.unwrap_err();
    let order = v1::StartMoveRequest { tenant_id: "asha".into(), node_id: id, ..Default::default() };
    let order = operations.start_move(order).await.unwrap_err();
    vec![
        ("GetNode", get, "id"),
        ("Cordon", cordon, "id"),
        ("Uncordon", uncordon, "id"),
        ("SetRestartWindow", set, "id"),
        ("ClearRestartWindow", clear, "id"),
        ("PlanDrain", plan, "node_id"),
        ("StartDrain", drain, "node_id"),
        ("PinTenant", pin, "node_id"),
        ("StartMove", order, "node_id"),
    ]
}

#[tokio::test]
async fn an_unknown_node_is_not_found_by_any_call() {
    let api = api().await;
    api.tenant("asha", 1).await;
    for (call, status, _) in every_call_on_a_node(&api, "n9").await {
        let error = error_of(&status);
        assert_eq!(error.code, ErrorCode::NotFound, "{call}: {error:?}");
        let about = error.resource.unwrap_or_else(|| panic!("{call} names nothing"));
        assert_eq!((about.kind.as_str(), about.id.as_str()), ("node", "n9"), "{call}");
    }
    for id in ["", "Not An Id"] {
        for (call, status, field) in every_call_on_a_node(&api, id).await {
            let error = error_of(&status);
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{call} {id:?}: {error:?}");
            let named: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
            assert_eq!(named, [field], "{call} {id:?}");
        }
    }
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found_by_any_call() {
    let api = api().await;
    for (call, status, _) in every_call(&api, "nobody").await {
        let error = error_of(&status);
        assert_eq!(error.code, ErrorCode::NotFound, "{call}: {error:?}");
        let about = error.resource.unwrap_or_else(|| panic!("{call} names nothing"));
        assert_eq!((about.kind.as_str(), about.id.as_str()), ("tenant", "nobody"), "{call}");
    }
    let list =
        v1::ListMessagesRequest { reason: WHY.into(), tenant_id: "nobody".into(), ..Default::default() };
    assert_eq!(refused(api.messages().list_messages(list).await).code, ErrorCode::NotFound);
    let tail = v1::WatchMessagesRequest { reason: WHY.into(), tenant_id: "nobody".into(), backlog: 0 };
    assert_eq!(refused(api.messages().watch_messages(tail).await).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_missing_or_malformed_id_is_refused_by_its_field_in_every_call() {
    let api = api().await;
    for id in ["", "Not An Id", "-x", "a\0b", &"x".repeat(64)] {
        for (call, status, field) in every_call(&api, id).await {
            let error = error_of(&status);
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{call} {id:?}: {error:?}");
            let named: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
            assert_eq!(named, [field], "{call} {id:?}");
        }
    }
}

#[tokio::test]
async fn what_postgres_refuses_is_told_by_what_the_caller_can_do_about_it() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let expected = [
        ("55P03", ErrorCode::Unavailable),
        ("57014", ErrorCode::Unavailable),
        ("40001", ErrorCode::Unavailable),
        ("25006", ErrorCode::Unavailable),
        ("23514", ErrorCode::InvalidArgument),
        ("42501", ErrorCode::FailedPrecondition),
        ("42P01", ErrorCode::Internal),
    ];
    for (sqlstate, code) in expected {
        refuse_changes_of_tenants(&api.store, sqlstate).await;
        let tenant = v1::Tenant { id: "asha".into(), display_name: "Asha".into(), ..Default::default() };
        let update = v1::UpdateTenantRequest { tenant: Some(tenant), update_mask: None };
        let error = refused(api.tenants().update_tenant(update).await);
        assert_eq!(error.code, code, "{sqlstate}: {error:?}");
        assert_eq!(
            error.unavailable.is_some(),
            code == ErrorCode::Unavailable,
            "when to try again: {error:?}"
        );
        assert!(error.message.contains("refused by the test"), "{}", error.message);
    }
}

/// The survey that an order is checked against waits for a table that somebody holds, until its lock timeout.
#[tokio::test]
async fn an_order_that_postgres_gives_up_may_be_given_again() {
    let api = api().await;
    api.node("n1").await;
    let plan = || v1::PlanDrainRequest { node_id: "n1".into(), force: true };
    let mut other = sqlx::PgConnection::connect_with(&api.store.pool().connect_options()).await.unwrap();
    other.execute("begin; lock table node_orders in access exclusive mode").await.unwrap();
    let error = refused(api.operations().plan_drain(plan()).await);
    assert_eq!(error.code, ErrorCode::Unavailable, "{error:?}");
    assert!(error.unavailable.is_some() && error.message.contains("Postgres is up"), "{error:?}");
    other.execute("rollback").await.unwrap();
    api.operations().plan_drain(plan()).await.unwrap();
}
