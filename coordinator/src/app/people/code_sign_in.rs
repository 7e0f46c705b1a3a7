//! Coming into the cluster: by a link, and by a code after the password.

use std::{net::IpAddr, time::Instant};

use roost_model::{Role, causes};
use roost_store::{HalfSignedIn, LinkUse, NewLogin, Stage, TokenDigest, UserLink, UserLinkPurpose};
use time::OffsetDateTime;

use super::{
    second_factor::{self, Enrolment},
    secrets_key::{SecretsKey, Unopened},
    sign_in::{NotSignedIn, SignIns, SignedIn},
    users::needs_code,
};
use crate::app::{App, Error, access::secret};

impl SignIns {
    /// What this link is for.
    pub async fn user_link(&self, link: &str) -> Result<UserLink, NotSignedIn> {
        let digest = secret::has_form(link).then(|| secret::digest(link)).ok_or(NotSignedIn::LinkOver)?;
        self.app.user_link(&digest).await?.ok_or(NotSignedIn::LinkOver)
    }

    /// Uses the link up.
    pub async fn use_user_link(
        &self,
        link: &str,
        password: &str,
        origin: IpAddr,
    ) -> Result<SignedIn, NotSignedIn> {
        let UserLink { email, role, purpose } = self.user_link(link).await?;
        if needs_code(role) {
            self.secrets_key()?;
        }
        let digest = secret::digest(link);
        let (used, has_factor) = match purpose {
            UserLinkPurpose::Join => {
                let login = self.login(&email, password, origin).await?;
                let has_joined = self.app.join_cluster(&digest, login.user_id).await?;
                let used = if has_joined { LinkUse::By(login.user_id) } else { LinkUse::Over };
                (used, login.has_second_factor)
            }
            UserLinkPurpose::SignUp => {
                let hash = self.new_password(password, &email).await?;
                (self.app.sign_up_user(&digest, NewLogin::Password(&hash)).await?, false)
            }
            UserLinkPurpose::Reset => {
                let hash = self.new_password(password, &email).await?;
                (self.app.take_reset(&digest, NewLogin::Password(&hash)).await?, false)
            }
        };
        let LinkUse::By(user) = used else { return Err(NotSignedIn::LinkOver) };
        self.open(user, self.next_stage(user, role, has_factor).await?).await
    }

    async fn next_stage(&self, user: i64, role: Role, has_factor: bool) -> Result<Stage, NotSignedIn> {
        if has_factor {
            return Ok(Stage::AwaitsCode);
        }
        if !needs_code(role) {
            return Ok(Stage::Password);
        }
        let sealed = second_factor::new_secret(self.secrets_key()?, user).ok_or(NotSignedIn::NotHashed)?;
        self.app.offer_second_factor(user, &sealed).await?;
        Ok(Stage::Enrols)
    }

    /// What the phone of this browser's user is to take in. None when it has one already, and the code alone is missing.
    pub async fn enrolment(&self, cookie: &str) -> Result<Option<Enrolment>, NotSignedIn> {
        let half = self.half(cookie).await?;
        let Some(sealed) = half.secret.filter(|_| half.enrols) else { return Ok(None) };
        second_factor::enrolment(self.secrets_key()?, half.user_id, &half.email, &sealed).map_err(unopened)
    }

    /// Signs a browser in, under the cookie that is answered.
    pub async fn take_code(&self, cookie: &str, code: &str, origin: IpAddr) -> Result<String, NotSignedIn> {
        let half = self.half(cookie).await?;
        if let Some(wait) = self.attempts.must_wait(&half.email, origin, Instant::now()) {
            return Err(NotSignedIn::TooOften { wait });
        }
        let next = secret::new_secret();
        if self.counts(&half, &secret::digest(cookie), &secret::digest(&next), code).await? {
            self.attempts.was_right(&half.email, origin);
            return Ok(next);
        }
        self.attempts.was_wrong(&half.email, origin, Instant::now());
        tracing::warn!(%origin, "a sign-in with a wrong code");
        Err(NotSignedIn::WrongCode)
    }

    async fn counts(
        &self,
        half: &HalfSignedIn,
        cookie: &TokenDigest,
        next: &TokenDigest,
        code: &str,
    ) -> Result<bool, NotSignedIn> {
        let Some(sealed) = &half.secret else { return Ok(false) };
        let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
        let step = second_factor::step_of(self.secrets_key()?, half.user_id, sealed, code, now);
        match step.map_err(unopened)? {
            Some(step) => Ok(self.app.count_code(cookie, next, step).await?),
            None => Ok(false),
        }
    }

    async fn half(&self, cookie: &str) -> Result<HalfSignedIn, NotSignedIn> {
        let digest = secret::has_form(cookie).then(|| secret::digest(cookie));
        let digest = digest.ok_or(NotSignedIn::NotHalfSignedIn)?;
        self.app.half_signed_in(&digest).await?.ok_or(NotSignedIn::NotHalfSignedIn)
    }

    fn secrets_key(&self) -> Result<&SecretsKey, NotSignedIn> {
        self.secrets_key.as_ref().ok_or_else(|| {
            tracing::error!("nobody can sign in with a code: this coordinator has no --secrets-key-file");
            NotSignedIn::NoSecretsKey
        })
    }
}

fn unopened(why: Unopened) -> NotSignedIn {
    tracing::error!(error = %causes(&why), "the secret of a user's codes cannot be read");
    NotSignedIn::NoSecretsKey
}

impl App {
    pub(super) async fn user_link(&self, link: &TokenDigest) -> Result<Option<UserLink>, Error> {
        Ok(self.store()?.user_link(link).await?)
    }

    pub(super) async fn join_cluster(&self, link: &TokenDigest, user: i64) -> Result<bool, Error> {
        Ok(self.store()?.join_cluster(link, user).await?)
    }

    pub(super) async fn sign_up_user(
        &self,
        link: &TokenDigest,
        login: NewLogin<'_>,
    ) -> Result<LinkUse, Error> {
        Ok(self.store()?.sign_up_user(link, login).await?)
    }

    pub(super) async fn take_reset(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, Error> {
        Ok(self.store()?.reset_user(link, login).await?)
    }

    async fn offer_second_factor(&self, user: i64, sealed: &[u8]) -> Result<(), Error> {
        Ok(self.store()?.offer_second_factor(user, sealed).await?)
    }

    async fn half_signed_in(&self, cookie: &TokenDigest) -> Result<Option<HalfSignedIn>, Error> {
        Ok(self.store()?.half_signed_in(cookie).await?)
    }

    async fn count_code(&self, half: &TokenDigest, cookie: &TokenDigest, step: i64) -> Result<bool, Error> {
        Ok(self.store()?.take_code(half, cookie, step).await?)
    }
}
