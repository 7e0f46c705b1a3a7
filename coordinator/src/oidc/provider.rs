//! The provider: what it says of itself, kept for an hour, and what it says of a browser that comes back.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientSecret, PkceCodeChallenge, RedirectUrl,
    RequestTokenError, SignatureVerificationError, TokenResponse,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
        CoreJwsSigningAlgorithm, CoreProviderMetadata,
    },
};
use roost_model::causes;
use roost_store::UserIdentity;
use tokio::{sync::Mutex, time::timeout};

use super::{
    args::OidcSettings, fetch::is_private_enough, handshake::Handshake, settings_error::OidcSettingsError,
};

/// What the provider says of itself is asked anew after that.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
/// After a failure nothing is asked for as long, so that those who wait are told at once.
const PAUSE: Duration = Duration::from_secs(3);
/// All that a browser waits for: two requests or four.
const WITHIN: Duration = Duration::from_secs(20);
/// As the standard has it.
const LONGEST_SUBJECT: usize = 255;

/// By which an ID token may be signed: with the provider's own key, and never with the secret that both have.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the provider does not say what it is")]
    Away(#[source] Cause),
    #[error("the provider has not answered a moment ago")]
    AwayStill,
    #[error("the provider has not answered in time")]
    Overdue,
    #[error("the provider has no {what} that is https, or on this machine where it is itself")]
    Endpoint { what: &'static str },
    #[error(transparent)]
    Settings(#[from] OidcSettingsError),
    #[error("the provider takes the code for no good one")]
    Code(#[source] Cause),
    #[error("the provider's answer has no ID token")]
    NoIdToken,
    #[error("the ID token is not good")]
    IdToken(#[from] ClaimsVerificationError),
    #[error("the ID token is made for another client")]
    Party,
    #[error("the ID token's subject has {bytes} bytes, where 1 to {LONGEST_SUBJECT} are allowed")]
    Subject { bytes: usize },
}

impl OidcError {
    /// What was shown proves nothing, however often it is tried; else it may go in a moment.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Code(_) | Self::NoIdToken | Self::IdToken(_) | Self::Party | Self::Subject { .. } => true,
            Self::Away(_) | Self::AwayStill | Self::Overdue | Self::Endpoint { .. } | Self::Settings(_) => {
                false
            }
        }
    }
}

pub struct Provider {
    settings: OidcSettings,
    redirect: RedirectUrl,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(Arc<CoreProviderMetadata>, Instant)>,
    failed_at: Option<Instant>,
}

impl Provider {
    /// Whose people come back to `redirect`.
    pub fn new(settings: OidcSettings, redirect: String) -> Result<Self, OidcSettingsError> {
        let redirect = RedirectUrl::new(redirect).map_err(|_| OidcSettingsError::PublicUrl)?;
        Ok(Self { settings, redirect, known: Mutex::default() })
    }

    pub fn issuer(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// As people are told it: where they are going to sign in.
    pub fn name(&self) -> String {
        let url = self.settings.issuer.url();
        let host = url.host_str().unwrap_or_default();
        url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Where a browser goes with this.
    pub async fn begin(&self, handshake: &Handshake) -> Result<String, OidcError> {
        timeout(WITHIN, async {
            let metadata = self.metadata(None).await?;
            let (state, nonce) = (handshake.state(), handshake.nonce());
            let client = CoreClient::from_provider_metadata(
                CoreProviderMetadata::clone(&metadata),
                self.settings.client.clone(),
                None,
            );
            let (url, _, _) = client
                .set_redirect_uri(self.redirect.clone())
                .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
                .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&handshake.verifier()))
                .url();
            let url =
                Some(url).filter(is_private_enough).ok_or(OidcError::Endpoint { what: "page to sign in" })?;
            Ok(url.into())
        })
        .await
        .unwrap_or(Err(OidcError::Overdue))
    }

    /// Who the browser is of that comes back with this code.
    pub async fn finish(&self, handshake: &Handshake, code: &str) -> Result<UserIdentity, OidcError> {
        timeout(WITHIN, async {
            let metadata = self.metadata(None).await?;
            let secret = self.settings.secret()?;
            let token = self.exchanged(&metadata, secret.clone(), handshake, code).await?;
            let subject = match self.subject(&metadata, secret.clone(), &token, handshake) {
                Err(OidcError::IdToken(ClaimsVerificationError::SignatureVerification(
                    SignatureVerificationError::NoMatchingKey,
                ))) => {
                    // It has changed its keys since.
                    let metadata = self.metadata(Some(&metadata)).await?;
                    self.subject(&metadata, secret, &token, handshake)?
                }
                judged => judged?,
            };
            Ok(UserIdentity { issuer: self.issuer().to_owned(), subject })
        })
        .await
        .unwrap_or(Err(OidcError::Overdue))
    }

    async fn exchanged(
        &self,
        metadata: &CoreProviderMetadata,
        secret: ClientSecret,
        handshake: &Handshake,
        code: &str,
    ) -> Result<CoreIdToken, OidcError> {
        let (id, redirect) = (self.settings.client.clone(), self.redirect.clone());
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, Some(secret))
            .set_auth_type(auth_type(metadata))
            .set_redirect_uri(redirect);
        let request = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| OidcError::Endpoint { what: "place to exchange codes" })?;
        let answer =
            request.set_pkce_verifier(handshake.verifier()).request_async(&self.settings.fetch).await;
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(_) => OidcError::Code(error.into()),
            RequestTokenError::Request(_) | RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OidcError::Away(error.into())
            }
        })?;
        answer.id_token().cloned().ok_or(OidcError::NoIdToken)
    }

    fn subject(
        &self,
        metadata: &CoreProviderMetadata,
        secret: ClientSecret,
        token: &CoreIdToken,
        handshake: &Handshake,
    ) -> Result<String, OidcError> {
        let OidcSettings { client, issuer, .. } = &self.settings;
        let keys = metadata.jwks().clone();
        let verifier =
            CoreIdTokenVerifier::new_confidential_client(client.clone(), secret, issuer.clone(), keys)
                .set_allowed_algs(ALGORITHMS);
        let claims = token.claims(&verifier, &handshake.nonce())?;
        if claims.authorized_party().is_some_and(|party| party != client) {
            return Err(OidcError::Party);
        }
        match claims.subject().as_str() {
            subject if (1..=LONGEST_SUBJECT).contains(&subject.len()) => Ok(subject.to_owned()),
            subject => Err(OidcError::Subject { bytes: subject.len() }),
        }
    }

    /// What it says of itself: of the last hour, or asked just now where that is not `but`.
    async fn metadata(
        &self,
        but: Option<&Arc<CoreProviderMetadata>>,
    ) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        // One asks, and all who wait have the answer.
        let mut known = self.known.lock().await;
        let wanted = |(metadata, _): &&(Arc<_>, Instant)| but.is_none_or(|but| !Arc::ptr_eq(but, metadata));
        let old = known.metadata.as_ref().filter(wanted).cloned();
        let is_paused = known.failed_at.is_some_and(|at| at.elapsed() < PAUSE);
        match old {
            Some((metadata, at)) if at.elapsed() < KNOWN_FOR || is_paused => return Ok(metadata),
            None if is_paused => return Err(OidcError::AwayStill),
            Some(_) | None => {}
        }
        let (issuer, fetch) = (self.settings.issuer.clone(), &self.settings.fetch);
        // Until it has answered: also where whoever waits goes away.
        known.failed_at = Some(Instant::now());
        match CoreProviderMetadata::discover_async(issuer, fetch).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((metadata.clone(), Instant::now())), failed_at: None };
                Ok(metadata)
            }
            Err(error) => {
                known.failed_at = Some(Instant::now());
                // What it said before is as good as it was.
                let Some((metadata, _)) = old else { return Err(OidcError::Away(error.into())) };
                tracing::warn!(error = %causes(&error), "the provider of OpenID Connect does not say what it is; what it said before goes on");
                Ok(metadata)
            }
        }
    }
}

/// As the provider takes the secret: by the header unless it takes it in the body alone.
fn auth_type(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
    match takes(CoreClientAuthMethod::ClientSecretBasic) || !takes(CoreClientAuthMethod::ClientSecretPost) {
        true => AuthType::BasicAuth,
        false => AuthType::RequestBody,
    }
}
