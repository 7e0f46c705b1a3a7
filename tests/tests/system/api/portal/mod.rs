//! The portal as a browser meets it: who gets in, what of whom is shown, and what may be ordered.

pub mod browser;
mod holding;
mod scan;
mod setup;
mod template;

use std::time::Duration;

use roost_proto::{error::ErrorCode, v1};
use tokio::time::Instant;

use self::browser::{Browser, PASSWORD, members};
pub use self::browser::{invite, signed_in};
use crate::api::harness::{Api, TOKEN, api, error_of};

/// After which a person who was removed is nowhere any more.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

async fn audit(api: &Api, caller: &str) -> Vec<(String, String)> {
    let request = v1::ListAuditEntriesRequest { caller: caller.into(), ..Default::default() };
    let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
    let entries = access.list_audit_entries(request).await.unwrap().into_inner().entries;
    entries.into_iter().map(|entry| (entry.call, entry.result)).collect()
}

#[tokio::test]
async fn an_invitation_is_used_once_and_its_bearer_signs_in_from_then_on() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let link = invite(&api, "asha", "Asha@Duka.example", v1::Role::Owner).await;
    let mut browser = Browser::of(&api);
    assert_eq!(browser.get("/t/asha").await.location(), Some("/sign-in"));
    let page = browser.get(&link).await;
    assert!(page.status == 200 && page.text.contains("asha@duka.example"), "{page:?}");
    for (password, again, told) in [
        ("short", "short", "at least 10 characters"),
        (PASSWORD, "samaki kavu sokoni", "not the same"),
        ("password12", "password12", "tried first"),
    ] {
        let refused = browser.post(&link, &[("password", password), ("again", again)]).await;
        assert!(refused.status == 400 && refused.text.contains(told), "{refused:?}");
    }
    let welcomed = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((welcomed.status, welcomed.location()), (303, Some("/")));
    assert_eq!(browser.get("/").await.location(), Some("/t/asha"));
    let page = browser.get("/t/asha").await;
    assert!(page.status == 200 && page.text.contains("asha@duka.example"), "{page:?}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));

    let mut other = Browser::of(&api);
    let over = other.get(&link).await;
    assert!(over.status == 410 && over.text.contains("used already"), "{over:?}");
    let over = other.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((over.status, other.cookie.is_none()), (410, true));

    let signed = other.post("/sign-in", &[("email", " ASHA@duka.example "), ("password", PASSWORD)]).await;
    assert_eq!((signed.status, other.get("/t/asha").await.status), (303, 200));
    let token = page.form_token();
    assert_eq!(browser.post("/sign-out", &[("form_token", "0")]).await.status, 303);
    let out = browser.post("/sign-out", &[("form_token", &token)]).await;
    assert_eq!((out.location(), browser.cookie.is_none()), (Some("/sign-in"), true));
    assert_eq!(other.get("/t/asha").await.status, 200, "another browser stays signed in");

    let kept: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select u.password, s.digest from users u join web_sessions s on s.user_id = u.id")
            .fetch_all(&sqlx::PgPool::connect(&api.database_url).await.unwrap())
            .await
            .unwrap();
    let cookie = other.cookie.unwrap();
    assert!(kept.iter().all(|(hash, digest)| {
        hash.starts_with("$argon2id$") && !hash.contains(PASSWORD) && !cookie.as_bytes().ends_with(digest)
    }));
}

#[tokio::test]
async fn an_invitation_gives_nobody_the_password_of_a_user_who_is_there() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let mut browser = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let link = invite(&api, "juma", "asha@duka.example", v1::Role::Staff).await;
    let mut thief = Browser::of(&api);
    let page = thief.get(&link).await;
    assert!(page.text.contains("Sign in as") && !page.text.contains("name=\"again\""), "{page:?}");
    for form in [&[("password", "another password"), ("again", "another password")][..], &[("password", "x")]]
    {
        let refused = thief.post(&link, form).await;
        assert_eq!((refused.status, thief.cookie.is_none()), (403, true), "{refused:?}");
    }
    assert_eq!(browser.get("/t/juma").await.status, 404);
    let joined = thief.post(&link, &[("password", PASSWORD)]).await;
    assert_eq!(
        (joined.status, thief.get("/t/juma").await.status, thief.get("/t/asha").await.status),
        (303, 200, 200)
    );
    assert_eq!(browser.get("/t/asha").await.location(), Some("/sign-in"), "whoever has joined signs in anew");
}

#[tokio::test]
async fn a_member_who_is_removed_is_nowhere_any_more() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let mut staff = signed_in(&api, "asha", "juma@duka.example", v1::Role::Staff).await;
    invite(&api, "asha", "neema@duka.example", v1::Role::Staff).await;
    let mut events = staff.events("asha").await;
    events.until("Paused").await;

    let request =
        v1::ListMembersRequest { tenant_id: "asha".into(), page_size: 2, page_token: String::new() };
    let page = members(&api).list_members(request.clone()).await.unwrap().into_inner();
    let rest = v1::ListMembersRequest { page_token: page.next_page_token, ..request };
    let rest = members(&api).list_members(rest).await.unwrap().into_inner();
    let all: Vec<_> = page.members.iter().chain(&rest.members).collect();
    let known: Vec<_> =
        all.iter().map(|member| (member.email.as_str(), member.join_time.is_some())).collect();
    assert_eq!(
        known,
        [("asha@duka.example", true), ("juma@duka.example", true), ("neema@duka.example", false)]
    );

    let removal = v1::RemoveMemberRequest { tenant_id: "asha".into(), email: "juma@duka.example".into() };
    members(&api).remove_member(removal.clone()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(staff.get("/t/asha").await.location(), Some("/sign-in"));
    let mut last = String::new();
    while let Some((name, _)) = events.next().await {
        last = name;
    }
    assert_eq!(last, "over");
    assert!(begun.elapsed() < REMOVED_WITHIN, "{:?}", begun.elapsed());
    assert_eq!(owner.get("/t/asha").await.status, 200);
    let again = members(&api).remove_member(removal).await.unwrap_err();
    assert_eq!(error_of(&again).code, ErrorCode::NotFound);
    let refused = staff.post("/sign-in", &[("email", "juma@duka.example"), ("password", PASSWORD)]).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_reset_sets_the_password_anew_and_signs_every_browser_out() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut browser = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let reset = v1::CreatePasswordResetRequest { email: "Asha@duka.example".into() };
    let link = members(&api).create_password_reset(reset).await.unwrap().into_inner().url;
    assert_eq!(browser.get("/t/asha").await.status, 200, "nothing has happened yet");
    let mut other = Browser::of(&api);
    let set = other.post(&link, &[("password", "ndizi mbichi tamu"), ("again", "ndizi mbichi tamu")]).await;
    assert_eq!((set.status, other.get("/t/asha").await.status), (303, 200));
    assert_eq!(browser.get("/t/asha").await.location(), Some("/sign-in"));
    let old = browser.post("/sign-in", &[("email", "asha@duka.example"), ("password", PASSWORD)]).await;
    assert_eq!(old.status, 403);
    assert_eq!(other.get(&link).await.status, 410);
    let unknown = v1::CreatePasswordResetRequest { email: "nobody@duka.example".into() };
    let refused = members(&api).create_password_reset(unknown).await.unwrap_err();
    assert_eq!(error_of(&refused).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn of_another_business_everything_is_answered_as_of_one_that_does_not_exist() {
    let api = api().await;
    api.tenant("asha", 1).await;
    api.tenant("juma", 2).await;
    let mut browser = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let token = browser.get("/t/asha").await.form_token();
    for path in ["/t/TENANT", "/t/TENANT/live", "/t/TENANT/nothing", "/t/TENANT%2f", "/t/..%2fTENANT"] {
        let of = async |browser: &mut Browser, id: &str| {
            let page = browser.get(&path.replace("TENANT", id)).await;
            (page.status, page.text.replace(id, "?"))
        };
        let (other, none) = (of(&mut browser, "juma").await, of(&mut browser, "none").await);
        assert_eq!(other, none, "{path}");
        assert_eq!(other.0, 404, "{path}");
    }
    let order = [("order", "pause"), ("form_token", token.as_str())];
    let mut answers = Vec::new();
    for id in ["juma", "none"] {
        let page = browser.post(&format!("/t/{id}/orders"), &order).await;
        answers.push((page.status, page.text));
    }
    assert_eq!((&answers[0], answers[0].0), (&answers[1], 404));
}

#[tokio::test]
async fn an_order_is_carried_out_for_who_may_give_it_and_is_in_the_audit() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let mut staff = signed_in(&api, "asha", "juma@duka.example", v1::Role::Staff).await;
    let page = owner.get("/t/asha").await;
    assert_eq!(page.orders(), ["resume"]);
    let token = page.form_token();
    let mut events = owner.events("asha").await;
    events.until("Paused").await;
    let wrong = owner.post("/t/asha/orders", &[("order", "resume"), ("form_token", "0")]).await;
    assert!(wrong.status == 403 && wrong.text.contains("too old"), "{wrong:?}");
    let given = owner.post("/t/asha/orders", &[("order", "resume"), ("form_token", &token)]).await;
    assert_eq!((given.status, given.location()), (303, Some("/t/asha")));
    let card = events.until("value=\"pause\"").await;
    assert!(!card.contains("value=\"resume\""), "{card}");
    let worker = v1::GetWorkerRequest { tenant_id: "asha".into() };
    let worker = api.workers().get_worker(worker).await.unwrap().into_inner();
    assert_eq!(worker.desired_state(), v1::DesiredState::Running);

    let not_linked = owner.post("/t/asha/orders", &[("order", "log-out"), ("form_token", &token)]).await;
    assert!(not_linked.status == 409 && not_linked.text.contains("No phone is linked"), "{not_linked:?}");
    let seen = staff.get("/t/asha").await;
    assert!(seen.orders().is_empty(), "{seen:?}");
    let theirs = seen.form_token();
    let refused = staff.post("/t/asha/orders", &[("order", "pause"), ("form_token", &theirs)]).await;
    assert_eq!(refused.status, 404);
    let owners = audit(&api, "user asha@duka.example").await;
    let expected = [("SessionService/Logout", "FAILED_PRECONDITION"), ("WorkerService/StartWorker", "OK")];
    assert_eq!(owners, expected.map(|(call, result)| (call.to_owned(), result.to_owned())));
    let denied = ("WorkerService/StopWorker".to_owned(), "PERMISSION_DENIED".to_owned());
    assert_eq!(audit(&api, "user juma@duka.example").await, [denied]);
}

#[tokio::test]
async fn what_comes_from_elsewhere_is_refused_and_each_face_takes_its_own_proof_alone() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut browser = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let token = browser.get("/t/asha").await.form_token();
    let order = format!("order=resume&form_token={token}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "")] {
        let refused = browser.send("POST", "/t/asha/orders", &[form, foreign], order.clone()).await;
        assert_eq!(refused.status, 403, "{foreign:?}");
    }
    let named = browser.send("GET", "/t/asha", &[("host", "portal.evil.example")], String::new()).await;
    assert!(named.status == 421 && !named.text.contains("evil"), "{named:?}");
    let cookie = browser.cookie.clone().unwrap();
    let api_call = browser.get("/v1/tenants/asha").await;
    assert_eq!(api_call.status, 401, "a cookie is nothing to the API");
    let as_token = [("authorization", format!("Bearer {cookie}"))];
    let as_token = as_token.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(browser.send("GET", "/v1/tenants/asha", &as_token, String::new()).await.status, 401);
    browser.cookie = None;
    let bearer = [("authorization", "Bearer a-token-of-the-tests")];
    let with_token = browser.send("GET", "/t/asha", &bearer, String::new()).await;
    assert_eq!(with_token.location(), Some("/sign-in"), "a token is nothing to the portal");
    browser.cookie = Some(TOKEN.to_owned());
    assert_eq!(browser.get("/t/asha").await.location(), Some("/sign-in"));
    let huge = format!("email=a&password={}", "x".repeat(100_000));
    let own = ("sec-fetch-site", "same-origin");
    assert_eq!(browser.send("POST", "/sign-in", &[form, own], huge).await.status, 413);
}

#[tokio::test]
async fn whoever_guesses_passwords_waits_and_learns_nothing() {
    let api = api().await;
    api.tenant("asha", 1).await;
    signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let mut guesser = Browser::of(&api);
    let mut told = Vec::new();
    for email in ["asha@duka.example", "nobody@duka.example"] {
        let page = guesser.post("/sign-in", &[("email", email), ("password", "wrong password")]).await;
        assert_eq!(page.status, 403);
        told.push(page.text.replace(email, ""));
    }
    assert_eq!(told[0], told[1]);
    for _ in 0..9 {
        let page =
            guesser.post("/sign-in", &[("email", "asha@duka.example"), ("password", "wrong password")]).await;
        assert_eq!(page.status, 403);
    }
    let right = guesser.post("/sign-in", &[("email", "asha@duka.example"), ("password", PASSWORD)]).await;
    assert!(right.status == 429 && right.text.contains("minutes"), "{right:?}");
}

#[tokio::test]
async fn a_page_is_in_the_language_that_its_reader_chooses() {
    let api = api().await;
    let mut browser = Browser::of(&api);
    let english = browser.get("/sign-in").await;
    assert!(english.text.contains("lang=\"en\"") && english.text.contains("Sign in"), "{english:?}");
    let swahili = browser.send("GET", "/sign-in", &[("accept-language", "sw")], String::new()).await;
    assert!(swahili.text.contains("lang=\"sw\"") && swahili.text.contains("Ingia"), "{swahili:?}");
    for (back, to) in [("/sign-in", "/sign-in"), ("//evil.example", "/"), ("https://evil.example", "/")] {
        let chosen = browser.post("/language", &[("language", "sw"), ("back", back)]).await;
        assert_eq!((chosen.status, chosen.location()), (303, Some(to)));
        assert!(chosen.headers["set-cookie"].to_str().unwrap().starts_with("roost-language=sw;"));
    }
}

#[tokio::test]
async fn where_an_order_comes_from_a_named_proxy_says_and_nobody_else() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut browser = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let token = browser.get("/t/asha").await.form_token();
    let form = format!("order=resume&form_token={token}");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", "192.0.2.1, 203.0.113.7"),
        ("forwarded", "for=192.0.2.9"),
        ("x-forwarded-host", "elsewhere.example"),
    ];
    let done = browser.send("POST", "/t/asha/orders", &headers, form).await;
    assert_eq!(done.location(), Some("/t/asha"), "{done:?}");
    let request =
        v1::ListAuditEntriesRequest { caller: "user asha@duka.example".into(), ..Default::default() };
    let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
    let entries = access.list_audit_entries(request).await.unwrap().into_inner().entries;
    assert_eq!(entries[0].origin, "203.0.113.7");
}
