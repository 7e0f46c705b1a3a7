//! WatchWorkers of some workers, and with what changes of them all the time.

use std::collections::BTreeMap;

use roost_model::ResourceUsage;
use roost_proto::{error::ErrorCode, v1};
use roost_store::Heartbeat;

use crate::api::harness::{Api, api, next, refused, until};

async fn label(api: &Api, tenant: &str, plan: &str) {
    let tenant = v1::Tenant {
        id: tenant.into(),
        labels: [("plan".to_owned(), plan.to_owned())].into(),
        ..Default::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".into()] });
    let request = v1::UpdateTenantRequest { tenant: Some(tenant), update_mask };
    api.tenants().update_tenant(request).await.unwrap();
}

async fn start(api: &Api, tenant: &str) {
    let request = v1::StartWorkerRequest { tenant_id: tenant.into() };
    api.workers().start_worker(request).await.unwrap();
}

fn tenant_of(answer: &v1::WatchWorkersResponse) -> &str {
    answer.worker.as_ref().map_or("", |worker| &worker.tenant_id)
}

#[tokio::test]
async fn those_of_a_selector_are_told_and_when_one_no_longer_fits() {
    let api = api().await;
    for (number, tenant) in [(1, "asha"), (2, "juma"), (3, "neema")] {
        api.tenant(tenant, number).await;
    }
    label(&api, "asha", "pro").await;
    label(&api, "juma", "free").await;
    let request = v1::WatchWorkersRequest { selector: "plan=pro".into(), ..Default::default() };
    let mut watch = api.workers().watch_workers(request).await.unwrap().into_inner();
    assert_eq!(tenant_of(&next(&mut watch).await.unwrap()), "asha");
    // What becomes of others is not told; the next that is told is of one that has come to fit.
    start(&api, "juma").await;
    label(&api, "neema", "pro").await;
    let came = next(&mut watch).await.unwrap();
    assert_eq!((tenant_of(&came), came.no_longer_fits), ("neema", false));
    label(&api, "asha", "free").await;
    let left = next(&mut watch).await.unwrap();
    assert_eq!((tenant_of(&left), left.no_longer_fits, left.deleted), ("asha", true, false));
    api.delete("asha").await;
    api.delete("neema").await;
    let deleted = next(&mut watch).await.unwrap();
    assert_eq!((tenant_of(&deleted), deleted.deleted), ("neema", true), "of asha no more is told");
}

#[tokio::test]
async fn a_field_and_a_tenant_do_not_both_choose_and_nonsense_is_refused() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let one = |more: v1::WatchWorkersRequest| v1::WatchWorkersRequest { tenant_id: "asha".into(), ..more };
    let running = v1::WorkerStatus::Running as i32;
    for (request, field) in [
        (one(v1::WatchWorkersRequest { with_figures: true, ..Default::default() }), "tenant_id"),
        (one(v1::WatchWorkersRequest { selector: "plan".into(), ..Default::default() }), "tenant_id"),
        (one(v1::WatchWorkersRequest { status: running, ..Default::default() }), "tenant_id"),
        (v1::WatchWorkersRequest { selector: "plan=,,".into(), ..Default::default() }, "selector"),
        (v1::WatchWorkersRequest { node_id: "No Node".into(), ..Default::default() }, "node_id"),
    ] {
        let error = refused(api.workers().watch_workers(request.clone()).await);
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{request:?}");
        assert_eq!(error.violations[0].field, field, "{request:?}");
    }
}

#[tokio::test]
async fn figures_follow_all_that_there_is_and_then_come_as_they_change() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    start(&api, "asha").await;
    api.node("n1").await;
    let fence = api.placed("asha").await;
    let usage = Some(ResourceUsage { memory_bytes: 188 << 20, cpu_millicores: 45, processes: 6 });
    let beat = |messages_per_minute| Heartbeat { usage, messages_per_minute, ..fence.clone().into() };
    api.store.heartbeat(&[beat(7)]).await.unwrap();
    let request = v1::WatchWorkersRequest { with_figures: true, ..Default::default() };
    let mut watch = api.workers().watch_workers(request).await.unwrap().into_inner();
    let mut told = BTreeMap::new();
    let mut workers = vec![];
    loop {
        let answer = next(&mut watch).await.unwrap();
        if answer.all_told {
            break;
        }
        assert!(answer.worker.is_none() || told.is_empty(), "the figures come after the workers");
        workers.extend(answer.worker.map(|worker| worker.tenant_id));
        told.extend(answer.figures.into_iter().map(|figures| (figures.tenant_id.clone(), figures)));
    }
    assert_eq!(workers, ["asha", "juma"]);
    let asha = &told["asha"];
    assert_eq!((asha.memory_bytes, asha.messages_per_minute), (Some(188 << 20), Some(7)));
    assert_eq!(told["juma"].memory_bytes, None);
    api.store.heartbeat(&[beat(9)]).await.unwrap();
    let changed = until(&mut watch, |answer| !answer.figures.is_empty()).await;
    assert_eq!(changed.figures.len(), 1, "{changed:?}");
    assert_eq!(changed.figures[0].messages_per_minute, Some(9));
}
