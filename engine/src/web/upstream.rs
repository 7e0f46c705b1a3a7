//! A tenant's own proxy as its node speaks to it: a connection through it to a host, by CONNECT of HTTP, also within TLS, or by SOCKS 5.
//!
//! The proxy is given the host's name, so no resolver of the node learns where a tenant goes. Nothing is ever tried without it.

use std::{io, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use roost_model::{Proxy, ProxyLogin, ProxyScheme};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_socks::tcp::Socks5Stream;

/// From the first packet to the proxy until it has reached the host.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
/// Of an answer to CONNECT.
const HEAD_BYTES: usize = 8 * 1024;
const HEADERS: usize = 64;

/// Why there is no way through a proxy. Nothing of it is the proxy's own text, but the number of its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProblem {
    #[error("takes no connection ({reason}): see whether it runs and whether this node may reach it")]
    Unreachable { reason: String },
    #[error("does not answer within {limit:?}: see whether it runs and whether it reaches WhatsApp")]
    Silent { limit: Duration },
    #[error("does not take these credentials: give it others (roost tenant update TENANT --proxy-file FILE)")]
    Credentials,
    #[error("does not connect to {host} ({reason}): have it permit that")]
    Refused { host: String, reason: String },
    #[error(
        "is not believed ({reason}): its certificate has to be signed by an authority of this node's system"
    )]
    Distrusted { reason: String },
    #[error("does not speak as a proxy of its scheme: see whether scheme and port are right")]
    Unintelligible,
}

/// Bytes to and from a host behind a proxy.
pub(super) trait Tunnel: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Tunnel for T {}

/// Through the proxy to this host, which has its brackets if it is an IPv6 address.
pub(super) async fn connect(proxy: &Proxy, host: &str, port: u16) -> Result<Box<dyn Tunnel>, ProxyProblem> {
    let limit = CONNECTED_WITHIN;
    timeout(limit, connect_in_time(proxy, host, port)).await.unwrap_or(Err(ProxyProblem::Silent { limit }))
}

async fn connect_in_time(proxy: &Proxy, host: &str, port: u16) -> Result<Box<dyn Tunnel>, ProxyProblem> {
    let (place, login) = (&proxy.place, proxy.login.as_ref());
    let socket = TcpStream::connect((bare(&place.host), place.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    match place.scheme {
        ProxyScheme::Http => tunnel(socket, login, host, port).await,
        ProxyScheme::Https => tunnel(within_tls(socket, &place.host).await?, login, host, port).await,
        ProxyScheme::Socks5 => socks(socket, login, host, port).await,
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn unreachable(error: io::Error) -> ProxyProblem {
    ProxyProblem::Unreachable { reason: error.kind().to_string() }
}

async fn within_tls(socket: TcpStream, host: &str) -> Result<impl Tunnel + use<>, ProxyProblem> {
    let distrusted = |reason: String| ProxyProblem::Distrusted { reason };
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| distrusted(error.to_string()))?;
    let authorities = rustls_native_certs::load_native_certs().certs;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| distrusted(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    connected.map_err(|error| match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => distrusted(why.to_string()),
        Some(_) => ProxyProblem::Unintelligible,
        None => unreachable(error),
    })
}

/// CONNECT, and its answer's head. What has come behind that is the host's, and read first.
async fn tunnel(
    stream: impl Tunnel + 'static,
    login: Option<&ProxyLogin>,
    host: &str,
    port: u16,
) -> Result<Box<dyn Tunnel>, ProxyProblem> {
    let credentials = login.map_or_else(String::new, |ProxyLogin { user, password }| {
        format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
    });
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{credentials}\r\n");
    let mut stream = BufReader::new(stream);
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    stream.flush().await.map_err(unreachable)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let room = u64::try_from(HEAD_BYTES - head.len()).unwrap_or_default();
        let read = (&mut stream).take(room).read_until(b'\n', &mut head).await.map_err(unreachable)?;
        if read == 0 {
            return Err(ProxyProblem::Unintelligible);
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    answer.parse(&head).map_err(|_| ProxyProblem::Unintelligible)?;
    match answer.code {
        Some(200..=299) => Ok(Box::new(stream)),
        Some(407) => Err(ProxyProblem::Credentials),
        Some(code) => {
            Err(ProxyProblem::Refused { host: host.to_owned(), reason: format!("it answers {code}") })
        }
        None => Err(ProxyProblem::Unintelligible),
    }
}

async fn socks(
    socket: TcpStream,
    login: Option<&ProxyLogin>,
    host: &str,
    port: u16,
) -> Result<Box<dyn Tunnel>, ProxyProblem> {
    use tokio_socks::Error;
    let target = (bare(host), port);
    let connected = match login {
        Some(ProxyLogin { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await
        }
        None => Socks5Stream::connect_with_socket(socket, target).await,
    };
    match connected {
        Ok(stream) => Ok(Box::new(stream)),
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ProxyProblem::Unintelligible)
        }
        Err(Error::Io(error)) => Err(unreachable(error)),
        Err(
            Error::PasswordAuthFailure(_)
            | Error::NoAcceptableAuthMethods
            | Error::AuthorizationRequired
            | Error::InvalidAuthValues(_),
        ) => Err(ProxyProblem::Credentials),
        Err(
            error @ (Error::GeneralSocksServerFailure
            | Error::ConnectionNotAllowedByRuleset
            | Error::NetworkUnreachable
            | Error::HostUnreachable
            | Error::ConnectionRefused
            | Error::TtlExpired),
        ) => Err(ProxyProblem::Refused { host: host.to_owned(), reason: error.to_string() }),
        Err(_) => Err(ProxyProblem::Unintelligible),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A proxy that answers each of what it is told with the next of these, whatever that is; and all that it was told.
    async fn told(scheme: &str, answers: &[&[u8]]) -> (Result<Vec<u8>, ProxyProblem>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("{scheme}://asha:s%40same@{}", listener.local_addr().unwrap());
        let answers: Vec<_> = answers.iter().map(|answer| answer.to_vec()).collect();
        let proxying = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut all, mut part) = (Vec::new(), [0; 1024]);
            for answer in answers {
                let read = socket.read(&mut part).await.unwrap();
                all.extend_from_slice(&part[..read]);
                socket.write_all(&answer).await.unwrap();
            }
            String::from_utf8_lossy(&all).into_owned()
        });
        let connected = connect(&proxy.parse().unwrap(), "web.whatsapp.com", 443).await;
        let heard = async |mut tunnel: Box<dyn Tunnel>| {
            let mut heard = Vec::new();
            tunnel.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let heard = match connected {
            Ok(tunnel) => Ok(heard(tunnel).await),
            Err(problem) => Err(problem),
        };
        (heard, proxying.await.unwrap())
    }

    #[tokio::test]
    async fn a_proxy_is_asked_with_its_credentials_and_what_it_brings_at_once_is_not_lost() {
        let (heard, asked) =
            told("http", &[b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhello"]).await;
        assert_eq!(heard.unwrap(), b"hello");
        assert!(asked.starts_with("CONNECT web.whatsapp.com:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nProxy-Authorization: Basic YXNoYTpzQHNhbWU=\r\n"), "{asked}");
        let succeeded = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0, b'h', b'i'];
        let (heard, asked) = told("socks5", &[&[5, 2], &[1, 0], &succeeded]).await;
        assert_eq!(heard.unwrap(), b"hi");
        assert!(
            asked.contains("\u{4}asha\u{6}s@same") && asked.contains("web.whatsapp.com"),
            "by name: {asked}"
        );
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_told_apart_and_never_in_the_proxys_own_words() {
        let refused =
            |reason: &str| ProxyProblem::Refused { host: "web.whatsapp.com".into(), reason: reason.into() };
        for (scheme, answers, problem) in [
            ("http", vec![&b"HTTP/1.1 407 no\r\n\r\n"[..]], ProxyProblem::Credentials),
            ("http", vec![b"HTTP/1.1 403 <script>\r\n\r\n"], refused("it answers 403")),
            ("http", vec![b"SSH-2.0-OpenSSH\r\n\r\n"], ProxyProblem::Unintelligible),
            ("http", vec![b"HTTP/1.1 200"], ProxyProblem::Unintelligible),
            ("http", vec![&[b'x'; 9_000]], ProxyProblem::Unintelligible),
            ("https", vec![b"HTTP/1.1 400 Bad Request\r\n\r\n"], ProxyProblem::Unintelligible),
            ("socks5", vec![&[5, 0xff]], ProxyProblem::Credentials),
            ("socks5", vec![&[5, 2], &[1, 1]], ProxyProblem::Credentials),
            ("socks5", vec![b"HTTP/1.1 400 Bad Request\r\n\r\n"], ProxyProblem::Unintelligible),
        ] {
            let (heard, _) = told(scheme, &answers).await;
            assert_eq!(heard.unwrap_err(), problem, "{scheme} {answers:?}");
        }
    }

    #[tokio::test]
    async fn one_that_is_not_there_and_one_that_swallows_are_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy: Proxy = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let silent = connect(&proxy, "web.whatsapp.com", 443).await.err();
        assert_eq!(silent, Some(ProxyProblem::Silent { limit: CONNECTED_WITHIN }));
        drop(listener);
        let gone = connect(&proxy, "web.whatsapp.com", 443).await.err();
        assert!(matches!(gone, Some(ProxyProblem::Unreachable { .. })), "{gone:?}");
    }
}
