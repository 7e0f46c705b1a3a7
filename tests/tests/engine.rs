//! The web engine and the session's way between machines, with a real browser and the simulator: what no test beside
//! the code can show. The cluster's own scenarios build on exactly this.

#![allow(clippy::print_stdout, reason = "a test of a figure prints it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use roost_cli::dev;
use roost_cluster::ids::{Generation, TenantId};
use roost_node::engine::web::{Launcher, WebConfig, WebEngine};
use roost_node::engine::{BrowserLedger, Engine, Launch, Launched, OutboundText, PageEvent, SendError};
use roost_node::session::{
    Fetched, LockedProfile, Profile, SnapshotKey, SnapshotRef, SnapshotTaker, Source, Vault,
};
use roost_simulator::{Config, Simulator, Timing};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

const PHONE: &str = "254700000001";
const FRIEND: &str = "255700000007";
const DEADLINE: Duration = Duration::from_secs(30);

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
    let mut fetched = Fetched::default();
    let dir = there.make_room()?;
    ensure!(there.fetch_ahead(&world.vault, &early, &mut fetched).await? > 0, "something is fetched ahead");
    let warm = world.engine.warm(&world.tenant, &dir).await?;
    ensure!(there.fetch_ahead(&world.vault, &early, &mut fetched).await? == 0, "nothing is fetched twice");
    ensure!(!dir.join("Default/IndexedDB").exists(), "the warm browser has opened no database");
    // The old owner's browser goes on, and its session with it.
    let text = browser.answer_one(&world, "meanwhile").await?;
    ensure!(world.connections().await? == 1, "only the owner's browser is connected");

    let stopped_at = Instant::now();
    let last = world.stop(&here, &browser).await?;
    let saved_after = stopped_at.elapsed();
    let furnished = there.furnish(&world.vault, Some(&last), Generation(2), &mut fetched).await?;
    let furnished = furnished.context("a session with its localStorage can be put under a warm browser")?;
    ensure!(furnished.source == Source::Restored { generation: Generation(1), sequence: last.sequence });
    let furnished_after = stopped_at.elapsed();
    let launch = Launch {
        tenant: world.tenant.clone(),
        profile: furnished.browser_dir,
        local_storage: furnished.local_storage,
    };
    let mut browser = Browser { launched: warm.open(launch).await?, source: furnished.source };
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
    ensure!(browser.source == Source::Restored { generation: Generation(1), sequence: 1 });
    browser.ready_without_a_code().await?;
    browser.launched.page.send(&OutboundText { maybe_sent: true, ..text }).await?;
    let sent = world.sent().await?;
    ensure!(sent.len() == 1, "a message that was found again was not sent again: {sent:?}");
    browser.answer_one(&world, "after").await?;

    ensure!(browser.launched.page.close().await, "the browser closes by itself");
    world.judge().await
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
    ensure!(browser.launched.page.sweep().await?.is_empty(), "what is confirmed is not new any more");
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
    ensure!(browser.launched.page.probe().await?.answered);
    world.control("hang", json!({ "phone": PHONE })).await?;
    let hung_at = Instant::now();
    loop {
        let probe = browser.launched.page.probe().await?;
        if !probe.answered {
            ensure!(probe.authenticated && probe.online, "the page believes that all is well: {probe:?}");
            break;
        }
        ensure!(hung_at.elapsed() < Duration::from_secs(15), "a deaf page goes on as alive");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    browser.launched.page.reload().await?;
    browser.ready_without_a_code().await?;
    ensure!(browser.launched.page.probe().await?.answered);
    browser.launched.page.kill().await;
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
        OutboundText { whatsapp_id, chat, body: name.to_owned(), maybe_sent: false }
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

/// One tenant, one simulator, one object store.
struct World {
    dir: tempfile::TempDir,
    simulator: Simulator,
    engine: WebEngine,
    vault: Vault,
    tenant: TenantId,
    uid: Uuid,
}

struct Unwatched;

impl BrowserLedger for Unwatched {
    fn started(&self, _pid: u32) {}
    fn gone(&self, _pid: u32) {}
}

impl World {
    fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let any = "127.0.0.1:0".parse()?;
        let simulator = Simulator::start(&Config { http: any, tls: any, timing: Timing::default() })?;
        // What `roost-node launch` does for a node's browsers.
        let args = ["--pdeathsig", "KILL", "--"].map(str::to_owned).to_vec();
        let engine = WebEngine::new(WebConfig {
            launcher: Launcher { program: PathBuf::from("setpriv"), args },
            browser: dev::browser()?,
            page_url: simulator.http_url(),
            wa_js: dev::bridge()?,
            ledger: Arc::new(Unwatched),
        })?;
        let objects = dir.path().join("objects");
        let vault = Vault::open(path_text(&objects)?, SnapshotKey::from_hex(&"5e".repeat(32))?)?;
        Ok(Self { dir, simulator, engine, vault, tenant: TenantId::new("acme")?, uid: Uuid::now_v7() })
    }

    fn profile(&self, node: &str) -> Result<Arc<LockedProfile>> {
        Ok(Arc::new(Profile::new(&self.dir.path().join(node), &self.tenant, self.uid).lock()?))
    }

    async fn launch(
        &self,
        profile: &LockedProfile,
        from: Option<&SnapshotRef>,
        generation: i64,
    ) -> Result<Browser> {
        let prepared = profile.prepare(&self.vault, from, Generation(generation)).await?;
        let launch = Launch {
            tenant: self.tenant.clone(),
            profile: prepared.browser_dir,
            local_storage: prepared.local_storage,
        };
        Ok(Browser { launched: self.engine.launch(launch).await?, source: prepared.source })
    }

    async fn save(&self, profile: &Arc<LockedProfile>, browser: &Browser) -> Result<SnapshotRef> {
        let mut taker = SnapshotTaker::new(self.vault.clone(), profile.clone(), Generation(1)).await?;
        taker.take_running(&browser.launched.page).await?.context("there is a session to save")
    }

    /// As a worker stops: what the page has in localStorage, then the files of the closed browser.
    async fn stop(&self, profile: &Arc<LockedProfile>, browser: &Browser) -> Result<SnapshotRef> {
        let values = browser.launched.page.local_storage().await?;
        ensure!(browser.launched.page.close().await, "the browser closes by itself");
        let generation = profile.stamp().context("the profile is stamped")?.generation;
        let mut taker = SnapshotTaker::new(self.vault.clone(), profile.clone(), generation).await?;
        Ok(taker.take_stopped(true, Some(values)).await?)
    }

    /// How many there have been.
    async fn connections(&self) -> Result<usize> {
        let seen: Value = self.asked("connections").await?;
        Ok(seen["connections"].as_array().map_or(0, Vec::len))
    }

    async fn control(&self, verb: &str, body: Value) -> Result<()> {
        let url = format!("{}/control/{verb}", self.simulator.http_url());
        let answer = reqwest::Client::new().post(url).json(&body).send().await?;
        ensure!(answer.status().is_success(), "{verb} was refused: {}", answer.text().await?);
        Ok(())
    }

    async fn asked<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(reqwest::get(format!("{}/control/{path}", self.simulator.http_url())).await?.json().await?)
    }

    async fn deliver(&self, body: &str) -> Result<()> {
        self.control("message", json!({ "phone": PHONE, "from": FRIEND, "body": body })).await
    }

    async fn sent(&self) -> Result<Vec<Value>> {
        self.asked(&format!("sent?phone={PHONE}")).await
    }

    /// I1: never two live connections of one session.
    async fn judge(self) -> Result<()> {
        let seen: Value = self.asked("connections").await?;
        ensure!(seen["overlaps"].as_array().is_some_and(Vec::is_empty), "connections overlapped: {seen}");
        let regressed = |connection: &&Value| connection["regressed_by"].as_i64().is_some_and(|by| by > 0);
        let behind: Vec<_> = seen["connections"].as_array().into_iter().flatten().filter(regressed).collect();
        ensure!(behind.is_empty(), "a session came back older than it was: {behind:?}");
        self.simulator.stop().await;
        Ok(())
    }
}

struct Browser {
    launched: Launched,
    source: Source,
}

impl Browser {
    async fn next(&mut self) -> Result<PageEvent> {
        let event = timeout(DEADLINE, self.launched.events.recv()).await.context("the page tells nothing")?;
        event.context("the page's events have ended")
    }

    async fn until(&mut self, wanted: impl Fn(&PageEvent) -> bool) -> Result<()> {
        while !wanted(&self.next().await?) {}
        Ok(())
    }

    async fn pair(&mut self, world: &World) -> Result<()> {
        loop {
            match self.next().await? {
                PageEvent::Qr { text: Some(code), .. } => {
                    world
                        .control("scan", json!({ "code": code, "phone": PHONE, "pushname": "Acme" }))
                        .await?;
                }
                PageEvent::Ready { phone } => {
                    ensure!(phone == PHONE, "the page is linked to {phone}");
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn ready_without_a_code(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                PageEvent::Qr { text: Some(_), .. } => bail!("the session is lost: the page asks for a scan"),
                PageEvent::Ready { .. } => return Ok(()),
                _ => {}
            }
        }
    }

    async fn next_message(&mut self) -> Result<String> {
        loop {
            if let PageEvent::Message(message) = self.next().await? {
                return Ok(message.whatsapp_id);
            }
        }
    }

    /// A message in, confirmed, and a text out.
    async fn answer_one(&mut self, world: &World, body: &str) -> Result<OutboundText> {
        world.deliver(body).await?;
        let received = self.next_message().await?;
        self.launched.page.confirm(&[received]).await?;
        let chat = format!("{FRIEND}@c.us");
        let suffix = Uuid::now_v7().simple().to_string().to_uppercase();
        let text = OutboundText {
            whatsapp_id: format!("true_{chat}_3EB0{}", &suffix[14..]),
            chat,
            body: format!("echo: {body}"),
            maybe_sent: false,
        };
        self.launched.page.send(&text).await?;
        let sent = world.sent().await?;
        ensure!(sent.last().is_some_and(|sent| sent["body"] == text.body.as_str()), "not sent: {sent:?}");
        Ok(text)
    }

    fn kill_root(&self) -> Result<()> {
        kill(self.launched.pid.context("the browser has a process")?)
    }

    fn kill_renderer(&self) -> Result<()> {
        let root = self.launched.pid.context("the browser has a process")?;
        let renderer = members(root)?.into_iter().find(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains("--type=renderer")
        });
        kill(renderer.context("the browser has a renderer")?)
    }
}

/// The processes of the browser's group.
fn members(group: u32) -> Result<Vec<u32>> {
    let pids =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            after_name.split(' ').nth(2) == Some(group.to_string().as_str())
        })
        .collect())
}

fn kill(pid: u32) -> Result<()> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).context("a pid is positive")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL)?)
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is text")
}
