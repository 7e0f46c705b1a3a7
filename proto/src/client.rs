//! The client of the admin API: one connection, the token on every call.
//!
//! It lies beside the wire because the command line and the local cluster both use it and neither imports the other when
//! the command line is built without the cluster. No feature guards it: it needs no crate that the generated clients do
//! not need, and a second set of features would have the generated code compiled twice.

use std::{str::FromStr, time::Duration};

use crate::v1::{
    access_service_client::AccessServiceClient, chat_service_client::ChatServiceClient,
    cluster_service_client::ClusterServiceClient, member_service_client::MemberServiceClient,
    message_service_client::MessageServiceClient, node_service_client::NodeServiceClient,
    operation_service_client::OperationServiceClient, session_service_client::SessionServiceClient,
    setup_service_client::SetupServiceClient, tenant_service_client::TenantServiceClient,
    user_service_client::UserServiceClient, version_service_client::VersionServiceClient,
    worker_inspection_service_client::WorkerInspectionServiceClient,
    worker_service_client::WorkerServiceClient,
};
use roost_tls::ClientTls;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Until the answer begins; a stream may then last for ever.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// A stream on a connection that has silently died ends after this.
const PING_EVERY: Duration = Duration::from_secs(20);

const HTTP: &str = "http://";
const HTTPS: &str = "https://";

/// Some 300,000 moves.
const LARGEST_PLAN: usize = 64 << 20;

/// The transport under each service's client.
pub type Transport = InterceptedService<Channel, Bearer>;

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("{given:?} is not an address; it takes HOST:PORT, or http://HOST:PORT or https://HOST:PORT")]
    Address { given: String },
    #[error("{given} is for TLS, and nothing says whose certificate is to be believed")]
    NoTls { given: String },
    #[error("{given} is not for TLS: give https:// in the place of http://, or HOST:PORT alone")]
    Plain { given: String },
    #[error("the token holds characters that a header cannot carry; it takes visible ASCII")]
    Token,
}

/// A cheap clone. It connects at the first call and again after a connection is lost.
#[derive(Debug, Clone)]
pub struct Admin {
    address: String,
    channel: Channel,
    bearer: Bearer,
}

impl Admin {
    /// `address` is HOST:PORT or http://HOST:PORT. Must be called within a tokio runtime.
    pub fn new(address: &str, token: &str) -> Result<Self, AdminError> {
        if address.starts_with(HTTPS) {
            return Err(AdminError::NoTls { given: address.to_owned() });
        }
        let (host_port, endpoint) = endpoint(address, address.strip_prefix(HTTP).unwrap_or(address))?;
        Ok(Self { address: host_port, channel: endpoint.connect_lazy(), bearer: Bearer::new(token)? })
    }

    /// The same by TLS, to HOST:PORT or https://HOST:PORT.
    pub fn secured(address: &str, token: &str, tls: ClientTls) -> Result<Self, AdminError> {
        if address.starts_with(HTTP) {
            return Err(AdminError::Plain { given: address.to_owned() });
        }
        let (host_port, endpoint) = endpoint(address, address.strip_prefix(HTTPS).unwrap_or(address))?;
        let channel = roost_tls::channel(&endpoint, tls, None);
        Ok(Self { address: host_port, channel, bearer: Bearer::new(token)? })
    }

    /// HOST:PORT
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn access(&self) -> AccessServiceClient<Transport> {
        AccessServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn members(&self) -> MemberServiceClient<Transport> {
        MemberServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn chats(&self) -> ChatServiceClient<Transport> {
        ChatServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn setups(&self) -> SetupServiceClient<Transport> {
        SetupServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn users(&self) -> UserServiceClient<Transport> {
        UserServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn tenants(&self) -> TenantServiceClient<Transport> {
        TenantServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn workers(&self) -> WorkerServiceClient<Transport> {
        WorkerServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn inspection(&self) -> WorkerInspectionServiceClient<Transport> {
        WorkerInspectionServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn sessions(&self) -> SessionServiceClient<Transport> {
        SessionServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn messages(&self) -> MessageServiceClient<Transport> {
        MessageServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn cluster(&self) -> ClusterServiceClient<Transport> {
        ClusterServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn operations(&self) -> OperationServiceClient<Transport> {
        // A plan for thousands of tenants is larger than the 4 MiB that a client takes by itself.
        OperationServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(LARGEST_PLAN)
    }

    pub fn versions(&self) -> VersionServiceClient<Transport> {
        VersionServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub fn nodes(&self) -> NodeServiceClient<Transport> {
        NodeServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}

/// HOST:PORT, and what connects to it.
fn endpoint(given: &str, host_port: &str) -> Result<(String, Endpoint), AdminError> {
    let wrong = || AdminError::Address { given: given.to_owned() };
    let host_port = host_port.trim_end_matches('/');
    let has_port = host_port.rsplit_once(':').is_some_and(|(_, port)| u16::from_str(port).is_ok());
    if !has_port || host_port.contains('/') {
        return Err(wrong());
    }
    let endpoint = Endpoint::from_shared(format!("http://{host_port}")).map_err(|_| wrong())?;
    let endpoint =
        endpoint.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN).http2_keep_alive_interval(PING_EVERY);
    Ok((host_port.to_owned(), endpoint))
}

/// Puts `authorization: Bearer TOKEN` on each call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    pub fn new(token: &str) -> Result<Self, AdminError> {
        let mut value = MetadataValue::from_str(&format!("Bearer {token}")).map_err(|_| AdminError::Token)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use roost_tls::Trust;

    use super::*;

    #[tokio::test]
    async fn an_address_is_a_host_and_a_port() {
        for good in ["127.0.0.1:7000", "http://roost.internal:7000", "http://[::1]:7000/"] {
            assert!(Admin::new(good, "t").is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1", "http://a:7000/admin", "a b:1"] {
            assert!(matches!(Admin::new(bad, "t"), Err(AdminError::Address { .. })), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_address_that_says_whether_it_is_for_tls_is_taken_at_its_word() {
        let tls = || ClientTls::open(Trust::System, None).unwrap();
        for good in ["127.0.0.1:7000", "https://roost.internal:7000", "https://[::1]:7000/"] {
            assert_eq!(Admin::secured(good, "t", tls()).unwrap().address().rsplit(':').next(), Some("7000"));
        }
        let open = Admin::secured("http://127.0.0.1:7000", "t", tls());
        assert!(matches!(open, Err(AdminError::Plain { .. })));
        let secured = Admin::new("https://127.0.0.1:7000", "t");
        assert!(matches!(secured, Err(AdminError::NoTls { .. })));
    }

    #[tokio::test]
    async fn the_token_does_not_show_in_debug_output() {
        let admin = Admin::new("127.0.0.1:1", "sesame").unwrap();
        assert!(!format!("{admin:?}").contains("sesame"));
    }
}
