//! What comes back that nobody was sent for, and what a provider may say wrong.

use roost_proto::v1;
use serde_json::{Value, json};

use super::provider::{World, world};
use crate::api::portal::browser::{Browser, invite};

const GO: &str = "/sign-in/oidc";
const BACK: &str = "/sign-in/oidc/callback";

/// With an owner who comes by the provider.
async fn world_with_owner() -> World {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let invitation = invite(&world.api, "asha", "asha@duka.example", v1::Role::Owner).await;
    world.through(&mut Browser::of(&world.api), &format!("{invitation}/oidc")).await;
    world
}

#[tokio::test]
async fn a_browser_comes_back_once_from_where_it_was_sent_and_no_other_does() {
    let world = world_with_owner().await;
    let over = async |browser: &mut Browser, url: &str, what: &str| {
        let refused = browser.get(url).await;
        assert!(refused.status == 403 && refused.text.contains("was used already"), "{what}: {refused:?}");
        assert!(browser.cookie.is_none() && browser.away.is_none(), "{what}");
    };
    let mut browser = Browser::of(&world.api);
    over(&mut browser, &format!("{BACK}?state=x&code=y"), "never sent").await;

    let back = world.sent_back(&mut browser, GO).await;
    let (_, query) = back.split_once('?').unwrap();
    let code = query.split('&').find(|pair| pair.starts_with("code=")).unwrap();
    let away = browser.away.clone();
    for forged in [format!("{BACK}?{code}&state=forged"), format!("{BACK}?{code}")] {
        over(&mut browser, &forged, "a forged state").await;
        browser.away.clone_from(&away);
    }
    over(&mut Browser::of(&world.api), &back, "another browser").await;
    let mut third = Browser::of(&world.api);
    third.click(GO).await;
    over(&mut third, &back, "another browser that was sent away too").await;

    assert_eq!(browser.get(&back).await.status, 303, "the right one comes in all the same");
    let mut again = Browser::of(&world.api);
    again.away.clone_from(&away);
    over(&mut again, &back, "once more").await;

    let back = world.sent_back(&mut again, GO).await;
    let lapse = "update identity_sign_ins set expires_at = now() - interval '1 second'";
    sqlx::query(lapse).execute(&world.database().await).await.unwrap();
    over(&mut again, &back, "too late").await;
}

#[tokio::test]
async fn where_the_provider_signs_nobody_in_nobody_comes_in() {
    let world = world_with_owner().await;
    world.told(json!({ "refuses": true })).await;
    let mut browser = Browser::of(&world.api);
    let refused = world.through(&mut browser, GO).await;
    assert!(refused.status == 403 && refused.text.contains("not signed in there"), "{refused:?}");
    world.told(json!({ "refuses": false })).await;
    let back = world.sent_back(&mut browser, GO).await;
    let issuer = form_urlencoded::byte_serialize(world.issuer().as_bytes()).collect::<String>();
    assert!(back.contains(&issuer), "{back}");
    let refused = browser.get(&back.replace(&issuer, "https%3A%2F%2Fevil.example")).await;
    assert_eq!((refused.status, browser.cookie.is_none()), (403, true), "another provider's answer");
}

#[tokio::test]
async fn an_id_token_counts_only_as_the_provider_signed_it_for_this_sign_in() {
    let world = world_with_owner().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claim = |name: &str, value: Value| (format!("{name}: {value}"), json!({ "claims": { name: value } }));
    let signed = |by: &str| (format!("signed: {by}"), json!({ "signed": by }));
    let without = |name: &str| (format!("without {name}"), json!({ "without": [name] }));
    let lies = [
        claim("nonce", json!("of-another-sign-in")),
        claim("aud", json!("another-client")),
        claim("aud", json!(["roost-portal", "another-client"])),
        claim("azp", json!("another-client")),
        claim("iss", json!("https://evil.example")),
        claim("iss", json!(format!("{}/", world.issuer()))),
        claim("exp", json!(now - 1)),
        claim("sub", json!("")),
        claim("sub", json!("x".repeat(256))),
        without("nonce"),
        without("aud"),
        without("iss"),
        without("exp"),
        without("sub"),
        signed("not"),
        signed("secret"),
        signed("foreign"),
    ];
    let mut believed = Vec::new();
    for (what, lie) in lies {
        world.told(json!({ "lie": lie })).await;
        let mut browser = Browser::of(&world.api);
        let refused = world.through(&mut browser, GO).await;
        // What is no ID token at all is as if the provider were away.
        let is_refused = [403, 503].contains(&refused.status) && browser.cookie.is_none();
        if !is_refused || refused.text.contains("bound to nobody") {
            believed.push(what);
        }
    }
    assert!(believed.is_empty(), "{believed:?}");
    world.told(json!({ "lie": { "claims": { "azp": "roost-portal", "aud": ["roost-portal"] } } })).await;
    assert_eq!(world.through(&mut Browser::of(&world.api), GO).await.status, 303);
}

#[tokio::test]
async fn keys_that_the_provider_has_changed_are_asked_for() {
    let world = world_with_owner().await;
    world.told(json!({ "rotate": true })).await;
    assert_eq!(world.through(&mut Browser::of(&world.api), GO).await.status, 303);
    world.told(json!({ "lie": { "signed": "foreign" } })).await;
    assert_eq!(world.through(&mut Browser::of(&world.api), GO).await.status, 403);
}

#[tokio::test]
async fn whoever_proves_nobody_time_and_again_waits() {
    let world = world_with_owner().await;
    let mut guesser = Browser::of(&world.api);
    for _ in 0..50 {
        assert_eq!(guesser.get(&format!("{BACK}?state=x&code=y")).await.status, 403);
    }
    for path in [format!("{BACK}?state=x&code=y"), GO.to_owned()] {
        let waits = guesser.get(&path).await;
        assert!(waits.status == 429 && waits.text.contains("minutes"), "{waits:?}");
    }
}
