//! A gRPC channel over [`ClientTls`]: each of its connections is made by what the files say then.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt},
    time::timeout,
};
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::client::ClientTls;

const FIRST_BYTES_WITHIN: Duration = Duration::from_millis(250);

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
            let mut stream = tls.connect(authority, name).await?;
            until_taken(&mut stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    }))
}

/// In TLS 1.3 a caller is done with the handshake before the server has looked at the caller's certificate. A refusal comes afterwards, and
/// whoever writes meanwhile may learn only that the connection is gone. A server of HTTP/2 speaks first, once it has taken the caller.
async fn until_taken(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    match timeout(FIRST_BYTES_WITHIN, stream.fill_buf()).await {
        Ok(Ok([])) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Err(refused)) => Err(refused),
        // What it has said stays to be read; one that is far away is not waited for.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Brackets of an address of IPv6 are the URI's.
fn host(uri: &Uri) -> io::Result<ServerName<'static>> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is not the name of a host"))
    })
}
