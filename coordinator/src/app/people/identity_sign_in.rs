//! Coming in by who one is at a provider of OpenID Connect.
//!
//! Whose an identity is follows from the provider's own name for somebody, which is bound to a user once: by the user's link, or by his browser.
//! An address that the provider knows of him is neither asked for nor looked at.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use roost_model::causes;
use roost_store::{
    Binding, IdentityPurpose, IdentityUser, Link, LinkUse, NewLogin, Purpose, TokenDigest, UserIdentity,
    UserLink, UserLinkPurpose,
};

use super::sign_in::{Next, SignIns, SignedIn};
use crate::{
    app::{App, Error, access::secret},
    oidc::{Handshake, OidcError, Provider},
};

/// A browser that goes to the provider.
#[derive(Debug)]
pub struct SentAway {
    /// What it brings back, of a cookie of its own.
    pub cookie: String,
    pub to: String,
}

/// What a browser that comes back has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Returned<'a> {
    /// That it was sent away with.
    pub cookie: Option<&'a str>,
    /// By which it is signed in.
    pub session: Option<&'a str>,
    pub state: &'a str,
    /// None: the provider has signed nobody in.
    pub code: Option<&'a str>,
    /// The provider's name for itself, where it says it (RFC 9207).
    pub issuer: Option<&'a str>,
}

#[derive(Debug)]
pub enum Arrived {
    SignedIn(SignedIn),
    /// The identity is the user's from now on.
    Bound,
}

#[derive(Debug)]
pub enum NotByIdentity {
    /// This coordinator has no provider.
    NoProvider,
    /// The provider is away; the log says more.
    Away,
    /// It has signed nobody in, or what it says is not good.
    Refused,
    /// This browser was not sent there, or too long ago, or has come back already.
    Over,
    TooOften {
        wait: Duration,
    },
    /// The identity is nobody's.
    Unknown,
    /// It is another user's.
    OfAnother,
    /// The user has one of this provider already.
    HasAnother,
    /// The link is for a user who is there, and the identity is not his.
    NotTheInvited,
    LinkOver,
    /// To take an identity for himself somebody has to have signed in a moment ago.
    SignedOut,
    Failed(Error),
}

impl From<Error> for NotByIdentity {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl SignIns {
    /// Which provider there is, by the name of its host.
    pub fn provider_name(&self) -> Option<String> {
        self.provider.as_ref().map(Provider::name)
    }

    /// To sign in.
    pub async fn go_to_provider(&self, origin: IpAddr) -> Result<SentAway, NotByIdentity> {
        self.sent_away(&IdentityPurpose::SignIn, origin).await
    }

    /// To use a link up, of a business or of the cluster.
    pub async fn go_to_provider_with_link(
        &self,
        link: &str,
        origin: IpAddr,
    ) -> Result<SentAway, NotByIdentity> {
        let link = secret::has_form(link).then(|| secret::digest(link)).ok_or(NotByIdentity::LinkOver)?;
        self.sent_away(&IdentityPurpose::UseLink(link), origin).await
    }

    /// To have the identity bound to whoever is signed in with this cookie.
    pub async fn go_to_provider_to_bind(
        &self,
        session: &str,
        origin: IpAddr,
    ) -> Result<SentAway, NotByIdentity> {
        self.sent_away(&IdentityPurpose::Bind(secret::digest(session)), origin).await
    }

    async fn sent_away(&self, purpose: &IdentityPurpose, origin: IpAddr) -> Result<SentAway, NotByIdentity> {
        let provider = self.provider_within_bounds(origin)?;
        let cookie = secret::new_secret();
        let to = provider.begin(&Handshake::of(&cookie)).await.map_err(not_proved)?;
        match self.app.begin_identity_sign_in(&secret::digest(&cookie), purpose).await? {
            true => Ok(SentAway { cookie, to }),
            false => Err(NotByIdentity::SignedOut),
        }
    }

    /// Signs a browser in that comes back, or binds the identity that it brings.
    pub async fn come_back(&self, returned: Returned<'_>, origin: IpAddr) -> Result<Arrived, NotByIdentity> {
        let provider = self.provider_within_bounds(origin)?;
        let arrived = self.arrived(provider, returned).await;
        match &arrived {
            Err(NotByIdentity::Over | NotByIdentity::Refused | NotByIdentity::Unknown) => {
                self.attempts.address_was_wrong(origin, Instant::now());
                tracing::warn!(%origin, "a sign-in by the provider that proves nobody who is known here");
            }
            Ok(_) | Err(_) => {}
        }
        arrived
    }

    fn provider_within_bounds(&self, origin: IpAddr) -> Result<&Provider, NotByIdentity> {
        let provider = self.provider.as_ref().ok_or(NotByIdentity::NoProvider)?;
        match self.attempts.address_must_wait(origin, Instant::now()) {
            Some(wait) => Err(NotByIdentity::TooOften { wait }),
            None => Ok(provider),
        }
    }

    async fn arrived(&self, provider: &Provider, returned: Returned<'_>) -> Result<Arrived, NotByIdentity> {
        let cookie = returned.cookie.filter(|cookie| secret::has_form(cookie)).ok_or(NotByIdentity::Over)?;
        let handshake = Handshake::of(cookie);
        if !handshake.is_state(returned.state) {
            return Err(NotByIdentity::Over);
        }
        let purpose = self.app.take_identity_sign_in(&secret::digest(cookie)).await?;
        let purpose = purpose.ok_or(NotByIdentity::Over)?;
        let code = returned.code.ok_or(NotByIdentity::Refused)?;
        if returned.issuer.is_some_and(|issuer| issuer != provider.issuer()) {
            return Err(NotByIdentity::Refused);
        }
        let identity = provider.finish(&handshake, code).await.map_err(not_proved)?;
        match purpose {
            IdentityPurpose::SignIn => self.enter_by(&identity, NotByIdentity::Unknown).await,
            IdentityPurpose::UseLink(link) => self.use_link_by(&link, &identity).await,
            IdentityPurpose::Bind(session) => {
                // The browser may have signed in as somebody else meanwhile.
                if returned.session.map(secret::digest) != Some(session) {
                    return Err(NotByIdentity::SignedOut);
                }
                self.bind(&session, &identity).await
            }
        }
    }

    /// `otherwise`: the identity is nobody's.
    async fn enter_by(
        &self,
        identity: &UserIdentity,
        otherwise: NotByIdentity,
    ) -> Result<Arrived, NotByIdentity> {
        let cookie = secret::new_secret();
        match self.app.open_identity_session(identity, &secret::digest(&cookie)).await? {
            true => Ok(Arrived::SignedIn(SignedIn { cookie, next: Next::Home })),
            false => Err(otherwise),
        }
    }

    async fn use_link_by(
        &self,
        link: &TokenDigest,
        identity: &UserIdentity,
    ) -> Result<Arrived, NotByIdentity> {
        let login = NewLogin::Identity(identity);
        let used = if let Some(UserLink { email, purpose, .. }) = self.app.user_link(link).await? {
            match purpose {
                UserLinkPurpose::Join => {
                    let user = self.invited(identity, &email).await?;
                    joined(user, self.app.join_cluster(link, user).await?)
                }
                UserLinkPurpose::SignUp => self.app.sign_up_user(link, login).await?,
                UserLinkPurpose::Reset => self.app.take_reset(link, login).await?,
            }
        } else {
            let Link { email, purpose } = self.app.link(link).await?.ok_or(NotByIdentity::LinkOver)?;
            match purpose {
                Purpose::Join { .. } => {
                    let user = self.invited(identity, &email).await?;
                    joined(user, self.app.join(link, user).await?)
                }
                Purpose::SignUp { .. } => self.app.sign_up(link, login).await?,
                Purpose::Reset => self.app.reset_login(link, login).await?,
            }
        };
        match used {
            LinkUse::By(user) => {
                tracing::info!(user, "a link is used by an identity of the provider");
                self.enter_by(identity, NotByIdentity::LinkOver).await
            }
            LinkUse::Over => Err(NotByIdentity::LinkOver),
            LinkUse::IdentityOfAnother => Err(NotByIdentity::OfAnother),
        }
    }

    /// Whoever has a login here joins by it: a link alone binds no identity to him, or whoever invites an address would have its user's account.
    async fn invited(&self, identity: &UserIdentity, email: &str) -> Result<i64, NotByIdentity> {
        let user = self.app.identity_user(identity).await?.filter(|user| user.email == email);
        user.map(|user| user.user_id).ok_or(NotByIdentity::NotTheInvited)
    }

    async fn bind(&self, session: &TokenDigest, identity: &UserIdentity) -> Result<Arrived, NotByIdentity> {
        match self.app.bind_identity(identity, session).await? {
            Binding::Bound => {
                tracing::info!("an identity of the provider is bound to a user");
                Ok(Arrived::Bound)
            }
            Binding::OfAnother => Err(NotByIdentity::OfAnother),
            Binding::HasAnother => Err(NotByIdentity::HasAnother),
            Binding::SignedOut => Err(NotByIdentity::SignedOut),
        }
    }

    /// Whether whoever is signed in with this cookie may come by the provider too.
    pub async fn has_identity(&self, session: &str) -> Result<bool, Error> {
        let Some(provider) = &self.provider else { return Ok(false) };
        Ok(self.app.store()?.has_identity(provider.issuer(), &secret::digest(session)).await?)
    }
}

fn joined(user: i64, has_joined: bool) -> LinkUse {
    if has_joined { LinkUse::By(user) } else { LinkUse::Over }
}

fn not_proved(error: OidcError) -> NotByIdentity {
    match error.is_refusal() {
        true => {
            tracing::warn!(error = %causes(&error), "what a browser brings from the provider is not good");
            NotByIdentity::Refused
        }
        false => {
            tracing::warn!(error = %causes(&error), "nobody can sign in by the provider of OpenID Connect");
            NotByIdentity::Away
        }
    }
}

impl App {
    async fn begin_identity_sign_in(
        &self,
        sign_in: &TokenDigest,
        purpose: &IdentityPurpose,
    ) -> Result<bool, Error> {
        Ok(self.store()?.begin_identity_sign_in(sign_in, purpose).await?)
    }

    async fn take_identity_sign_in(&self, sign_in: &TokenDigest) -> Result<Option<IdentityPurpose>, Error> {
        Ok(self.store()?.take_identity_sign_in(sign_in).await?)
    }

    async fn identity_user(&self, identity: &UserIdentity) -> Result<Option<IdentityUser>, Error> {
        Ok(self.store()?.identity_user(identity).await?)
    }

    async fn open_identity_session(
        &self,
        identity: &UserIdentity,
        cookie: &TokenDigest,
    ) -> Result<bool, Error> {
        Ok(self.store()?.open_identity_session(identity, cookie).await?)
    }

    async fn bind_identity(&self, identity: &UserIdentity, cookie: &TokenDigest) -> Result<Binding, Error> {
        Ok(self.store()?.bind_identity(identity, cookie).await?)
    }
}
