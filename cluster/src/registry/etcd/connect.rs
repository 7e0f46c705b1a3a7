//! A client for each member of etcd, and whom it believes.

use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, TlsOptions};

/// etcd drops clients that ping more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(6);
const HTTPS: &str = "https://";

/// In the order of the endpoints; why not, in words that name the endpoint. Waits for none of them.
pub(super) async fn each(
    endpoints: &[String],
    request_timeout: Duration,
    ca: Option<&[u8]>,
) -> Result<Vec<Client>, String> {
    let plain = ConnectOptions::new()
        .with_connect_timeout(request_timeout)
        .with_keep_alive(PING_EVERY, request_timeout * 2)
        .with_keep_alive_while_idle(true)
        .with_require_leader(true);
    let mut members = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let options = match endpoint.starts_with(HTTPS) {
            true => plain.clone().with_tls(trust(ca)),
            false => plain.clone(),
        };
        let member = Client::connect([endpoint], Some(options)).await;
        members.push(member.map_err(|error| format!("endpoint {endpoint:?}: {error}"))?);
    }
    Ok(members)
}

fn trust(ca: Option<&[u8]>) -> TlsOptions {
    let system = TlsOptions::new().with_native_roots();
    match ca {
        Some(pem) => system.ca_certificate(Certificate::from_pem(pem)),
        None => system,
    }
}
