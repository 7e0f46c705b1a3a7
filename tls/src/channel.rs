//! A gRPC channel over [`ClientTls`]: each of its connections is made by what the files say then.

use std::io;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::client::ClientTls;

/// `endpoint` is http://HOST:PORT, as far as the channel knows; it connects at the first call. What is there has to show that it is
/// `name`, which is the host unless it is given.
pub fn channel(endpoint: &Endpoint, tls: ClientTls, name: Option<ServerName<'static>>) -> Channel {
    let host_port = endpoint.uri().authority().map(ToString::to_string).unwrap_or_default();
    // What requests say of themselves; the channel would make TLS of its own of such an endpoint.
    let endpoint = match Uri::builder().scheme("https").authority(host_port).path_and_query("/").build() {
        Ok(origin) => endpoint.clone().origin(origin),
        Err(_) => endpoint.clone(),
    };
    endpoint.connect_with_connector_lazy(service_fn(move |uri: Uri| {
        let (tls, name) = (tls.clone(), name.clone());
        async move {
            let name = name.map_or_else(|| host(&uri), Ok)?;
            let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
            tls.connect(authority, name).await.map(TokioIo::new)
        }
    }))
}

/// Brackets of an address of IPv6 are the URI's.
fn host(uri: &Uri) -> io::Result<ServerName<'static>> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is not the name of a host"))
    })
}
