//! Labels and metadata of tenants, and tenants chosen by labels.

use roost_store::{
    LabelPatch, LabelSelector, Labels, NewTenant, StoreError, TenantFilter, TenantPatch, WorkerFilter,
    WorkerStatus,
};

use crate::store::support::{Db, new_tenant, tenant};

fn labels(given: &[(&str, &str)]) -> Labels {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn labelled(db: &Db, id: &str, given: &[(&str, &str)]) {
    db.store.create_tenant(NewTenant { labels: labels(given), ..new_tenant(id) }).await.unwrap();
}

/// The tenants that it chooses, and the workers, which are to be the same.
async fn chosen(db: &Db, selector: LabelSelector) -> Vec<String> {
    let filter = TenantFilter { labels: selector.clone(), ..TenantFilter::default() };
    let tenants = db.store.list_tenants(&filter, None, 10).await.unwrap();
    let tenants: Vec<_> = tenants.into_iter().map(|tenant| tenant.id.to_string()).collect();
    let filter = WorkerFilter { labels: selector, ..WorkerFilter::default() };
    let workers = db.store.list_workers(&filter, None, 10).await.unwrap();
    assert_eq!(workers.iter().map(|worker| worker.tenant.to_string()).collect::<Vec<_>>(), tenants);
    assert_eq!(db.store.count_workers(&filter).await.unwrap(), tenants.len() as u64);
    tenants
}

#[tokio::test]
async fn tenants_and_workers_are_chosen_by_labels() {
    let db = Db::new().await;
    labelled(&db, "a", &[("plan", "pro"), ("zone", "east")]).await;
    labelled(&db, "b", &[("plan", "pro"), ("trial", "")]).await;
    labelled(&db, "c", &[("plan", "free")]).await;
    labelled(&db, "d", &[]).await;
    let pro = LabelSelector { equal: labels(&[("plan", "pro")]), ..LabelSelector::default() };
    assert_eq!(chosen(&db, LabelSelector::default()).await, ["a", "b", "c", "d"]);
    assert_eq!(chosen(&db, pro.clone()).await, ["a", "b"]);
    assert_eq!(chosen(&db, LabelSelector { absent: vec!["trial".into()], ..pro.clone() }).await, ["a"]);
    assert_eq!(chosen(&db, LabelSelector { present: vec!["trial".into()], ..pro }).await, ["b"]);
    let unequal = vec![("plan".into(), "pro".into()), ("plan".into(), "x".into())];
    assert_eq!(chosen(&db, LabelSelector { unequal, ..LabelSelector::default() }).await, ["c", "d"]);

    db.store.start_worker(&tenant("b")).await.unwrap();
    db.place(&tenant("b"), "n1").await;
    let running = TenantFilter { worker_status: Some(WorkerStatus::Running), ..TenantFilter::default() };
    let on_node = TenantFilter { node: Some("n1".parse().unwrap()), ..TenantFilter::default() };
    for filter in [running, on_node] {
        let found = db.store.list_tenants(&filter, None, 10).await.unwrap();
        assert_eq!(found.iter().map(|tenant| tenant.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}

#[tokio::test]
async fn entries_are_changed_one_by_one_or_all_anew() {
    let db = Db::new().await;
    labelled(&db, "a", &[("plan", "pro"), ("zone", "east")]).await;
    let patched = async |labels: LabelPatch, metadata: LabelPatch| {
        let patch = TenantPatch { labels, metadata, ..TenantPatch::default() };
        db.store.update_tenant(&tenant("a"), patch).await
    };
    let one = LabelPatch { set: labels(&[("plan", "free")]), remove: vec!["zone".into()], replace: false };
    let note = LabelPatch { set: labels(&[("note", "paid\nlate")]), ..LabelPatch::default() };
    let changed = patched(one, note).await.unwrap();
    assert_eq!(changed.labels, labels(&[("plan", "free")]));
    assert_eq!(changed.metadata, labels(&[("note", "paid\nlate")]));
    assert_eq!(changed, db.store.get_tenant(&tenant("a")).await.unwrap());

    let anew = LabelPatch { set: labels(&[("x", "y")]), replace: true, remove: vec![] };
    let changed = patched(anew, LabelPatch::default()).await.unwrap();
    assert_eq!((changed.labels.len(), changed.metadata.len()), (1, 1));

    let large = LabelPatch { set: labels(&[("note", &"x".repeat(70_000))]), ..LabelPatch::default() };
    let refused = patched(LabelPatch::default(), large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { field: "metadata" })), "{refused:?}");
    assert_eq!(db.store.get_tenant(&tenant("a")).await.unwrap(), changed, "nothing of it is kept");
}
