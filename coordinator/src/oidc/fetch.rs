//! What is fetched from a provider: within a time and a size, over TLS or on this machine, and from where it said alone.

use std::{path::PathBuf, pin::Pin, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, url::Url};
use reqwest::{Certificate, redirect::Policy};

use super::settings_error::OidcSettingsError;

/// Of one request, from its connection to the last byte of the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Of an answer: some keys, some hundreds of bytes each.
const BODY_AT_MOST: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url} is neither https nor on this machine")]
    Open { url: String },
    #[error("no answer from the provider")]
    Unanswered(#[from] reqwest::Error),
    #[error("the provider answers with more than {BODY_AT_MOST} bytes")]
    TooLarge,
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetch(reqwest::Client);

impl Fetch {
    pub fn new(issuer: &Url, authorities: Option<(PathBuf, Vec<u8>)>) -> Result<Self, OidcSettingsError> {
        // One that is installed already is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        let certificates = match authorities {
            Some((path, pem)) => match Certificate::from_pem_bundle(&pem) {
                Ok(certificates) if !certificates.is_empty() => certificates,
                _ => return Err(OidcSettingsError::Authorities { path }),
            },
            None => Vec::new(),
        };
        let builder = reqwest::Client::builder()
            .user_agent(concat!("roost/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(Policy::none())
            .no_proxy()
            .http1_only();
        // Where there is no TLS the system need not have authorities.
        let builder = match issuer.scheme() {
            "http" => builder.tls_certs_only(certificates),
            _ => builder.tls_certs_merge(certificates),
        };
        Ok(Self(builder.build().map_err(OidcSettingsError::Client)?))
    }

    async fn answered(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let url = request.uri().to_string();
        if !Url::parse(&url).is_ok_and(|url| is_private_enough(&url)) {
            return Err(FetchError::Open { url });
        }
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut made = http::Response::builder().status(answer.status());
        if let Some(headers) = made.headers_mut() {
            headers.extend(answer.headers().clone());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > BODY_AT_MOST {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(made.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.answered(request))
    }
}

/// Whether nobody else hears what is said there: the secret, codes and tokens.
pub fn is_private_enough(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_here = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
    !host.is_empty() && (url.scheme() == "https" || url.scheme() == "http" && is_here)
}
