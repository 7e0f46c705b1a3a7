//! The web engine and the session's way between machines, with a real browser and the simulator: what no test beside
//! the code can show. The cluster's own scenarios build on exactly this.

#![allow(clippy::print_stdout, reason = "a test of a figure prints it")]

mod browser;
mod compacting;
mod linking;
mod spare;
mod starting;
mod world;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use roost_engine::{BrowserSetup, Engine, EngineError, Launch, OutboundText, PageEvent, SendError, Versions};
use roost_model::ids::Generation;
use roost_node::session::{FetchedFiles, SessionSource, SnapshotRef};
use roost_tests::scenario::processes_that_name;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::engine::{
    browser::Browser,
    world::{FRIEND, PHONE, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_its_browser_and_its_machine() {
    outlive().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_once_it_is_confirmed_and_not_before() {
    acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_page_is_found_and_a_reload_heals_it() {
    deaf().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_session_or_a_browser_is_told() {
    ends().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_browser_opens_nothing_until_it_is_told_to_and_then_the_session_that_came_last() {
    warm().await.unwrap();
}

async fn warm() -> Result<()> {
    let world = World::start()?;
    let here = world.profile("here")?;
    let mut browser = world.launch(&here, None, 1).await?;
    browser.pair(&world).await?;
    browser.answer_one(&world, "before").await?;
    let early = world.save(&here, &browser).await?;

    let there = world.profile("there")?;
    let mut fetched = FetchedFiles::default();
    let dir = there.make_standby_dir()?;
    ensure!(there.prefetch(&world.snapshots, &early, &mut fetched).await? > 0, "something is fetched ahead");
    let warm = world.engine.warm(Some(&world.tenant), &dir, &BrowserSetup::default()).await?;
    ensure!(there.prefetch(&world.snapshots, &early, &mut fetched).await? == 0, "nothing is fetched twice");
    ensure!(!dir.join("Default/IndexedDB").exists(), "the warm browser has opened no database");
    // The old owner's browser goes on, and its session with it.
    let text = browser.answer_one(&world, "meanwhile").await?;
    ensure!(world.connections().await? == 1, "only the owner's browser is connected");

    let stopped_at = Instant::now();
    let last = world.stop(&here, &browser).await?;
    let saved_after = stopped_at.elapsed();
    let installed = there.install_session(&world.snapshots, Some(&last), Generation(2), &mut fetched).await?;
    let installed = installed.context("a session with its localStorage can be put under a warm browser")?;
    ensure!(
        installed.source == SessionSource::Restored { generation: Generation(1), sequence: last.sequence }
    );
    let furnished_after = stopped_at.elapsed();
    let launch = Launch {
        tenant: world.tenant.clone(),
        profile: installed.browser_dir,
        setup: BrowserSetup::default(),
        local_storage: installed.local_storage,
        versions: Versions::default(),
        cancel: CancellationToken::new(),
    };
    let mut browser = Browser { launched: warm.open(launch).await?, source: installed.source };
    let opened_after = stopped_at.elapsed();
    browser.ready_without_a_code().await?;
    println!(
        "saved after {saved_after:?}, in place after {furnished_after:?}, page there after {opened_after:?}, ready after {:?}",
        stopped_at.elapsed()
    );
    browser.launched.page.send(&OutboundText { maybe_sent: true, ..text }).await?;
    ensure!(world.sent().await?.len() == 2, "what the old browser sent last is known to the new one");
    browser.answer_one(&world, "after").await?;
    ensure!(world.connections().await? == 2);

    // What a warm browser leaves behind is a session like any other.
    let again = world.stop(&there, &browser).await?;
    let third = world.profile("third")?;
    let mut browser = world.launch(&third, Some(&again), 3).await?;
    browser.ready_without_a_code().await?;
    browser.launched.page.kill().await;
    world.judge().await
}

async fn outlive() -> Result<()> {
    let world = World::start()?;
    let here = world.profile("here")?;
    let mut browser = world.launch(&here, None, 1).await?;
    browser.pair(&world).await?;
    let text = browser.answer_one(&world, "before").await?;

    let snapshot = world.save(&here, &browser).await?;
    let killed_at = Instant::now();
    browser.kill_root()?;
    browser.until(|event| matches!(event, PageEvent::Exited { .. })).await?;
    ensure!(killed_at.elapsed() < Duration::from_secs(2), "the end came after {:?}", killed_at.elapsed());

    let there = world.profile("there")?;
    let mut browser = world.launch(&there, Some(&snapshot), 2).await?;
    ensure!(
        browser.source == SessionSource::Restored { generation: Generation(1), sequence: snapshot.sequence }
    );
    browser.ready_without_a_code().await?;
    let look = OutboundText { maybe_sent: true, only_look: true, ..text.clone() };
    let unknown = OutboundText { whatsapp_id: format!("{}F", text.whatsapp_id), ..look.clone() };
    browser.launched.page.send(&look).await?;
    ensure!(
        matches!(browser.launched.page.send(&unknown).await, Err(SendError::NotKnown)),
        "it was never sent"
    );
    browser.launched.page.send(&OutboundText { maybe_sent: true, ..text }).await?;
    let sent = world.sent().await?;
    ensure!(sent.len() == 1, "a message that was found again was not sent again: {sent:?}");
    browser.answer_one(&world, "after").await?;

    ensure!(browser.launched.page.close().await, "the browser closes by itself");
    called_off(&world, there.browser_dir()).await?;
    world.judge().await
}

/// A launch that is cancelled once its browser runs: the linked session is not opened, and nothing is left.
async fn called_off(world: &World, profile: PathBuf) -> Result<()> {
    let runs = || anyhow::Ok(!processes_that_name(&profile.display().to_string())?.is_empty());
    let (connections, cancel) = (world.connections().await?, CancellationToken::new());
    let launch = Launch {
        tenant: world.tenant.clone(),
        profile: profile.clone(),
        setup: BrowserSetup::default(),
        local_storage: None,
        versions: Versions::default(),
        cancel: cancel.clone(),
    };
    let cancel_when_it_runs = async {
        while !runs()? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        cancel.cancel();
        anyhow::Ok(())
    };
    let (launched, cancelled) = tokio::join!(world.engine.launch(launch), cancel_when_it_runs);
    cancelled?;
    ensure!(matches!(launched, Err(EngineError::Cancelled)), "it came up, or failed by itself");
    ensure!(!runs()?, "a browser is left");
    ensure!(world.connections().await? == connections, "the session was opened");
    Ok(())
}

async fn acknowledge() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    // As a worker does at once after pairing: a browser that is killed loses what localStorage it has not written.
    world.save(&profile, &browser).await?;
    world.deliver("held").await?;
    let first = browser.next_message().await?;
    // Not confirmed: the server still has it, so the next life of the page gets it again.
    browser.launched.page.kill().await;
    let mut browser = world.launch(&profile, None, 1).await?;
    let second = browser.next_message().await?;
    ensure!(first == second, "{first} is delivered again, not {second}");
    browser.launched.page.confirm(&[second]).await?;
    browser.launched.page.sweep().await?;
    world.deliver("next").await?;
    ensure!(browser.next_message().await? != first, "a confirmed message does not come again");
    browser.launched.page.kill().await;
    world.judge().await
}

async fn deaf() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    let page = browser.launched.page.clone();
    let hears = async |within_ms| anyhow::Ok(page.probe(Duration::from_millis(within_ms)).await?.answered);

    // What is heard by itself asks nothing.
    world.control("hardness", json!({ "keep_alive_ms": 100 })).await?;
    let asked = world.queries().await?;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        ensure!(hears(1_500).await?, "the server answers pings");
    }
    ensure!(world.queries().await? <= asked + 1, "it was asked although it was heard");

    // A refusal is an answer, and what is silent was asked.
    world.control("hardness", json!({ "keep_alive_ms": 0, "queries": "refused" })).await?;
    let asked = world.queries().await?;
    ensure!(hears(0).await? && world.queries().await? == asked + 1, "whatever it answers, it hears");

    world.control("hardness", json!({ "keep_alive_ms": 100, "queries": "answered" })).await?;
    world.control("hang", json!({ "phone": PHONE })).await?;
    let hung_at = Instant::now();
    loop {
        let probe = page.probe(Duration::from_secs(1)).await?;
        if !probe.answered {
            ensure!(probe.authenticated && probe.online, "the page believes that all is well: {probe:?}");
            break;
        }
        ensure!(hung_at.elapsed() < Duration::from_secs(8), "a deaf page goes on as alive");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sends_into_silence(&browser).await?;
    page.reload().await?;
    browser.ready_without_a_code().await?;
    ensure!(hears(1_000).await?);
    page.kill().await;
    world.judge().await
}

/// However long silence is to be borne: a send that has no acknowledgement is reason to ask.
async fn sends_into_silence(browser: &Browser) -> Result<()> {
    let page = browser.launched.page.clone();
    let text = OutboundText {
        whatsapp_id: format!("true_{FRIEND}@c.us_3EB0FFFF"),
        chat: format!("{FRIEND}@c.us"),
        body: "hello?".into(),
        maybe_sent: false,
        only_look: false,
    };
    let sending = tokio::spawn({
        let page = page.clone();
        async move { page.send(&text).await }
    });
    let deadline = Instant::now() + Duration::from_secs(15);
    while page.probe(Duration::from_secs(3600)).await?.answered {
        ensure!(Instant::now() < deadline, "nobody doubts");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sending.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_shows_that_a_message_was_sent_which_the_restored_page_does_not_know() {
    receipts().await.unwrap();
}

async fn receipts() -> Result<()> {
    let world = World::start()?;
    let first = world.profile("first")?;
    let mut browser = world.launch(&first, None, 1).await?;
    browser.pair(&world).await?;
    browser.answer_one(&world, "before").await?;
    let snapshot = world.save(&first, &browser).await?;
    browser.launched.page.kill().await;
    // What the page says of what waits for it is believed, whether it takes longer or not as long as is waited for where the
    // page does not say.
    let at_once = looked_for(&world, &snapshot, 2, Receipts { after_ms: 0, are_told_of: true }).await?;
    ensure!(at_once < Duration::from_millis(1_900), "it is known at once that all is here: {at_once:?}");
    looked_for(&world, &snapshot, 4, Receipts { after_ms: 4_000, are_told_of: true }).await?;
    looked_for(&world, &snapshot, 6, Receipts { after_ms: 1_500, are_told_of: false }).await?;
    Ok(())
}

struct Receipts {
    after_ms: u64,
    are_told_of: bool,
}

/// A reply is sent from one profile and looked for from the next, as is one that was never sent. How long that took.
async fn looked_for(
    world: &World,
    snapshot: &SnapshotRef,
    generation: i64,
    receipts: Receipts,
) -> Result<Duration> {
    let here = world.profile(&format!("here-{generation}"))?;
    let mut browser = world.launch(&here, Some(snapshot), generation).await?;
    browser.ready_without_a_code().await?;
    let hardness = json!({
        "phone": PHONE, "receipt_after_ms": receipts.after_ms, "backlog_progress": receipts.are_told_of
    });
    world.control("hardness", hardness).await?;
    // The page that has sent it ends before it has its receipt, so that the next one has to wait for that.
    let text = browser.answer_one(world, &format!("not in the snapshot {generation}")).await?;
    browser.launched.page.kill().await;
    let before = world.sent().await?;

    let there = world.profile(&format!("there-{generation}"))?;
    let mut browser = world.launch(&there, Some(snapshot), generation + 1).await?;
    browser.ready_without_a_code().await?;
    let began = Instant::now();
    let look = OutboundText { maybe_sent: true, only_look: true, ..text };
    let unknown = OutboundText { whatsapp_id: format!("{}F", look.whatsapp_id), ..look.clone() };
    let (known, unknown) =
        tokio::join!(browser.launched.page.send(&look), browser.launched.page.send(&unknown));
    let took = began.elapsed();
    if receipts.after_ms > 0 {
        known.with_context(|| format!("the receipt after {} ms was not waited for", receipts.after_ms))?;
    }
    ensure!(matches!(unknown, Err(SendError::NotKnown)), "no receipt speaks for it: {unknown:?}");
    ensure!(world.sent().await? == before, "it was only looked for");
    browser.launched.page.kill().await;
    Ok(took)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_awaited_and_a_refusal_is_told() {
    log_out().await.unwrap();
}

async fn log_out() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    let settings = json!({ "phone": PHONE, "failing_logouts": 1, "logout_after_ms": 1_000 });
    world.control("hardness", settings).await?;
    match browser.launched.page.logout().await {
        Err(EngineError::NotUnlinked { reason }) => ensure!(reason == "internal-server-error", "{reason}"),
        other => bail!("the refusal is not told: {other:?}"),
    }
    world.deliver("still linked").await?;
    browser.next_message().await?;

    browser.launched.page.logout().await?;
    // Ended at once, as a worker ends it.
    browser.launched.page.kill().await;
    ensure!(world.deliver("to nobody").await.is_err(), "the device is still linked");
    world.judge().await
}

async fn ends() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    let page = browser.launched.page.clone();
    let to_nobody = OutboundText {
        whatsapp_id: "true_nobody_3EB0".into(),
        chat: "nobody".into(),
        body: "hello".into(),
        maybe_sent: false,
        only_look: false,
    };
    ensure!(matches!(page.send(&to_nobody).await, Err(SendError::InvalidRecipient)));
    together(&world, &browser, to_nobody).await?;

    world.control("conflict", json!({ "phone": PHONE })).await?;
    browser.until(|event| *event == PageEvent::Conflict).await?;
    page.take_over().await?;
    browser.until(|event| matches!(event, PageEvent::Ready { .. })).await?;

    browser.kill_renderer()?;
    browser.until(|event| matches!(event, PageEvent::Crashed { .. })).await?;
    page.reload().await?;
    browser.until(|event| matches!(event, PageEvent::Ready { .. })).await?;

    world.control("logout", json!({ "phone": PHONE })).await?;
    browser.until(|event| matches!(event, PageEvent::LoggedOut { .. })).await?;
    browser.until(|event| matches!(event, PageEvent::Qr { text: Some(_), .. })).await?;
    page.kill().await;
    browser.until(|event| matches!(event, PageEvent::Exited { .. })).await
}

/// Texts in one call: each has its own outcome, and one that is there twice is sent once.
async fn together(world: &World, browser: &Browser, to_nobody: OutboundText) -> Result<()> {
    let text = |name: &str| {
        let chat = format!("{FRIEND}@c.us");
        let whatsapp_id = format!("true_{chat}_3EB0{name:0>18}");
        OutboundText { whatsapp_id, chat, body: name.to_owned(), maybe_sent: false, only_look: false }
    };
    let texts = [text("A"), to_nobody, text("B"), text("A")];
    let outcomes = browser.launched.page.send_all(&texts).await?;
    ensure!(outcomes.len() == texts.len(), "{outcomes:?}");
    for (text, outcome) in texts.iter().zip(outcomes) {
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => browser.launched.page.send(text).await,
        };
        match outcome {
            Ok(()) => ensure!(text.chat != "nobody"),
            Err(SendError::InvalidRecipient) => ensure!(text.chat == "nobody"),
            Err(error) => bail!("{}: {error}", text.body),
        }
    }
    let sent = world.sent().await?;
    ensure!(sent.len() == 2, "two texts arrived: {sent:?}");
    Ok(())
}
