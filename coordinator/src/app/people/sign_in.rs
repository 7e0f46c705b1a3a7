//! From a link or a password to a browser that is signed in.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use roost_store::{Link, Login, Purpose, TokenDigest, WebUser};

use super::{
    attempts::Attempts,
    passwords::{self, PasswordProblem, Passwords, Unhashed},
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
    TooOften {
        wait: Duration,
    },
    /// It was used, has lapsed, or never was.
    LinkOver,
    Password(PasswordProblem),
    /// The machine could not make a hash of the password.
    NotHashed,
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
        let user = self.user_of(email, password, origin).await?;
        self.open(user).await
    }

    async fn user_of(&self, email: &str, password: &str, origin: IpAddr) -> Result<i64, NotSignedIn> {
        let email = email.trim().to_lowercase();
        if let Some(wait) = self.attempts.must_wait(&email, origin, Instant::now()) {
            return Err(NotSignedIn::TooOften { wait });
        }
        let login = self.app.login(&email).await?;
        let (user, kept) = login.map(|login| (login.user_id, login.password)).unzip();
        let is_right = self.passwords.is_right(password.to_owned(), kept).await;
        match user.filter(|_| is_right) {
            Some(user) => {
                self.attempts.was_right(&email, origin);
                Ok(user)
            }
            None => {
                self.attempts.was_wrong(&email, origin, Instant::now());
                tracing::warn!(%origin, "a sign-in with a wrong address or password");
                Err(NotSignedIn::WrongAddressOrPassword)
            }
        }
    }

    /// What this link is for.
    pub async fn link(&self, link: &str) -> Result<Link, NotSignedIn> {
        let digest = secret::has_form(link).then(|| secret::digest(link)).ok_or(NotSignedIn::LinkOver)?;
        self.app.link(&digest).await?.ok_or(NotSignedIn::LinkOver)
    }

    /// Uses the link up, and signs the browser in.
    pub async fn use_link(&self, link: &str, password: &str, origin: IpAddr) -> Result<String, NotSignedIn> {
        let Link { email, purpose } = self.link(link).await?;
        let digest = secret::digest(link);
        let user = match purpose {
            Purpose::Join { .. } => {
                let user = self.user_of(&email, password, origin).await?;
                self.app.join(&digest, user).await?.then_some(user)
            }
            Purpose::SignUp { .. } => {
                let hash = self.new_password(password, &email).await?;
                self.app.sign_up(&digest, &hash).await?
            }
            Purpose::Reset => {
                let hash = self.new_password(password, &email).await?;
                self.app.set_password(&digest, &hash).await?
            }
        };
        self.open(user.ok_or(NotSignedIn::LinkOver)?).await
    }

    async fn new_password(&self, password: &str, email: &str) -> Result<String, NotSignedIn> {
        passwords::check(password, email).map_err(NotSignedIn::Password)?;
        self.passwords.hash(password.to_owned()).await.map_err(|Unhashed| NotSignedIn::NotHashed)
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
    async fn login(&self, email: &str) -> Result<Option<Login>, Error> {
        Ok(self.store()?.login(email).await?)
    }

    async fn link(&self, link: &TokenDigest) -> Result<Option<Link>, Error> {
        Ok(self.store()?.link(link).await?)
    }

    async fn join(&self, link: &TokenDigest, user: i64) -> Result<bool, Error> {
        Ok(self.store()?.join(link, user).await?)
    }

    async fn sign_up(&self, link: &TokenDigest, hash: &str) -> Result<Option<i64>, Error> {
        Ok(self.store()?.sign_up(link, hash).await?)
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

    /// Who has this address; none who was never a user.
    pub async fn person(&self, email: &str) -> Result<Option<WebUser>, Error> {
        Ok(self.store()?.person(email).await?)
    }

    /// Makes somebody a user whom another program has signed in: without a password, so that a reset has to be used first.
    pub async fn know_person(&self, email: &str) -> Result<(), Error> {
        Ok(self.store()?.know_person(email).await?)
    }

    async fn web_user(&self, cookie: &TokenDigest) -> Result<Option<WebUser>, Error> {
        Ok(self.store()?.web_user(cookie).await?)
    }
}
