//! Who comes into the console, and how: by a link, a password and a code.

use roost_proto::{error::ErrorCode, v1};

use super::phone::{Phone, half_signed_in, link, operator, users, viewer};
use crate::api::{
    harness::{Api, TOKEN, api, api_without_secrets_key, error_of, refused},
    portal::browser::{Browser, PASSWORD, members, signed_in},
};

const ADMIN: &str = "neema@roost.example";

async fn database(api: &Api) -> sqlx::PgPool {
    sqlx::PgPool::connect(&api.database_url).await.unwrap()
}

#[tokio::test]
async fn a_link_lets_an_admin_in_once_and_nothing_opens_before_a_right_code() {
    let api = api().await;
    let link = link(&api, "Neema@Roost.example", v1::Role::Admin).await;
    let mut browser = Browser::of(&api);
    assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    let page = browser.get(&link).await;
    assert!(page.status == 200 && page.text.contains(ADMIN), "{page:?}");
    let differs = browser.post(&link, &[("password", PASSWORD), ("again", "another one")]).await;
    assert!(differs.status == 400 && differs.text.contains("not the same"), "{differs:?}");
    let short = browser.post(&link, &[("password", "short"), ("again", "short")]).await;
    assert!(short.status == 400 && short.text.contains("at least 10"), "{short:?}");
    let chosen = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((chosen.status, chosen.location()), (303, Some("/console/phone")));
    for path in ["/console", "/", "/t/asha"] {
        assert_eq!(browser.get(path).await.location(), Some("/sign-in"), "{path} before the code");
    }
    let shown = browser.get("/console/phone").await;
    assert!(shown.text.contains("src=\"data:image&#x2f;svg+xml;base64,"), "{shown:?}");
    let phone = Phone::enrolled_by(&shown);
    let wrong = browser.post("/console/phone", &[("code", "000000")]).await;
    assert!(wrong.status == 403 && wrong.text.contains("code is wrong"), "{wrong:?}");
    assert_eq!(Phone::enrolled_by(&wrong).secret(), phone.secret(), "the secret is still the one scanned");
    let half = browser.cookie.clone();
    let entered = browser.post("/console/phone", &[("code", &phone.code(0))]).await;
    assert_eq!((entered.status, entered.location()), (303, Some("/console")));
    assert_ne!(browser.cookie, half, "another cookie");
    assert_eq!(browser.get("/console").await.status, 200);
    assert_eq!(browser.get("/").await.location(), Some("/console"));

    let mut other = Browser::of(&api);
    other.cookie = half;
    assert_eq!(other.get("/console").await.location(), Some("/sign-in"));
    assert_eq!(other.post("/console/code", &[("code", &phone.code(1))]).await.location(), Some("/sign-in"));
    let over = other.get(&link).await;
    assert!(over.status == 410 && over.text.contains("used already"), "{over:?}");
    let again = other.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!(again.status, 410);

    let kept: Vec<u8> = sqlx::query_scalar("select secret from second_factors")
        .fetch_one(&database(&api).await)
        .await
        .unwrap();
    assert!(!kept.windows(20).any(|part| part == phone.secret()), "the secret is in the database as it is");
}

#[tokio::test]
async fn a_link_lapses_and_so_does_what_is_half_signed_in() {
    let api = api().await;
    let link = link(&api, ADMIN, v1::Role::Admin).await;
    let database = database(&api).await;
    let lapse = "update user_invitations set expires_at = now() - interval '1 second'";
    sqlx::query(lapse).execute(&database).await.unwrap();
    let mut browser = Browser::of(&api);
    let lapsed = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((lapsed.status, browser.cookie.is_none()), (410, true));
    let (_, phone) = operator(&api, ADMIN, v1::Role::Admin).await;
    let mut half = half_signed_in(&api, ADMIN).await;
    let lapse = "update web_sessions set expires_at = now() where stage = 'AWAITS_CODE'";
    sqlx::query(lapse).execute(&database).await.unwrap();
    let late = half.post("/console/code", &[("code", &phone.code(1))]).await;
    assert_eq!(late.location(), Some("/sign-in"));
    assert_eq!(half.get("/console").await.location(), Some("/sign-in"));
}

#[tokio::test]
async fn a_code_counts_once() {
    let api = api().await;
    let (_, phone) = operator(&api, ADMIN, v1::Role::Operator).await;
    let mut again = half_signed_in(&api, ADMIN).await;
    let used = again.post("/console/code", &[("code", &phone.code(0))]).await;
    assert!(used.status == 403 && used.text.contains("used already"), "{used:?}");
    let before = again.post("/console/code", &[("code", &phone.code(-1))]).await;
    assert_eq!(before.status, 403, "nor does one from before it");
    let mut thief = half_signed_in(&api, ADMIN).await;
    let code = phone.code(1);
    let form = [("code", code.as_str())];
    let (one, other) = tokio::join!(again.post("/console/code", &form), thief.post("/console/code", &form));
    let mut answers = [one.status, other.status];
    answers.sort_unstable();
    assert_eq!(answers, [303, 403], "of two at once one counts");
}

#[tokio::test]
async fn whoever_guesses_codes_waits_whatever_he_knows_of_the_password() {
    let api = api().await;
    let (_, phone) = operator(&api, ADMIN, v1::Role::Admin).await;
    let mut guesser = half_signed_in(&api, ADMIN).await;
    for guess in 0..10 {
        // The right password in between begins nothing anew.
        if guess == 5 {
            guesser = half_signed_in(&api, ADMIN).await;
        }
        let wrong = guesser.post("/console/code", &[("code", "000000")]).await;
        assert_eq!(wrong.status, 403);
    }
    let right = guesser.post("/console/code", &[("code", &phone.code(1))]).await;
    assert!(right.status == 429 && right.text.contains("minutes"), "{right:?}");
    let password = [("email", ADMIN), ("password", PASSWORD)];
    assert_eq!(guesser.post("/sign-in", &password).await.status, 429);
    assert_eq!(guesser.get("/console").await.location(), Some("/sign-in"));
}

#[tokio::test]
async fn to_everybody_else_there_is_no_console() {
    let api = api().await;
    api.tenant("asha", 1).await;
    let mut owner = signed_in(&api, "asha", "asha@duka.example", v1::Role::Owner).await;
    let of = async |browser: &mut Browser, path: &str| {
        let page = browser.get(path).await;
        (page.status, page.text)
    };
    let nothing = of(&mut owner, "/no-such-page").await;
    assert_eq!(nothing.0, 404);
    for path in ["/console", "/console/live", "/console/nodes", "/console/tenants/asha"] {
        assert_eq!(of(&mut owner, path).await, nothing, "{path}");
    }
    // An owner who is to be more comes in with the password that is there, and a thief of the link does not.
    let link = link(&api, "asha@duka.example", v1::Role::Operator).await;
    let mut thief = Browser::of(&api);
    assert!(!thief.get(&link).await.text.contains("name=\"again\""));
    let refused = thief.post(&link, &[("password", "another password"), ("again", "another password")]).await;
    assert_eq!((refused.status, thief.cookie.is_none()), (403, true));
    assert_eq!(thief.post(&link, &[("password", PASSWORD)]).await.location(), Some("/console/phone"));
    assert_eq!(
        owner.get("/t/asha").await.location(),
        Some("/sign-in"),
        "with another role one signs in anew"
    );
    let phone = Phone::enrolled_by(&thief.get("/console/phone").await);
    thief.post("/console/phone", &[("code", &phone.code(0))]).await;
    assert_eq!((thief.get("/console").await.status, thief.get("/t/asha").await.status), (200, 200));
}

#[tokio::test]
async fn a_viewer_comes_in_by_a_password_alone_until_he_is_to_be_more() {
    let api = api().await;
    let mut browser = viewer(&api, "zuri@roost.example").await;
    assert_eq!(browser.get("/console").await.status, 200);
    let more = v1::SetUserRoleRequest { email: "zuri@roost.example".into(), role: v1::Role::Admin.into() };
    users(&api).set_user_role(more).await.unwrap();
    assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    let login = [("email", "zuri@roost.example"), ("password", PASSWORD)];
    let refused = browser.post("/sign-in", &login).await;
    assert!(refused.status == 403 && refused.text.contains("No phone of yours"), "{refused:?}");
    assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    let reset = v1::ResetUserRequest { email: "zuri@roost.example".into() };
    let link = users(&api).reset_user(reset).await.unwrap().into_inner().url;
    let chosen = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!(chosen.location(), Some("/console/phone"));
}

#[tokio::test]
async fn a_reset_takes_the_password_and_the_phone_and_signs_every_browser_out() {
    let api = api().await;
    let (mut browser, old) = operator(&api, ADMIN, v1::Role::Admin).await;
    let reset = v1::ResetUserRequest { email: ADMIN.into() };
    let link = users(&api).reset_user(reset).await.unwrap().into_inner().url;
    assert_eq!(browser.get("/console").await.status, 200, "nothing has happened yet");
    let mut other = Browser::of(&api);
    let new = [("password", "ndizi mbichi tamu"), ("again", "ndizi mbichi tamu")];
    assert_eq!(other.post(&link, &new).await.location(), Some("/console/phone"));
    assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    let phone = Phone::enrolled_by(&other.get("/console/phone").await);
    assert_ne!(phone.secret(), old.secret());
    assert_eq!(other.post("/console/phone", &[("code", &old.code(0))]).await.status, 403);
    assert_eq!(other.post("/console/phone", &[("code", &phone.code(0))]).await.status, 303);
    let former = browser.post("/sign-in", &[("email", ADMIN), ("password", PASSWORD)]).await;
    assert_eq!(former.status, 403);
    // The other way to a password is not for users of the cluster: operators would become admins by it.
    let reset = v1::CreatePasswordResetRequest { email: ADMIN.into() };
    let error = refused(members(&api).create_password_reset(reset).await);
    assert_eq!(error.code, ErrorCode::FailedPrecondition);
    assert!(error.message.contains("roost user reset"), "{error:?}");
}

#[tokio::test]
async fn users_are_listed_and_removed_and_their_links_with_them() {
    let api = api().await;
    let (mut browser, _) = operator(&api, ADMIN, v1::Role::Admin).await;
    let invited = link(&api, "zuri@roost.example", v1::Role::Viewer).await;
    let list = async || {
        let request = v1::ListUsersRequest { page_size: 1, page_token: String::new() };
        let page = users(&api).list_users(request.clone()).await.unwrap().into_inner();
        let rest = v1::ListUsersRequest { page_token: page.next_page_token, ..request };
        let rest = match rest.page_token.is_empty() {
            true => Vec::new(),
            false => users(&api).list_users(rest).await.unwrap().into_inner().users,
        };
        let all = page.users.into_iter().chain(rest);
        all.map(|user| (user.email, user.has_second_factor, user.role_time.is_some())).collect::<Vec<_>>()
    };
    let zuri = "zuri@roost.example".to_owned();
    assert_eq!(list().await, [(ADMIN.to_owned(), true, true), (zuri.clone(), false, false)]);
    let again = v1::CreateUserRequest { email: ADMIN.into(), role: v1::Role::Viewer.into() };
    assert_eq!(refused(users(&api).create_user(again).await).code, ErrorCode::AlreadyExists);
    for email in [ADMIN, &zuri] {
        users(&api).remove_user(v1::RemoveUserRequest { email: email.into() }).await.unwrap();
    }
    assert!(list().await.is_empty());
    assert_eq!(browser.get("/console").await.location(), Some("/sign-in"));
    assert_eq!(browser.post("/sign-in", &[("email", ADMIN), ("password", PASSWORD)]).await.status, 403);
    assert_eq!(browser.get(&invited).await.status, 410);
    let again = users(&api).remove_user(v1::RemoveUserRequest { email: zuri }).await.unwrap_err();
    assert_eq!(error_of(&again).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn without_a_key_for_secrets_only_viewers_are_made() {
    let api = api_without_secrets_key().await;
    for role in [v1::Role::Admin, v1::Role::Operator] {
        let request = v1::CreateUserRequest { email: ADMIN.into(), role: role.into() };
        let error = refused(users(&api).create_user(request).await);
        assert_eq!(error.code, ErrorCode::FailedPrecondition);
        assert!(error.message.contains("--secrets-key-file"), "{error:?}");
    }
    let mut browser = viewer(&api, "zuri@roost.example").await;
    assert_eq!(browser.get("/console").await.status, 200);
}

#[tokio::test]
async fn users_are_for_admins_alone_and_in_the_audit() {
    let api = api().await;
    let token =
        v1::CreateTokenRequest { name: "ops".into(), role: v1::Role::Operator.into(), ..Default::default() };
    let mut access = v1::access_service_client::AccessServiceClient::new(api.authed(TOKEN));
    let token = access.create_token(token).await.unwrap().into_inner().secret;
    let mut operators = v1::user_service_client::UserServiceClient::new(api.authed(&token));
    let request = v1::CreateUserRequest { email: ADMIN.into(), role: v1::Role::Admin.into() };
    let error = refused(operators.create_user(request.clone()).await);
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    let error = refused(operators.list_users(v1::ListUsersRequest::default()).await);
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    users(&api).create_user(request).await.unwrap();
    let entries = access.list_audit_entries(v1::ListAuditEntriesRequest::default()).await.unwrap();
    let entries = entries.into_inner().entries;
    let made = entries.iter().find(|entry| entry.call == "UserService/CreateUser" && entry.result == "OK");
    assert!(made.is_some(), "{entries:?}");
}
