//! Whose an identity becomes, and whose it does not.

use roost_proto::v1;

use super::provider::{World, world};
use crate::api::{
    console::phone::{link, operator, users},
    portal::browser::{Browser, PASSWORD, invite, members, signed_in},
};

const OWNER: &str = "asha@duka.example";
const GO: &str = "/sign-in/oidc";

async fn identities(world: &World) -> Vec<(String, String)> {
    let query =
        "select u.email, i.subject from user_identities i join users u on u.id = i.user_id order by 1, 2";
    sqlx::query_as(query).fetch_all(&world.database().await).await.unwrap()
}

#[tokio::test]
async fn who_is_signed_in_binds_one_identity_and_comes_in_by_it() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let mut owner = signed_in(&world.api, "asha", OWNER, v1::Role::Owner).await;
    let (mut admin, _) = operator(&world.api, "neema@roost.example", v1::Role::Admin).await;
    for (browser, subject, page) in [(&mut owner, "asha", "/t/asha"), (&mut admin, "neema", "/console")] {
        assert!(browser.get(page).await.text.contains("href=\"/identity\""), "{page}");
        assert!(browser.get("/identity").await.text.contains("href=\"/identity/oidc\""));
        world.is(subject).await;
        let bound = world.through(browser, "/identity/oidc").await;
        assert_eq!((bound.status, bound.location()), (303, Some("/identity")), "{bound:?}");
        assert!(browser.get("/identity").await.text.contains("You come in by"));
        let mut other = Browser::of(&world.api);
        world.through(&mut other, GO).await;
        assert_eq!(other.get(page).await.status, 200, "{page}");
        world.is("another").await;
        let second = world.through(browser, "/identity/oidc").await;
        assert!(second.status == 409 && second.text.contains("somebody else already"), "{second:?}");
    }
    world.is("neema").await;
    let mut staff = signed_in(&world.api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let taken = world.through(&mut staff, "/identity/oidc").await;
    assert!(taken.status == 409 && taken.text.contains("bound to somebody else"), "{taken:?}");
    let known = [(OWNER, "asha"), ("neema@roost.example", "neema")];
    assert_eq!(identities(&world).await, known.map(|(email, subject)| (email.into(), subject.into())));
}

#[tokio::test]
async fn nothing_is_bound_from_elsewhere_or_late_or_to_who_is_not_there_any_more() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let mut owner = signed_in(&world.api, "asha", OWNER, v1::Role::Owner).await;
    for from in ["cross-site", "same-site", "none"] {
        let sent = owner.send("GET", "/identity/oidc", &[("sec-fetch-site", from)], String::new()).await;
        assert_eq!((sent.location(), owner.away.is_none()), (Some("/identity"), true), "{from}");
    }
    assert_eq!(Browser::of(&world.api).click("/identity/oidc").await.location(), Some("/sign-in"));
    let database = world.database().await;
    let age = "update web_sessions set created_at = now() - make_interval(mins => $1)";
    sqlx::query(age).bind(16).execute(&database).await.unwrap();
    let late = owner.click("/identity/oidc").await;
    assert!(late.status == 403 && late.text.contains("too long ago"), "{late:?}");
    sqlx::query(age).bind(14).execute(&database).await.unwrap();

    // Signed in as another one meanwhile.
    let back = world.sent_back(&mut owner, "/identity/oidc").await;
    let staff = signed_in(&world.api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let own = std::mem::replace(&mut owner.cookie, staff.cookie);
    assert_eq!(owner.get(&back).await.status, 403);
    // And not any more.
    owner.cookie = own;
    let back = world.sent_back(&mut owner, "/identity/oidc").await;
    let token = owner.get("/t/asha").await.form_token();
    let away = owner.away.clone();
    owner.post("/sign-out", &[("form_token", &token)]).await;
    owner.away = away;
    assert_eq!(owner.get(&back).await.status, 403);
    assert!(identities(&world).await.is_empty());
}

#[tokio::test]
async fn a_link_binds_nobodys_identity_to_another_user() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    world.api.tenant("juma", 2).await;
    let invitation = invite(&world.api, "asha", OWNER, v1::Role::Owner).await;
    world.through(&mut Browser::of(&world.api), &format!("{invitation}/oidc")).await;

    // The identity is the owner's: by another's invitation it becomes nobody else's, and the link is as good as before.
    let jumas = invite(&world.api, "juma", "juma@duka.example", v1::Role::Owner).await;
    let mut browser = Browser::of(&world.api);
    let taken = world.through(&mut browser, &format!("{jumas}/oidc")).await;
    assert!(taken.status == 409 && taken.text.contains("bound to somebody else"), "{taken:?}");
    assert_eq!((browser.cookie.is_none(), browser.get(&jumas).await.status), (true, 200));

    // Nor is the owner's invitation used by who is somebody else here.
    world.is("juma").await;
    world.through(&mut browser, &format!("{jumas}/oidc")).await;
    let joins = invite(&world.api, "juma", OWNER, v1::Role::Staff).await;
    let refused = world.through(&mut Browser::of(&world.api), &format!("{joins}/oidc")).await;
    assert!(refused.status == 403 && refused.text.contains("known here"), "{refused:?}");

    // Whoever invites an address that is a user's gets nothing of that user by an identity of his own.
    world.is("thief").await;
    for link in [
        invite(&world.api, "juma", OWNER, v1::Role::Staff).await,
        link(&world.api, OWNER, v1::Role::Operator).await,
    ] {
        let mut thief = Browser::of(&world.api);
        let refused = world.through(&mut thief, &format!("{link}/oidc")).await;
        assert!(refused.status == 403 && refused.text.contains("known here"), "{refused:?}");
        assert_eq!((thief.cookie.is_none(), thief.get(&link).await.status), (true, 200));
        world.is("asha").await;
        let mut owner = Browser::of(&world.api);
        assert_eq!(world.through(&mut owner, &format!("{link}/oidc")).await.status, 303);
        assert_eq!(owner.get("/t/juma").await.status, 200);
        world.is("thief").await;
    }
    world.is("asha").await;
    let mut owner = Browser::of(&world.api);
    world.through(&mut owner, GO).await;
    assert_eq!(owner.get("/console").await.status, 200, "an operator now");
    let known = [(OWNER, "asha"), ("juma@duka.example", "juma")];
    assert_eq!(identities(&world).await, known.map(|(email, subject)| (email.into(), subject.into())));
}

#[tokio::test]
async fn a_reset_by_a_password_takes_what_was_bound_meanwhile_too() {
    let world = world().await;
    world.api.tenant("asha", 1).await;
    let mut thief = signed_in(&world.api, "asha", OWNER, v1::Role::Owner).await;
    let (mut other_thief, _) = operator(&world.api, "neema@roost.example", v1::Role::Admin).await;
    let reset = v1::CreatePasswordResetRequest { email: OWNER.into() };
    let owners = members(&world.api).create_password_reset(reset).await.unwrap().into_inner().url;
    let reset = v1::ResetUserRequest { email: "neema@roost.example".into() };
    let admins = users(&world.api).reset_user(reset).await.unwrap().into_inner().url;
    for (browser, subject, link) in [(&mut thief, "one", owners), (&mut other_thief, "two", admins)] {
        world.is(subject).await;
        assert_eq!(world.through(browser, "/identity/oidc").await.location(), Some("/identity"));
        let chosen = [("password", PASSWORD), ("again", PASSWORD)];
        assert_eq!(Browser::of(&world.api).post(&link, &chosen).await.status, 303);
        assert_eq!(world.through(browser, GO).await.status, 403, "{subject}");
    }
    assert!(identities(&world).await.is_empty());
}
