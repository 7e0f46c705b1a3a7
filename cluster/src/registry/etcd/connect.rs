//! A client for each member of etcd, and whom it believes.

use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions};
use roost_tls::ClientTls;
use tonic::transport::Endpoint;

/// etcd drops clients that ping more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(6);
pub(super) const HTTPS: &str = "https://";
const HTTP: &str = "http://";

/// In the order of the endpoints; why not, in words that name the endpoint. Waits for none of them.
pub(super) async fn each(
    endpoints: &[String],
    request_timeout: Duration,
    tls: Option<&ClientTls>,
) -> Result<Vec<Client>, String> {
    let options = ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(true);
    let mut members = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let named = |error: &dyn std::fmt::Display| format!("endpoint {endpoint:?}: {error}");
        let host_port = endpoint.strip_prefix(HTTPS).or(endpoint.strip_prefix(HTTP)).unwrap_or(endpoint);
        let plain = Endpoint::from_shared(format!("{HTTP}{host_port}")).map_err(|error| named(&error))?;
        let plain = plain
            .connect_timeout(request_timeout)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(request_timeout * 2)
            .keep_alive_while_idle(true);
        let channel = match tls {
            Some(tls) if endpoint.starts_with(HTTPS) => roost_tls::channel(&plain, tls.clone(), None),
            None if endpoint.starts_with(HTTPS) => return Err(named(&"there is no TLS for it")),
            _ => plain.connect_lazy(),
        };
        // Without a user: it would be logged in here, and etcd may be down.
        let member = Client::from_channel(Channel::Tonic(channel), Some(options.clone())).await;
        members.push(member.map_err(|error| named(&error))?);
    }
    Ok(members)
}
