//! A phone with an app for one-time codes, and users of the cluster who have one.

use std::time::{SystemTime, UNIX_EPOCH};

use roost_proto::v1::{self, user_service_client::UserServiceClient};
use totp_rs::{Builder, Secret, Totp};

use crate::api::{
    harness::{Api, Authed, TOKEN},
    portal::browser::{Browser, PASSWORD, Page},
};

pub struct Phone(Totp);

impl Phone {
    /// It is typed what the page shows.
    pub fn enrolled_by(page: &Page) -> Self {
        let (_, rest) = page.text.split_once("<p class=\"secret\"><code>").expect("a secret");
        let typed: String = rest.split("</code>").next().expect("its end").split_whitespace().collect();
        let secret = Secret::try_from_base32(typed).expect("base 32");
        Self(Builder::new().with_secret(secret).build().expect("codes"))
    }

    /// As many steps from now: a code of the next one counts already, so that a test need not wait.
    pub fn code(&self, steps: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        self.0.generate(now.checked_add_signed(30 * steps).expect("a time")).to_string()
    }

    pub fn secret(&self) -> &[u8] {
        self.0.secret().as_bytes()
    }
}

pub fn users(api: &Api) -> UserServiceClient<Authed> {
    UserServiceClient::new(api.authed(TOKEN))
}

/// The link by which somebody comes in.
pub async fn link(api: &Api, email: &str, role: v1::Role) -> String {
    let request = v1::CreateUserRequest { email: email.into(), role: role.into() };
    users(api).create_user(request).await.expect("a link").into_inner().url
}

/// An admin or an operator who has come in by a link, with the phone.
pub async fn operator(api: &Api, email: &str, role: v1::Role) -> (Browser, Phone) {
    let mut browser = Browser::of(api);
    let link = link(api, email, role).await;
    let chosen = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((chosen.status, chosen.location()), (303, Some("/console/phone")), "{chosen:?}");
    let phone = Phone::enrolled_by(&browser.get("/console/phone").await);
    let entered = browser.post("/console/phone", &[("code", &phone.code(0))]).await;
    assert_eq!((entered.status, entered.location()), (303, Some("/console")), "{entered:?}");
    (browser, phone)
}

pub async fn viewer(api: &Api, email: &str) -> Browser {
    let mut browser = Browser::of(api);
    let link = link(api, email, v1::Role::Viewer).await;
    let chosen = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((chosen.status, chosen.location()), (303, Some("/")), "{chosen:?}");
    browser
}

/// Gives the password alone.
pub async fn half_signed_in(api: &Api, email: &str) -> Browser {
    let mut browser = Browser::of(api);
    let signed = browser.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await;
    assert_eq!((signed.status, signed.location()), (303, Some("/console/code")), "{signed:?}");
    browser
}
