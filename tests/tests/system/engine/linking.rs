//! A phone that is linked by a code that its owner types, and what the page tells of the account.

use anyhow::{Result, bail, ensure};
use roost_engine::{EngineError, PageEvent};
use serde_json::json;

use crate::engine::world::{PHONE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_typed_on_the_phone_links_the_page_which_tells_whose_account_it_is() {
    typed().await.unwrap();
}

async fn typed() -> Result<()> {
    let world = World::start()?;
    let profile = world.profile("here")?;
    let mut browser = world.launch(&profile, None, 1).await?;
    browser.until(|event| matches!(event, PageEvent::Qr { text: Some(_), .. })).await?;
    let page = browser.launched.page.clone();
    match page.pairing_code("not a number").await {
        Err(EngineError::NoPairingCode { reason }) => ensure!(reason.contains("bad-request"), "{reason}"),
        other => bail!("what is no number has a code: {other:?}"),
    }
    world.control("hardness", json!({ "link_codes": 2 })).await?;
    let first = page.pairing_code(PHONE).await?;
    let code = page.pairing_code(PHONE).await?;
    ensure!(code.text.len() == 8 && code.text != first.text && code.expires_in.as_secs() == 180);
    ensure!(!format!("{code:?}").contains(&code.text), "it is shown to whoever reads logs");
    match page.pairing_code(PHONE).await {
        Err(EngineError::NoPairingCode { reason }) => ensure!(reason.contains("rate-overlimit"), "{reason}"),
        other => bail!("the limit is not told: {other:?}"),
    }
    let typed = |text: &str| json!({ "code": text, "phone": PHONE, "pushname": "Duka la Asha" });
    ensure!(world.control("link", typed(&first.text)).await.is_err(), "the first one was replaced");
    world.control("link", typed(&code.text)).await?;
    browser.until(|event| matches!(event, PageEvent::Ready { phone } if phone == PHONE)).await?;
    let told = |event: &PageEvent| {
        matches!(event, PageEvent::Account(account) if account.number == PHONE
            && account.push_name == "Duka la Asha" && account.platform == "android")
    };
    browser.until(told).await?;
    ensure!(page.pairing_code(PHONE).await.is_err(), "it is linked");
    page.kill().await;
    world.judge().await
}
