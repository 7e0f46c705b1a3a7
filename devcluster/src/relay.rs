//! A stretch of network that a test can spoil: a TCP relay between one process and one server.
//!
//! Bytes that are held are not lost, as in a real partition TCP does not lose them: they arrive late, when the network
//! is whole again, even after the sender has given up waiting. That is the harder case for whoever reads them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::error::{DevError, Result};

const CHUNK: usize = 16 * 1024;
/// From a failed accept, which descriptors may have run out for, to the next.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Road {
    Open,
    /// Connections are cut, and new ones cut at once: a server that is gone.
    Cut,
    /// Nothing arrives in the directions that are true: a partition, of one way or of both.
    Held {
        to_server: bool,
        to_client: bool,
    },
    /// Everything arrives, this much later in each direction.
    Slow(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Listens on a loopback port of its own. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    road: watch::Sender<Road>,
    _connections: JoinSet<()>,
}

impl Relay {
    /// Must be called within a tokio runtime.
    pub async fn to(server_port: u16) -> Result<Self> {
        let failed = |source| DevError::Spawn { name: "a relay".into(), source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (road, _) = watch::channel(Road::Open);
        let mut connections = JoinSet::new();
        connections.spawn(serve(listener, (Ipv4Addr::LOCALHOST, server_port).into(), road.clone()));
        Ok(Self { port, road, _connections: connections })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, road: Road) {
        self.road.send_replace(road);
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, road: watch::Sender<Road>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(carry(client, server, road.subscribe()))),
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN_AFTER).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, road: watch::Receiver<Road>) {
    let mut cuts = road.clone();
    let cut = async {
        // An error means that the relay is gone.
        cuts.wait_for(|road| *road == Road::Cut).await.ok();
    };
    tokio::select! {
        biased;
        () = cut => {}
        // How a connection ends is told to both sides by its closing.
        _ = through(&mut client, server, road) => {}
    }
}

async fn through(client: &mut TcpStream, server: SocketAddr, road: watch::Receiver<Road>) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pump(from_client, to_server, Way::ToServer, road.clone());
    let back = pump(from_server, to_client, Way::ToClient, road);
    tokio::try_join!(there, back).map(drop)
}

/// Copies until the sender ends, and then ends the receiver's reading.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    mut road: watch::Receiver<Road>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await?;
        pass(&mut road, way).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..count]).await?;
    }
}

/// Returns when the road lets something through that way.
async fn pass(road: &mut watch::Receiver<Road>, way: Way) -> io::Result<()> {
    let now = *road.borrow();
    if let Road::Slow(by) = now {
        tokio::time::sleep(by).await;
    }
    let open = |road: &Road| match road {
        Road::Open | Road::Slow(_) => true,
        Road::Cut => false,
        Road::Held { to_server, to_client } => match way {
            Way::ToServer => !to_server,
            Way::ToClient => !to_client,
        },
    };
    road.wait_for(open).await.map(drop).map_err(|_| io::ErrorKind::BrokenPipe.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wait_until;

    const SOON: Duration = Duration::from_secs(5);
    /// Long enough for a loopback connection to deliver what it would deliver.
    const A_WHILE: Duration = Duration::from_millis(200);

    /// A server that echoes, and a relay to it.
    async fn echo() -> (Relay, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::to(listener.local_addr().unwrap().port()).await.unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        (relay, server)
    }

    async fn connect(relay: &Relay) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port())).await.unwrap()
    }

    async fn read(client: &mut TcpStream) -> io::Result<Vec<u8>> {
        let mut read = vec![0; 16];
        let count = client.read(&mut read).await?;
        Ok(read[..count].to_vec())
    }

    #[tokio::test]
    async fn what_is_held_in_either_direction_arrives_when_the_road_is_open_again() {
        let (relay, _server) = echo().await;
        let mut client = connect(&relay).await;
        client.write_all(b"a").await.unwrap();
        assert_eq!(read(&mut client).await.unwrap(), b"a");
        for (to_server, to_client) in [(true, false), (false, true), (true, true)] {
            relay.set(Road::Held { to_server, to_client });
            client.write_all(b"b").await.unwrap();
            let early = tokio::time::timeout(A_WHILE, read(&mut client)).await;
            assert!(early.is_err(), "{early:?}");
            relay.set(Road::Open);
            let late = tokio::time::timeout(SOON, read(&mut client)).await.unwrap();
            assert_eq!(late.unwrap(), b"b");
        }
    }

    #[tokio::test]
    async fn a_cut_road_ends_connections_and_lets_none_begin_until_it_is_open() {
        let (relay, _server) = echo().await;
        let mut client = connect(&relay).await;
        client.write_all(b"a").await.unwrap();
        read(&mut client).await.unwrap();
        relay.set(Road::Cut);
        assert!(matches!(read(&mut client).await, Ok(nothing) if nothing.is_empty()));
        let mut turned_away = connect(&relay).await;
        assert!(!matches!(read(&mut turned_away).await, Ok(something) if !something.is_empty()));
        relay.set(Road::Open);
        let passes = || async {
            let mut client = connect(&relay).await;
            client.write_all(b"c").await.is_ok() && read(&mut client).await.is_ok_and(|read| read == b"c")
        };
        wait_until("the road is open", SOON, passes).await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_road_delays_each_way() {
        let (relay, _server) = echo().await;
        let mut client = connect(&relay).await;
        relay.set(Road::Slow(A_WHILE));
        let begun = std::time::Instant::now();
        client.write_all(b"a").await.unwrap();
        assert_eq!(read(&mut client).await.unwrap(), b"a");
        assert!(begun.elapsed() >= A_WHILE * 2);
    }
}
