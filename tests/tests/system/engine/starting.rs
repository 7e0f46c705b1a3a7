//! A page that is asked to send while it starts: what it answers then must not be held against the message.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use roost_engine::{OutboundText, SendError};
use serde_json::json;

use crate::engine::{
    browser::Browser,
    world::{FRIEND, PHONE, World},
};

const WITHIN: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_starts_is_offline_and_calls_no_recipient_invalid() {
    starts().await.unwrap();
}

async fn starts() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    world.stop(&profile, &browser).await?;
    let browser = world.launch(&profile, None, 2).await?;
    sent_as_soon_as_may_be(&browser, "first").await?;
    world.control("reload", json!({ "phone": PHONE, "times": 1 })).await?;
    browser.launched.page.reload().await?;
    sent_as_soon_as_may_be(&browser, "after a reload").await?;
    ensure!(world.sent().await?.len() == 2, "each was sent once");
    world.judge().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_bridge_goes_before_what_came_after_it() {
    in_order().await.unwrap();
}

async fn in_order() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.pair(&world).await?;
    world.stop(&profile, &browser).await?;
    world.control("hardness", json!({ "phone": PHONE, "connect_early": true })).await?;
    world.deliver("before").await?;
    let mut browser = world.launch(&profile, None, 2).await?;
    browser.ready_without_a_code().await?;
    world.deliver("after").await?;
    ensure!(browser.next_body().await? == "after", "the other one came before anything could be told");
    browser.launched.page.sweep().await?;
    ensure!([browser.next_body().await?, browser.next_body().await?] == ["before", "after"]);
    browser.launched.page.kill().await;
    world.judge().await
}

/// Asks again and again, from before the page has anything.
async fn sent_as_soon_as_may_be(browser: &Browser, body: &str) -> Result<()> {
    let chat = format!("{FRIEND}@c.us");
    let whatsapp_id = format!("true_{chat}_3EB0{:0>18}", body.len());
    let text = OutboundText { whatsapp_id, chat, body: body.into(), maybe_sent: false, only_look: false };
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        match browser.launched.page.send(&text).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_untried() => tokio::time::sleep(BETWEEN).await,
            Err(SendError::Page(_)) => tokio::time::sleep(BETWEEN).await,
            Err(error) => bail!("{body:?} while the page starts: {error:?}"),
        }
    }
    Err(anyhow::anyhow!("{body:?} was not sent")).context("the page does not come up")
}
