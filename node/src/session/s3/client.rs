//! How the server is called.
//!
//! A call is tried again while the server says that it is busy (429, 500, 503 and the like) or ends the connection, [`RETRIES`] times
//! at most and not once [`RETRY_WITHIN`] is over; its caller waits for `session::objects`' time and no longer, which is also the
//! longest that one try takes. A put that is to fail where there is an object may so find its own first try there: whoever makes
//! one looks at what is there.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    client::{HttpClient, HttpConnector},
    prefix::PrefixStore,
};
use reqwest::{Certificate, NoProxy, Proxy};
use secrecy::ExposeSecret;

use super::{
    args::BucketIn,
    credentials_file::CredentialsFile,
    error::S3ConfigError,
    location::{Identity, S3Location},
};

/// Of one call, beside its first try.
const RETRIES: usize = 3;
/// Since the call began; none begins later.
const RETRY_WITHIN: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Where a machine, and a container, of Amazon's asks for its role.
const ROLE_SERVERS: &str = "169.254.169.254,169.254.170.2,169.254.170.23";

impl S3Location {
    /// No server is asked yet. `call_within` is the longest that one try takes.
    pub(in crate::session) fn connect(
        &self,
        call_within: Duration,
    ) -> Result<Arc<dyn ObjectStore>, S3ConfigError> {
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
        };
        let builder = match &self.identity {
            Identity::Role => AmazonS3Builder::from_env(),
            Identity::File(path) => {
                AmazonS3Builder::new().with_credentials(Arc::new(CredentialsFile::new(path.clone())))
            }
            Identity::Keys { id, secret, token } => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.expose_secret());
                match token {
                    Some(token) => builder.with_token(token.expose_secret()),
                    None => builder,
                }
            }
        };
        let builder = match self.address() {
            Some(address) => builder.with_endpoint(address),
            None => builder,
        };
        let client = self.client(call_within)?;
        let store = builder
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(self.bucket_in == BucketIn::Host)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            // Not every server has the call that removes many at once, and here is none that would.
            .with_disable_bulk_delete(true)
            .with_retry(retry)
            .with_http_connector(Connector(client))
            .build()
            .map_err(S3ConfigError::Client)?;
        Ok(match self.prefix.as_ref() {
            "" => Arc::new(store),
            _ => Arc::new(PrefixStore::new(store, self.prefix.clone())),
        })
    }

    /// As the builder wants it: with the bucket where that stands in the host.
    fn address(&self) -> Option<String> {
        let mut url = self.endpoint.clone()?;
        if self.bucket_in == BucketIn::Host {
            let host = format!("{}.{}", self.bucket, url.host_str().unwrap_or_default());
            // One that is no name, such as an address, stays as it is, and the server says what it thinks of it.
            url.set_host(Some(&host)).ok();
        }
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    fn client(&self, call_within: Duration) -> Result<reqwest::Client, S3ConfigError> {
        // One that is installed already is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("roost/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(call_within)
            .http1_only();
        let certificates = match &self.ca {
            Some((path, pem)) => Certificate::from_pem_bundle(pem)
                .map_err(|source| S3ConfigError::Ca { path: path.clone(), source })?,
            None => Vec::new(),
        };
        // Where there is no TLS the system need not have authorities.
        let is_plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
        builder = match is_plain {
            true => builder.tls_certs_only(certificates),
            false => builder.tls_certs_merge(certificates),
        };
        builder = match &self.proxy {
            None => builder.no_proxy(),
            Some(proxy) => {
                let proxy = Proxy::all(proxy.expose_secret()).map_err(|_| S3ConfigError::Proxy)?;
                builder.proxy(proxy.no_proxy(NoProxy::from_string(ROLE_SERVERS)))
            }
        };
        builder.build().map_err(|error| {
            S3ConfigError::Client(object_store::Error::Generic { store: "S3", source: error.into() })
        })
    }
}

/// One client for the server and for whoever says who we are.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
