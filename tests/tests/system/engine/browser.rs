//! A browser under test: what its page tells, and what a person or an operating system does to it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use roost_engine::{
    BrowserSetup, Engine, InboundMessage, Launch, Launched, OutboundText, PageEvent, Versions,
};
use roost_model::ids::Generation;
use roost_node::session::{LockedProfile, SessionSource, SnapshotRef, SnapshotTaker};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::world::{FRIEND, PHONE, World};

/// A session is at rest when so many looks in a row see no change.
const LOOKS_AT_REST: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Browser {
    pub launched: Launched,
    pub source: SessionSource,
}

impl World {
    pub async fn launch(
        &self,
        profile: &LockedProfile,
        from: Option<&SnapshotRef>,
        generation: i64,
    ) -> Result<Browser> {
        let prepared = profile.prepare(&self.snapshots, from, Generation(generation)).await?;
        let launch = Launch {
            tenant: self.tenant.clone(),
            profile: prepared.browser_dir,
            setup: BrowserSetup::default(),
            local_storage: prepared.local_storage,
            versions: Versions::default(),
            cancel: CancellationToken::new(),
        };
        Ok(Browser { launched: self.engine.launch(launch).await?, source: prepared.source })
    }

    /// As a worker saves: once the session has come to rest. What a page has written a moment ago may not have reached the
    /// files yet.
    pub async fn save(&self, profile: &Arc<LockedProfile>, browser: &Browser) -> Result<SnapshotRef> {
        let mut taker = SnapshotTaker::new(self.snapshots.clone(), profile.clone(), Generation(1)).await?;
        let (mut taken, mut at_rest) = (None, 0);
        let until_rest = async {
            while at_rest < LOOKS_AT_REST {
                match taker.take_running(&browser.launched.page).await? {
                    Some(snapshot) => (taken, at_rest) = (Some(snapshot), 0),
                    None => at_rest += 1,
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            anyhow::Ok(())
        };
        timeout(DEADLINE, until_rest).await.context("the session does not come to rest")??;
        taken.context("there is a session to save")
    }

    /// As a worker stops: what the page has in localStorage, then the files of the closed browser.
    pub async fn stop(&self, profile: &Arc<LockedProfile>, browser: &Browser) -> Result<SnapshotRef> {
        let values = browser.launched.page.local_storage().await?;
        ensure!(browser.launched.page.close().await, "the browser closes by itself");
        let generation = profile.stamp().context("the profile is stamped")?.generation;
        let mut taker = SnapshotTaker::new(self.snapshots.clone(), profile.clone(), generation).await?;
        Ok(taker.take_stopped(true, Some(values)).await?)
    }
}

impl Browser {
    async fn next(&mut self) -> Result<PageEvent> {
        let event = timeout(DEADLINE, self.launched.events.recv()).await.context("the page tells nothing")?;
        event.context("the page's events have ended")
    }

    pub async fn until(&mut self, wanted: impl Fn(&PageEvent) -> bool) -> Result<()> {
        while !wanted(&self.next().await?) {}
        Ok(())
    }

    pub async fn pair(&mut self, world: &World) -> Result<()> {
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

    pub async fn ready_without_a_code(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                PageEvent::Qr { text: Some(_), .. } => bail!("the session is lost: the page asks for a scan"),
                PageEvent::Ready { .. } => return Ok(()),
                _ => {}
            }
        }
    }

    /// The id of the next message that is told.
    pub async fn next_message(&mut self) -> Result<String> {
        Ok(self.message().await?.whatsapp_id)
    }

    pub async fn next_body(&mut self) -> Result<String> {
        Ok(self.message().await?.body)
    }

    async fn message(&mut self) -> Result<InboundMessage> {
        loop {
            if let PageEvent::Message(message) = self.next().await? {
                return Ok(message);
            }
        }
    }

    /// A message in, confirmed, and a text out.
    pub async fn answer_one(&mut self, world: &World, body: &str) -> Result<OutboundText> {
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
            only_look: false,
        };
        self.launched.page.send(&text).await?;
        let sent = world.sent().await?;
        ensure!(sent.last().is_some_and(|sent| sent["body"] == text.body.as_str()), "not sent: {sent:?}");
        Ok(text)
    }

    pub fn kill_root(&self) -> Result<()> {
        kill(self.launched.pid.context("the browser has a process")?)
    }

    pub fn kill_renderer(&self) -> Result<()> {
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
