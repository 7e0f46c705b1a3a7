//! What operators ask for.

use std::fs;

use roost_devcluster::is_connected;
use roost_proto::v1::{
    DeleteTenantRequest, ForceRestartWorkerRequest, GetTenantRequest, ListSnapshotOrphansRequest,
    LogoutRequest, RemoveSnapshotOrphanRequest, RestartWorkerRequest, SessionStatus, StartWorkerRequest,
    StopWorkerRequest, TenantStatus, Worker, WorkerStatus,
};
use roost_tests::{SOON, Scenario, scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_stopped_started_and_restarted_and_keeps_its_session() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let (tenant, admin) = (scenario.tenant(0), scenario.cluster.admin());
    let (tenant_id, scans) = (tenant.id.clone(), scenario.cluster.scans());

    let again =
        admin.workers().start_worker(StartWorkerRequest { tenant_id: tenant_id.clone() }).await?.into_inner();
    assert!(again.already_running, "Start on a running worker says that it runs");

    admin.workers().stop_worker(StopWorkerRequest { tenant_id: tenant_id.clone() }).await?;
    let released = |worker: &Worker| worker.status() == WorkerStatus::Stopped && worker.node_id.is_empty();
    scenario.cluster.worker_until(&tenant_id, "is stopped and released", SOON, released).await?;
    assert_eq!(scenario::tenant(&scenario.cluster, &tenant_id).await?.status(), TenantStatus::Paused);
    scenario.cluster.simulator()?.message(&tenant.phone, "+255744000001", "while stopped").await?;

    admin.workers().start_worker(StartWorkerRequest { tenant_id: tenant_id.clone() }).await?;
    scenario.cluster.tenant_connected(&tenant_id, SOON).await?;
    scenario
        .cluster
        .sent_until(&tenant, 0, SOON, |sent| sent.iter().any(|message| message.body == "echo: while stopped"))
        .await?;

    admin.workers().restart_worker(RestartWorkerRequest { tenant_id: tenant_id.clone() }).await?;
    scenario.answers(&tenant, "after a restart").await?;
    assert_eq!(scenario.cluster.scans(), scans, "none of this needs a scan");
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_restart_keeps_the_session_unless_told_to_wipe_it() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let (tenant, admin) = (scenario.tenant(0), scenario.cluster.admin());
    let scans = scenario.cluster.scans();
    let force = |wipe_session| ForceRestartWorkerRequest { tenant_id: tenant.id.clone(), wipe_session };

    let worker = admin.workers().force_restart_worker(force(false)).await?.into_inner();
    assert_eq!(worker.last_error, "");
    assert!(worker.restarts > 0 || worker.status() == WorkerStatus::Running);
    let connected_again = |now: &Worker| is_connected(now) && now.restarts > 0;
    scenario.cluster.worker_until(&tenant.id, "is connected again", SOON, connected_again).await?;
    scenario.answers(&tenant, "after force").await?;
    assert_eq!(scenario.cluster.scans(), scans);

    admin.workers().force_restart_worker(force(true)).await?;
    scenario
        .cluster
        .wait("a wiped session is scanned anew", SOON, || async { scenario.cluster.scans() > scans })
        .await?;
    scenario.answers(&tenant, "after wipe").await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_by_the_operator_unlinks_the_device() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 1).await?;
    let tenant = scenario.tenant(0);
    let scans = scenario.cluster.scans();
    let request = LogoutRequest { tenant_id: tenant.id.clone() };
    let session = scenario.cluster.admin().sessions().logout(request.clone()).await?.into_inner();
    assert_eq!(session.logout_problem, "");
    scenario.cluster.wait("it is scanned anew", SOON, || async { scenario.cluster.scans() > scans }).await?;
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;

    let refuse = serde_json::json!({ "failing_logouts": 1 });
    scenario.cluster.simulator()?.harden(Some(&tenant.phone), refuse).await?;
    let session = scenario.cluster.admin().sessions().logout(request).await?.into_inner();
    assert!(session.logout_problem.contains("internal-server-error"), "{session:?}");
    scenario.cluster.tenant_connected(&tenant.id, SOON).await?;
    scenario.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_tenant_leaves_nothing_behind() -> anyhow::Result<()> {
    let scenario = Scenario::start(1, 2).await?;
    let (kept, tenant) = (scenario.tenant(0), scenario.tenant(1));
    scenario.answers(&tenant, "soon gone").await?;
    let state = scenario.cluster.state_dir().to_owned();
    let traces = || paths_that_name(&state, &format!("{}-", tenant.id));
    assert!(!traces()?.is_empty(), "its profile is on the disk");
    scenario
        .cluster
        .wait("both tenants have snapshots", SOON, || async {
            snapshot_folders(&state).is_ok_and(|n| n == 2)
        })
        .await?;

    let request = DeleteTenantRequest { id: tenant.id.clone() };
    scenario.cluster.admin().tenants().delete_tenant(request).await?;
    let get = GetTenantRequest { id: tenant.id.clone() };
    let missing = scenario.cluster.admin().tenants().get_tenant(get).await.expect_err("it is gone");
    assert_eq!(missing.code(), tonic::Code::NotFound);
    scenario
        .cluster
        .wait("profile and snapshots are gone", SOON * 2, || async {
            traces().is_ok_and(|left| left.is_empty())
                && snapshot_folders(&state).is_ok_and(|folders| folders == 1)
        })
        .await?;
    scenario.answers(&kept, "still here").await?;
    let worker = scenario.cluster.worker(&kept.id).await?;
    assert_eq!(worker.session_status(), SessionStatus::Connected);
    scenario.finish().await
}

/// Profiles are folders `<tenant>-<uid>`.
fn paths_that_name(root: &std::path::Path, name: &str) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = vec![];
    for node in fs::read_dir(root.join("nodes"))? {
        let profiles = node?.path().join("profiles");
        for profile in fs::read_dir(profiles).into_iter().flatten() {
            let profile = profile?;
            if profile.file_name().to_string_lossy().starts_with(name) {
                found.push(profile.path());
            }
        }
    }
    Ok(found)
}

/// One folder per tenant in the object store; a folder without a file in it is none.
fn snapshot_folders(root: &std::path::Path) -> anyhow::Result<usize> {
    let folders = fs::read_dir(root.join("snapshots"))?.filter_map(Result::ok);
    // Beside them is the store's marker.
    Ok(folders.filter(|folder| folder.path().is_dir() && holds_a_file(&folder.path())).count())
}

fn holds_a_file(path: &std::path::Path) -> bool {
    path.is_file()
        || fs::read_dir(path).into_iter().flatten().flatten().any(|entry| holds_a_file(&entry.path()))
}

/// The first node's first sweep finds what an earlier cluster has left in the object store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_nobodys_is_listed_and_goes_by_order_alone() -> anyhow::Result<()> {
    let objects = tempfile::tempdir()?;
    let uid = "6a1d3c52-0000-4000-8000-000000000001";
    let left = objects.path().join(uid).join("manifests");
    fs::create_dir_all(&left)?;
    fs::write(left.join("1-1.json"), "of another time")?;
    let location = objects.path().to_owned();
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 1);
        options.object_store = Some(location);
    })
    .await?;
    let mut sessions = scenario.cluster.admin().sessions();
    let listed = || async {
        let request = ListSnapshotOrphansRequest::default();
        let listed = scenario.cluster.admin().sessions().list_snapshot_orphans(request).await;
        listed.is_ok_and(|listed| listed.get_ref().orphans.iter().any(|orphan| orphan.uid == uid))
    };
    scenario.cluster.wait("the sweep has found it", SOON * 3, listed).await?;
    assert!(left.exists(), "it is kept for a time");

    let order = RemoveSnapshotOrphanRequest { uid: uid.into(), ..Default::default() };
    sessions.remove_snapshot_orphan(order).await?;
    // A tenant's end has its node sweep at once.
    let tenant = scenario.tenant(0);
    scenario.cluster.admin().tenants().delete_tenant(DeleteTenantRequest { id: tenant.id }).await?;
    scenario.cluster.wait("it is gone", SOON * 3, || async { !left.exists() && !listed().await }).await?;
    scenario.finish().await
}
