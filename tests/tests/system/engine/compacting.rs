//! Copies of a database that never rests: a page writes so much that LevelDB writes tables, merges them and removes them all
//! the while, and values so large that Chromium keeps them in files of their own. Each copy is opened by another Chromium,
//! which reads all of it: nothing that was acknowledged before the copy is missing, and nothing is torn.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use axum::{
    Json, Router,
    extract::State,
    response::Html,
    routing::{get, post},
};
use roost_model::ids::Generation;
use roost_node::session::{LockedProfile, SessionSource, SnapshotTaker};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::watch, time::timeout};

use crate::engine::world::World;

/// Copies compared; `make soak` makes a hundred.
const COPIES: u32 = 4;
const WITHIN: Duration = Duration::from_secs(60);
/// Between copies the page writes so many records more: more than LevelDB keeps in memory and in its youngest level.
const RECORDS_BETWEEN: u64 = 800;

/// What the pages of one origin have told: the writer what was acknowledged to it, each reader what it found.
#[derive(Clone)]
struct Site {
    acknowledged: watch::Sender<u64>,
    found: watch::Sender<Option<Found>>,
}

/// The last record of a copy, and what is wrong with any of them.
#[derive(Debug, Clone, Deserialize)]
struct Found {
    last: u64,
    fault: Option<String>,
}

/// A site whose first page writes, and each later one reads what is there.
async fn serve() -> Result<(String, Site)> {
    let site = Site { acknowledged: watch::Sender::new(0), found: watch::Sender::new(None) };
    let routes = Router::new()
        .route("/", get(async || Html(include_str!("compacting.html"))))
        .route("/acknowledged", post(acknowledged))
        .route("/found", post(found))
        .with_state(site.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, routes).await });
    Ok((url, site))
}

async fn acknowledged(State(site): State<Site>, Json(last): Json<u64>) {
    site.acknowledged.send_replace(last);
}

async fn found(State(site): State<Site>, Json(found): Json<Found>) {
    site.found.send_replace(Some(found));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_database_that_compacts_hold_all_that_was_acknowledged() {
    let copies =
        std::env::var("ROOST_COPIES").map_or(COPIES, |count| count.parse().expect("a number of copies"));
    compare(copies).await.unwrap();
}

async fn compare(copies: u32) -> Result<()> {
    let (url, site) = serve().await?;
    let world = World::showing(Some(&url))?;
    let here = world.profile("here")?;
    let writer = world.launch(&here, None, 1).await?;
    let mut taker = SnapshotTaker::new(world.snapshots.clone(), here.clone(), Generation(1)).await?;
    let (mut tables, mut compacted, began) = (BTreeSet::new(), 0, Instant::now());
    for copy in 1..=copies {
        let wanted = *site.acknowledged.borrow() + RECORDS_BETWEEN;
        let mut acknowledged = site.acknowledged.subscribe();
        timeout(WITHIN, acknowledged.wait_for(|last| *last >= wanted))
            .await
            .context("nothing is written")??;
        let before = *site.acknowledged.borrow();
        let snapshot = taker.take_running(&writer.launched.page).await?.context("it has changed")?;
        taker.recorded(&[]).await?;
        let now = tables_in(&here)?;
        compacted += u32::from(!now.is_superset(&tables));
        tables = now;

        let there = world.profile(&format!("there-{copy}"))?;
        site.found.send_replace(None);
        let reader = world.launch(&there, Some(&snapshot), i64::from(copy) + 1).await?;
        ensure!(matches!(reader.source, SessionSource::Restored { .. }), "it reads {:?}", reader.source);
        let mut found = site.found.subscribe();
        let found =
            timeout(WITHIN, found.wait_for(Option::is_some)).await.context("nothing is read")??.clone();
        let found = found.context("it was waited for")?;
        reader.launched.page.kill().await;
        std::fs::remove_dir_all(there.browser_dir())?;
        ensure!(found.fault.is_none(), "copy {copy} is torn: {found:?}");
        ensure!(
            found.last >= before,
            "{before} was acknowledged before copy {copy}, which ends with {found:?}"
        );
    }
    writer.launched.page.kill().await;
    ensure!(compacted * 2 >= copies, "only {compacted} of {copies} copies came after a compaction");
    println!(
        "{copies} copies, {compacted} after compactions, in {:?}; {} records",
        began.elapsed(),
        *site.acknowledged.borrow()
    );
    Ok(())
}

/// The tables that LevelDB has now: one that is gone was merged into others.
fn tables_in(profile: &Arc<LockedProfile>) -> Result<BTreeSet<String>> {
    let mut tables = BTreeSet::new();
    for database in std::fs::read_dir(profile.browser_dir().join("Default/IndexedDB"))? {
        for file in std::fs::read_dir(database?.path())? {
            let name = file?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".ldb") {
                tables.insert(name);
            }
        }
    }
    Ok(tables)
}
