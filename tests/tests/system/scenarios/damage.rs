//! What is damaged of a session, on the disk of its node and in the object store, with real browsers: the session goes on from
//! what is older, nobody scans, and operators are told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use roost_devcluster::is_connected;
use roost_proto::v1::{EventKind, ListEventsRequest, StartWorkerRequest, StopWorkerRequest, Worker};
use roost_tests::{SOON, Scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_damaged_here_and_then_in_the_store_is_answered_on_without_a_scan() -> Result<()> {
    let mut scenario = Scenario::start(2, 1).await?;
    scenario.expect_error("is damaged");
    let tenant = scenario.tenant(0);
    scenario.answers(&tenant, "before").await?;
    let scans = scenario.cluster.scans();

    let before = scenario.cluster.worker(&tenant.id).await?;
    let owner = before.node_id;
    let stop = StopWorkerRequest { tenant_id: tenant.id.clone() };
    scenario.cluster.admin().workers().stop_worker(stop).await?;
    let released = |worker: &Worker| worker.node_id.is_empty();
    scenario.cluster.worker_until(&tenant.id, "is on no node", SOON, released).await?;
    let disk = scenario.cluster.state_dir().join("nodes").join(&owner);
    empty_database(&disk)?;
    let start = StartWorkerRequest { tenant_id: tenant.id.clone() };
    scenario.cluster.admin().workers().start_worker(start).await?;
    let again = |worker: &Worker| is_connected(worker) && worker.generation > before.generation;
    let again = scenario.cluster.worker_until(&tenant.id, "is connected again", SOON, again).await?;
    ensure!(again.node_id == owner, "it was to find its damaged profile");
    ensure!(
        damage(&scenario).await?.len() == 1,
        "the damaged profile is told: {:?}",
        damage(&scenario).await?
    );
    scenario.answers(&tenant, "from the store").await?;

    scenario.cluster.node(&owner)?.kill().await?;
    let newest = newest_manifest(&scenario.cluster.state_dir().join("snapshots"))?;
    fs::write(newest, "")?;
    let elsewhere = |worker: &Worker| is_connected(worker) && worker.node_id != owner;
    scenario.cluster.worker_until(&tenant.id, "is connected elsewhere", SOON, elsewhere).await?;
    scenario.answers(&tenant, "from the snapshot before").await?;
    ensure!(
        damage(&scenario).await?.len() == 2,
        "the damaged snapshot is told: {:?}",
        damage(&scenario).await?
    );
    ensure!(scenario.cluster.scans() == scans, "somebody had to scan");
    scenario.finish().await
}

async fn damage(scenario: &Scenario) -> Result<Vec<String>> {
    let listed =
        scenario.cluster.admin().cluster().list_events(ListEventsRequest::default()).await?.into_inner();
    let damage = listed.events.into_iter().filter(|event| event.kind() == EventKind::SessionDamaged);
    Ok(damage.map(|event| event.text).collect())
}

/// What a full disk or a crash of the machine leaves: the list of a LevelDB's tables is there, and is empty.
fn empty_database(node: &Path) -> Result<()> {
    let manifests: Vec<_> = files_below(node)?
        .into_iter()
        .filter(|path| path.display().to_string().contains("/Default/IndexedDB/"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST-")))
        .collect();
    ensure!(!manifests.is_empty(), "there is no database on this node");
    manifests.iter().try_for_each(|path| Ok(fs::write(path, "")?))
}

/// By generation, then by sequence.
fn newest_manifest(store: &Path) -> Result<PathBuf> {
    let order = |path: &PathBuf| {
        let (generation, sequence) = path.file_stem()?.to_str()?.split_once('-')?;
        Some((generation.parse::<i64>().ok()?, sequence.parse::<i64>().ok()?))
    };
    let is_manifest = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with("manifests"));
    let manifests = files_below(store)?.into_iter().filter(is_manifest);
    manifests.max_by_key(order).context("no snapshot was taken")
}

fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { &mut dirs } else { &mut files }.push(entry.path());
        }
    }
    Ok(files)
}
