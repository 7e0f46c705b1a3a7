//! From a password to a browser that is signed in.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use roost_store::{TokenDigest, WebUser};

use super::{
    attempts::Attempts,
    passwords::{self, PasswordProblem, Passwords},
};
use crate::app::{App, Error, access::secret};

/// Whoever signs in, and what was wrong with it.
pub struct SignIns {
    app: App,
    passwords: Passwords,
    attempts: Attempts,
}

#[derive(Debug)]
pub enum NotSignedIn {
    /// Which of the two, nobody is told.
    WrongAddressOrPassword,
    TooOften { wait: Duration },
    /// It was used, has lapsed, or never was.
    LinkOver,
    Password(PasswordProblem),
    Failed(Error),
}

impl From<Error> for NotSignedIn {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl SignIns {
    pub fn new(app: App) -> Self {
        Self { app, passwords: Passwords::default(), attempts: Attempts::default() }
    }

    /// What the browser's cookie holds from now on.
    pub async fn sign_in(&self, email: &str, password: &str, origin: IpAddr) -> Result<String, NotSignedIn> {
        let email = email.trim().to_lowercase();
        if let Some(wait) = self.attempts.must_wait(&email, origin, Instant::now()) {
            return Err(NotSignedIn::TooOften { wait });
        }
        let login = self.app.login(&email).await?;
        let (user, kept) = login.map(|login| (login.user_id, login.password)).unzip();
        if !self.passwords.is_right(password.to_owned(), kept).await {
            self.attempts.was_wrong(&email, origin, Instant::now());
            tracing::warn!(%origin, "a sign-in with a wrong address or password");
            return Err(NotSignedIn::WrongAddressOrPassword);
        }
        self.attempts.was_right(&email, origin);
        let user = user.ok_or(NotSignedIn::WrongAddressOrPassword)?;
        self.open(user).await
    }

    /// Whose link this is.
    pub async fn link_owner(&self, link: &str) -> Result<String, NotSignedIn> {
        self.app.sign_in_link(&secret::digest(link)).await?.ok_or(NotSignedIn::LinkOver)
    }

    /// Uses the link up, and signs the browser in.
    pub async fn set_password(&self, link: &str, password: &str) -> Result<String, NotSignedIn> {
        let owner = self.link_owner(link).await?;
        passwords::check(password, &owner).map_err(NotSignedIn::Password)?;
        let hash = self.passwords.hash(password.to_owned()).await.ok_or(NotSignedIn::LinkOver)?;
        let user = self.app.set_password(&secret::digest(link), &hash).await?.ok_or(NotSignedIn::LinkOver)?;
        self.open(user).await
    }

    async fn open(&self, user: i64) -> Result<String, NotSignedIn> {
        let cookie = secret::new_secret();
        self.app.open_web_session(user, &secret::digest(&cookie)).await?;
        Ok(cookie)
    }

    pub async fn sign_out(&self, cookie: &str) -> Result<(), Error> {
        self.app.close_web_session(&secret::digest(cookie)).await
    }

    pub async fn user(&self, cookie: &str) -> Result<Option<WebUser>, Error> {
        if !secret::has_form(cookie) {
            return Ok(None);
        }
        self.app.web_user(&secret::digest(cookie)).await
    }
}

impl App {
    async fn login(&self, email: &str) -> Result<Option<roost_store::Login>, Error> {
        Ok(self.store()?.login(email).await?)
    }

    async fn sign_in_link(&self, link: &TokenDigest) -> Result<Option<String>, Error> {
        Ok(self.store()?.sign_in_link(link).await?)
    }

    async fn set_password(&self, link: &TokenDigest, hash: &str) -> Result<Option<i64>, Error> {
        Ok(self.store()?.set_password(link, hash).await?)
    }

    async fn open_web_session(&self, user: i64, cookie: &TokenDigest) -> Result<(), Error> {
        Ok(self.store()?.open_web_session(user, cookie).await?)
    }

    async fn close_web_session(&self, cookie: &TokenDigest) -> Result<(), Error> {
        Ok(self.store()?.close_web_session(cookie).await?)
    }

    async fn web_user(&self, cookie: &TokenDigest) -> Result<Option<WebUser>, Error> {
        Ok(self.store()?.web_user(cookie).await?)
    }
}
