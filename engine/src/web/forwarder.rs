//! What stands between a browser and its tenant's proxy: a port on loopback to which the browser speaks SOCKS 5 without a
//! password, and which goes on through the proxy.
//!
//! Chromium knows no password for a SOCKS proxy, and asks for that of an HTTP proxy in a way in which a worker's or a websocket's
//! connection is easily forgotten; so it is given none, and none is on its command line. The forwarder reaches for it what `hosts`
//! permits and nothing else: other than behind a proxy of the environment, it is not the proxy that has to say so. Whoever
//! else is on the machine and finds the port gets as far.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use roost_model::{Proxy, causes};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::hosts::Site;
use super::upstream;

/// Chromium has 32 to one proxy at most.
const CONNECTIONS: usize = 64;
/// For the browser to say where to.
const ASKED_WITHIN: Duration = Duration::from_secs(10);

const VERSION: u8 = 5;
const NO_PASSWORD: u8 = 0;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
const SUCCEEDED: u8 = 0;
const NOT_PERMITTED: u8 = 2;
const UNREACHABLE: u8 = 4;
const NOT_SUPPORTED: u8 = 7;

/// Ends, with all its connections, when it is dropped.
pub(super) struct Forwarder {
    port: u16,
    _accepting: AbortOnDropHandle<()>,
}

impl Forwarder {
    pub(super) async fn open(proxy: Proxy, site: Site) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(accept(listener, Arc::new((proxy, site))));
        Ok(Self { port, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Where it listens, as a browser is told.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }
}

async fn accept(listener: TcpListener, way: Arc<(Proxy, Site)>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((browser, _)) => {
                    let way = way.clone();
                    connections.spawn(async move {
                        if let Err(error) = forward(browser, &way.0, &way.1).await {
                            debug!(error = %causes(&error), "a connection through a tenant's proxy has ended");
                        }
                    });
                }
                // Files are short, for one; some go again soon.
                Err(error) => {
                    debug!(error = %causes(&error), "a connection of a browser is not taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn forward(mut browser: TcpStream, proxy: &Proxy, site: &Site) -> io::Result<()> {
    browser.set_nodelay(true)?;
    let asked = timeout(ASKED_WITHIN, asked(&mut browser)).await;
    let Some((host, port)) = asked.map_err(|_| io::ErrorKind::TimedOut)?? else {
        return answer(&mut browser, NOT_SUPPORTED).await;
    };
    if !site.has(&host, port) {
        return answer(&mut browser, NOT_PERMITTED).await;
    }
    match upstream::connect(proxy, &host, port).await {
        Ok(mut tunnel) => {
            answer(&mut browser, SUCCEEDED).await?;
            copy_bidirectional(&mut browser, &mut tunnel).await.map(drop)
        }
        Err(problem) => {
            debug!(proxy = %proxy.place, %problem, "a tenant's proxy does not connect");
            answer(&mut browser, UNREACHABLE).await
        }
    }
}

/// Host and port that the browser asks for; none where it asks for something else than a connection.
async fn asked(browser: &mut TcpStream) -> io::Result<Option<(String, u16)>> {
    let [version, methods] = read(browser).await?;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    browser.read_exact(&mut vec![0; methods.into()]).await?;
    browser.write_all(&[VERSION, NO_PASSWORD]).await?;
    let [_, command, _, kind] = read(browser).await?;
    let host = match kind {
        IPV4 => Ipv4Addr::from(read::<4>(browser).await?).to_string(),
        IPV6 => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(browser).await?)),
        NAME => {
            let [length] = read(browser).await?;
            let mut name = vec![0; length.into()];
            browser.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let port = u16::from_be_bytes(read(browser).await?);
    Ok((command == CONNECT).then_some((host, port)))
}

async fn read<const N: usize>(browser: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    browser.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Of the address that it is bound to nobody makes use.
async fn answer(browser: &mut TcpStream, reply: u8) -> io::Result<()> {
    browser.write_all(&[VERSION, reply, 0, IPV4, 0, 0, 0, 0, 0, 0]).await
}
