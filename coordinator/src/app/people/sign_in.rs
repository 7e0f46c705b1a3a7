//! From a link or a password to a browser that is signed in.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use roost_store::{Link, LinkUse, Login, NewLogin, Purpose, Stage, TokenDigest, WebUser};

use super::{
    attempts::Attempts,
    passwords::{self, PasswordProblem, Passwords, Unhashed},
    secrets_key::SecretsKey,
    users::needs_code,
};
use crate::{
    app::{App, Error, access::secret},
    oidc::Provider,
};

/// Whoever signs in, and what was wrong with it.
pub struct SignIns {
    pub(super) app: App,
    passwords: Passwords,
    pub(super) attempts: Attempts,
    pub(super) secrets_key: Option<SecretsKey>,
    /// By whom one may sign in as well.
    pub(super) provider: Option<Provider>,
}

/// What the browser's cookie holds from now on, and what comes next.
#[derive(Debug)]
pub struct SignedIn {
    pub cookie: String,
    pub next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Home,
    /// The cookie counts for nothing before a code is given.
    Code,
    /// Nor before a phone is enrolled.
    Enrolment,
}

#[derive(Debug)]
pub enum NotSignedIn {
    /// Which of the two, nobody is told.
    WrongAddressOrPassword,
    /// Wrong, or it has counted already.
    WrongCode,
    /// The browser is not between a password and a code: it takes the password anew.
    NotHalfSignedIn,
    /// Admins alone can let this user come in: no phone of his makes codes.
    NoSecondFactor,
    /// This coordinator has not the key of the secrets; the log says more.
    NoSecretsKey,
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
    pub fn new(app: App, secrets_key: Option<SecretsKey>, provider: Option<Provider>) -> Self {
        let (passwords, attempts) = (Passwords::default(), Attempts::default());
        Self { app, passwords, attempts, secrets_key, provider }
    }

    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        origin: IpAddr,
    ) -> Result<SignedIn, NotSignedIn> {
        let login = self.login(email, password, origin).await?;
        self.enter(&login).await
    }

    pub(super) async fn login(
        &self,
        email: &str,
        password: &str,
        origin: IpAddr,
    ) -> Result<Login, NotSignedIn> {
        let email = email.trim().to_lowercase();
        if let Some(wait) = self.attempts.must_wait(&email, origin, Instant::now()) {
            return Err(NotSignedIn::TooOften { wait });
        }
        let login = self.app.login(&email).await?;
        let kept = login.as_ref().map(|login| login.password.clone());
        let is_right = self.passwords.is_right(password.to_owned(), kept).await;
        match login.filter(|_| is_right) {
            Some(login) => {
                // Whoever guesses codes is not to begin anew by the password that he has.
                if !login.has_second_factor {
                    self.attempts.was_right(&email, origin);
                }
                Ok(login)
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
    pub async fn use_link(
        &self,
        link: &str,
        password: &str,
        origin: IpAddr,
    ) -> Result<SignedIn, NotSignedIn> {
        let Link { email, purpose } = self.link(link).await?;
        let digest = secret::digest(link);
        let user = match purpose {
            Purpose::Join { .. } => {
                let login = self.login(&email, password, origin).await?;
                let has_joined = self.app.join(&digest, login.user_id).await?;
                return if has_joined { self.enter(&login).await } else { Err(NotSignedIn::LinkOver) };
            }
            Purpose::SignUp { .. } => {
                let hash = self.new_password(password, &email).await?;
                self.app.sign_up(&digest, NewLogin::Password(&hash)).await?
            }
            Purpose::Reset => {
                let hash = self.new_password(password, &email).await?;
                self.app.reset_login(&digest, NewLogin::Password(&hash)).await?
            }
        };
        match user {
            LinkUse::By(user) => self.open(user, Stage::Password).await,
            LinkUse::Over | LinkUse::IdentityOfAnother => Err(NotSignedIn::LinkOver),
        }
    }

    /// By the password, as far as that goes.
    async fn enter(&self, login: &Login) -> Result<SignedIn, NotSignedIn> {
        let stage = match login.role {
            _ if login.has_second_factor => Stage::AwaitsCode,
            Some(role) if needs_code(role) => return Err(NotSignedIn::NoSecondFactor),
            _ => Stage::Password,
        };
        self.open(login.user_id, stage).await
    }

    pub(super) async fn new_password(&self, password: &str, email: &str) -> Result<String, NotSignedIn> {
        passwords::check(password, email).map_err(NotSignedIn::Password)?;
        self.passwords.hash(password.to_owned()).await.map_err(|Unhashed| NotSignedIn::NotHashed)
    }

    pub(super) async fn open(&self, user: i64, stage: Stage) -> Result<SignedIn, NotSignedIn> {
        let cookie = secret::new_secret();
        self.app.open_web_session(user, &secret::digest(&cookie), stage).await?;
        let next = match stage {
            Stage::AwaitsCode => Next::Code,
            Stage::Enrols => Next::Enrolment,
            Stage::Password => Next::Home,
        };
        Ok(SignedIn { cookie, next })
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

    pub(super) async fn link(&self, link: &TokenDigest) -> Result<Option<Link>, Error> {
        Ok(self.store()?.link(link).await?)
    }

    pub(super) async fn join(&self, link: &TokenDigest, user: i64) -> Result<bool, Error> {
        Ok(self.store()?.join(link, user).await?)
    }

    pub(super) async fn sign_up(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, Error> {
        Ok(self.store()?.sign_up(link, login).await?)
    }

    pub(super) async fn reset_login(
        &self,
        link: &TokenDigest,
        login: NewLogin<'_>,
    ) -> Result<LinkUse, Error> {
        Ok(self.store()?.reset_login(link, login).await?)
    }

    async fn open_web_session(&self, user: i64, cookie: &TokenDigest, stage: Stage) -> Result<(), Error> {
        Ok(self.store()?.open_web_session(user, cookie, stage).await?)
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
