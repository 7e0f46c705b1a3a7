//! A browser that ran for nobody becomes a tenant's: what Chromium does when its directory is moved under it.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use roost_engine::{BrowserSetup, Engine, Launch, PageEvent, Versions};
use roost_model::ids::Generation;
use roost_node::session::{FetchedFiles, SessionSource};
use tokio_util::sync::CancellationToken;

use crate::engine::{browser::Browser, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_browser_has_opened_nothing_of_the_site_and_goes_on_in_the_profile_that_adopts_it() {
    adopted().await.unwrap();
}

async fn adopted() -> Result<()> {
    let world = World::start()?;
    let here = world.profile("here")?;
    let mut browser = world.launch(&here, None, 1).await?;
    browser.pair(&world).await?;
    let text = browser.answer_one(&world, "before").await?;

    let dirs = world.profiles("there")?.spare_dirs()?;
    let spare = dirs.make()?;
    let started_at = spare.browser_dir();
    let warm = world.engine.warm(None, &started_at, &BrowserSetup::default()).await?;
    let pid = warm.pid().context("a browser has processes")?;
    warm.check().await?;
    let open = open_below(pid, &started_at)?;
    ensure!(!open.is_empty(), "it has its own files open");
    let of_site = |path: &String| path.contains("IndexedDB") || path.contains("Service Worker");
    ensure!(!open.iter().any(of_site), "it has opened something of the site: {open:?}");
    ensure!(!started_at.join("Default/IndexedDB").exists());
    ensure!(world.connections().await? == 1, "only the owner's browser is connected");

    let saved = world.save(&here, &browser).await?;
    browser.kill_root()?;
    browser.until(|event| matches!(event, PageEvent::Exited { .. })).await?;

    let there = world.profile("there")?;
    let mut fetched = FetchedFiles::default();
    there.prefetch(&world.snapshots, &saved, &mut fetched).await?;
    there.adopt(spare)?;
    let installed =
        there.install_session(&world.snapshots, Some(&saved), Generation(2), &mut fetched).await?;
    let installed = installed.context("a session with its localStorage can be put under a spare browser")?;
    ensure!(
        installed.source == SessionSource::Restored { generation: Generation(1), sequence: saved.sequence }
    );
    let launch = Launch {
        tenant: world.tenant.clone(),
        profile: installed.browser_dir.clone(),
        setup: BrowserSetup::default(),
        local_storage: installed.local_storage,
        versions: Versions::default(),
        cancel: CancellationToken::new(),
    };
    let mut browser = Browser { launched: warm.open(launch).await?, source: installed.source };
    browser.ready_without_a_code().await?;
    ensure!(browser.launched.pid == Some(pid), "it is the same browser");
    browser.launched.page.send(&roost_engine::OutboundText { maybe_sent: true, ..text }).await?;
    ensure!(world.sent().await?.len() == 1, "what was sent before is known");
    browser.answer_one(&world, "after").await?;
    let open = open_below(pid, &installed.browser_dir)?;
    ensure!(
        open.iter().any(|path| path.contains("IndexedDB")),
        "the session is open in the profile: {open:?}"
    );
    ensure!(open_below(pid, &started_at)?.is_empty(), "nothing is open where it was started");

    // What it leaves is a session like any other, here and elsewhere.
    let again = world.stop(&there, &browser).await?;
    drop(there);
    ensure!(!started_at.parent().context("it has one")?.exists(), "the link is gone with the browser");
    let third = world.profile("third")?;
    let mut browser = world.launch(&third, Some(&again), 3).await?;
    browser.ready_without_a_code().await?;
    browser.launched.page.kill().await;
    let there = world.profile("there")?;
    let mut browser = world.launch(&there, Some(&again), 3).await?;
    ensure!(browser.source == SessionSource::Local);
    browser.ready_without_a_code().await?;
    browser.launched.page.kill().await;
    world.judge().await
}

/// The files below a directory that the processes of a browser have open.
fn open_below(group: u32, dir: &Path) -> Result<Vec<String>> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        if fields.get(2).and_then(|group| group.parse().ok()) != Some(group) {
            continue;
        }
        let files = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        let files = files.filter_map(|file| fs::read_link(file.path()).ok());
        open.extend(files.filter(|file| file.starts_with(dir)).map(|file| file.display().to_string()));
    }
    Ok(open)
}
