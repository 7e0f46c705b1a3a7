//! Coming in by a link and the provider, and by the provider alone from then on.

use roost_proto::v1;

use super::provider::world;
use crate::api::{
    console::phone::{link, users},
    harness::api,
    portal::browser::{Browser, PASSWORD, invite, members},
};

const ADMIN: &str = "neema@roost.example";
const OWNER: &str = "asha@duka.example";
const GO: &str = "/sign-in/oidc";

#[tokio::test]
async fn an_owner_comes_in_by_an_invitation_and_the_provider_and_needs_no_password_after() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let invitation = invite(&world.api, "asha", OWNER, v1::Role::Owner).await;
    let mut browser = Browser::of(&world.api);
    let page = browser.get(&invitation).await;
    let go = format!("{invitation}/oidc");
    assert!(page.text.contains("Sign in with 127.0.0.1:"), "{page:?}");
    let other_site = browser.send("GET", &go, &[("sec-fetch-site", "cross-site")], String::new()).await;
    assert!(invitation.ends_with(other_site.location().unwrap()), "{other_site:?}");
    assert_eq!((browser.get(&go).await.location(), browser.away.is_none()), (other_site.location(), true));

    let back = world.through(&mut browser, &go).await;
    assert_eq!((back.status, back.location()), (303, Some("/")), "{back:?}");
    assert!(browser.away.is_none(), "the cookie of the way is gone");
    assert_eq!(browser.get("/").await.location(), Some("/t/asha"));
    assert_eq!(browser.get(&invitation).await.status, 410);

    let mut other = Browser::of(&world.api);
    assert!(other.get("/sign-in").await.text.contains("href=\"/sign-in/oidc\""));
    world.through(&mut other, GO).await;
    assert_eq!(other.get("/t/asha").await.status, 200);
    assert_eq!(browser.get("/t/asha").await.status, 200);
    for password in ["", PASSWORD] {
        let wrong =
            Browser::of(&world.api).post("/sign-in", &[("email", OWNER), ("password", password)]).await;
        assert_eq!(wrong.status, 403, "no password of nobody's choice is right");
    }
    let until: f64 = sqlx::query_scalar(
        "select min(extract(epoch from expires_at - now()))::float8 from web_sessions where stage = 'IDENTITY'",
    )
    .fetch_one(&world.database().await)
    .await
    .unwrap();
    assert!(until > 6.9 * 86_400.0, "{until}");
}

#[tokio::test]
async fn for_an_admin_the_provider_stands_for_password_and_code() {
    let world = world().await;
    let link = link(&world.api, ADMIN, v1::Role::Admin).await;
    world.is("neema").await;
    let mut browser = Browser::of(&world.api);
    assert!(browser.get(&link).await.text.contains("Sign in with 127.0.0.1:"));
    let back = world.through(&mut browser, &format!("{link}/oidc")).await;
    assert_eq!((back.status, back.location()), (303, Some("/")), "{back:?}");
    assert_eq!(browser.get("/").await.location(), Some("/console"));
    assert_eq!(browser.get("/console").await.status, 200);
    assert_eq!(browser.get(&link).await.status, 410);
    let mut other = Browser::of(&world.api);
    world.through(&mut other, GO).await;
    assert_eq!(other.get("/console").await.status, 200);
    let until: f64 = sqlx::query_scalar(
        "select max(extract(epoch from expires_at - now()))::float8 from web_sessions where stage = 'IDENTITY'",
    )
    .fetch_one(&world.database().await)
    .await
    .unwrap();
    assert!((11.9 * 3_600.0..12.1 * 3_600.0).contains(&until), "{until}");
    let gone = v1::RemoveUserRequest { email: ADMIN.into() };
    users(&world.api).remove_user(gone).await.unwrap();
    assert_eq!(other.get("/console").await.location(), Some("/sign-in"));
    assert_eq!(world.through(&mut other, GO).await.status, 403);
}

#[tokio::test]
async fn who_is_bound_to_nobody_gets_nothing_whatever_his_address_is() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let invitation = invite(&world.api, "asha", OWNER, v1::Role::Owner).await;
    world.through(&mut Browser::of(&world.api), &format!("{invitation}/oidc")).await;
    link(&world.api, "thief@duka.example", v1::Role::Admin).await;
    // The provider says of both subjects that the address is the owner's; of the second that it is the invited admin's.
    for (subject, email) in [("thief", OWNER), ("Asha", OWNER), ("thief", "thief@duka.example")] {
        world.is(subject).await;
        let claims = serde_json::json!({ "email": email, "email_verified": true });
        world.told(serde_json::json!({ "lie": { "claims": claims } })).await;
        let mut browser = Browser::of(&world.api);
        let refused = world.through(&mut browser, GO).await;
        assert!(refused.status == 403 && refused.text.contains("bound to nobody here"), "{refused:?}");
        assert!(browser.cookie.is_none() && browser.away.is_none());
    }
    let known: Vec<String> =
        sqlx::query_scalar("select email from users").fetch_all(&world.database().await).await.unwrap();
    assert_eq!(known, [OWNER]);
}

#[tokio::test]
async fn a_reset_unbinds_at_once_and_ends_what_the_identity_has_opened() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let invitation = invite(&world.api, "asha", OWNER, v1::Role::Owner).await;
    let mut owner = Browser::of(&world.api);
    world.through(&mut owner, &format!("{invitation}/oidc")).await;
    world.is("neema").await;
    let admins = link(&world.api, ADMIN, v1::Role::Admin).await;
    let mut admin = Browser::of(&world.api);
    world.through(&mut admin, &format!("{admins}/oidc")).await;

    let reset = v1::CreatePasswordResetRequest { email: OWNER.into() };
    let owners = members(&world.api).create_password_reset(reset).await.unwrap().into_inner().url;
    let reset = v1::ResetUserRequest { email: ADMIN.into() };
    let admins = users(&world.api).reset_user(reset).await.unwrap().into_inner().url;
    for (browser, page, subject, link) in
        [(&mut owner, "/t/asha", "asha", owners), (&mut admin, "/console", "neema", admins)]
    {
        assert_eq!(browser.get(page).await.location(), Some("/sign-in"), "{subject}");
        world.is(subject).await;
        assert_eq!(world.through(browser, GO).await.status, 403, "{subject} is bound no more");
        let new = format!("{subject}-anew");
        world.is(&new).await;
        let back = world.through(browser, &format!("{link}/oidc")).await;
        assert_eq!((back.status, browser.get(page).await.status), (303, 200), "{new}");
        world.is(subject).await;
        assert_eq!(world.through(&mut Browser::of(&world.api), GO).await.status, 403, "{subject}");
    }
}

#[tokio::test]
async fn where_there_is_no_provider_there_is_no_way_to_it() {
    let api = api().await;
    let mut browser = Browser::of(&api);
    assert!(!browser.get("/sign-in").await.text.contains("oidc"));
    for path in [GO, "/sign-in/oidc/callback?state=x&code=y"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}
