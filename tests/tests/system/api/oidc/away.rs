//! A provider that is away, or that answers what no provider does.

use roost_devcluster::wait_until;
use roost_proto::v1;
use serde_json::json;

use super::provider::{world, world_without_provider};
use crate::api::{
    harness::SOON,
    portal::browser::{Browser, PASSWORD, invite, signed_in},
};

const GO: &str = "/sign-in/oidc";

#[tokio::test]
async fn while_the_provider_is_away_passwords_do_and_it_is_found_when_it_comes() {
    let mut world = world_without_provider().await;
    world.api.tenant("asha", 1).await;
    let mut owner = signed_in(&world.api, "asha", "asha@duka.example", v1::Role::Owner).await;
    for _ in 0..2 {
        let away = owner.click(GO).await;
        assert!(away.status == 503 && away.text.contains("sign in with your password"), "{away:?}");
    }
    let login = [("email", "asha@duka.example"), ("password", PASSWORD)];
    assert_eq!(Browser::of(&world.api).post("/sign-in", &login).await.status, 303);

    world.provider_starts().await;
    let goes = || async { Browser::of(&world.api).click(GO).await.status == 303 };
    wait_until("the provider is found", SOON, goes).await.unwrap();
    assert_eq!(world.through(&mut owner, "/identity/oidc").await.location(), Some("/identity"));

    let mut browser = Browser::of(&world.api);
    let back = world.sent_back(&mut browser, GO).await;
    world.provider_stops().await;
    let away = browser.get(&back).await;
    assert_eq!((away.status, browser.cookie.is_none()), (503, true), "{away:?}");
}

#[tokio::test]
async fn what_a_provider_answers_is_bounded_and_followed_nowhere() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let invitation = invite(&world.api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let go = format!("{invitation}/oidc");
    for answers in ["redirect", "large"] {
        world.told(json!({ "lie": { "answers": answers } })).await;
        let mut browser = Browser::of(&world.api);
        let away = world.through(&mut browser, &go).await;
        assert_eq!((away.status, browser.cookie.is_none()), (503, true), "{answers}: {away:?}");
    }
    world.told(json!({ "lie": null })).await;
    assert_eq!(world.through(&mut Browser::of(&world.api), &go).await.status, 303, "the link is good still");
}

#[tokio::test]
async fn a_provider_that_says_that_it_is_another_or_leads_into_the_open_is_none() {
    for (what, path) in [("issuer", ""), ("authorization_endpoint", "/auth"), ("jwks_uri", "/jwks")] {
        let world = world().await;
        // Where the same provider answers too, but not as one on this machine.
        let elsewhere = world.issuer().replace("127.0.0.1", "127.0.0.2");
        let discovery = json!({ what: format!("{elsewhere}{path}") });
        world.told(json!({ "lie": { "discovery": discovery } })).await;
        let mut browser = Browser::of(&world.api);
        let refused = browser.click(GO).await;
        assert_eq!((refused.status, browser.away.is_none()), (503, true), "{what}: {refused:?}");
    }
}
