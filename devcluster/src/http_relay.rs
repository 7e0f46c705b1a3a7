//! A stretch of network before an HTTP server that a test can spoil, request by request. [`super::Relay`] knows connections alone.
//!
//! Each request has a connection of its own to the server and ends the client's: so a fault is of one request and of nothing else.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::error::{DevError, Result};

const HEAD_BYTES: u64 = 64 << 10;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpFault {
    /// The server is not asked, and nobody answers.
    Hang,
    /// The server does it, and nobody answers.
    LoseAnswer,
    /// The server is asked this much later, and answers as much later.
    Slow(Duration),
    /// The connection ends in the middle of the request's body, for the server too.
    CutRequest,
    /// The server does it, and the connection ends in the middle of its answer.
    CutAnswer,
    /// The server is not asked; the answer is this status with this code of S3's.
    Refuse(u16, &'static str),
    /// The server does it, and the answer is this.
    RefuseAfter(u16, &'static str),
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Counts them from 0.
    pub number: usize,
    pub method: String,
    /// With the query.
    pub path: String,
}

/// Listens on a loopback port of its own. Dropping it cuts every connection.
#[derive(Debug)]
pub struct HttpRelay {
    port: u16,
    shared: Arc<Shared>,
    _connections: JoinSet<()>,
}

type Choose = Box<dyn Fn(&HttpRequest) -> Option<HttpFault> + Send + Sync>;

struct Shared {
    server: SocketAddr,
    requests: Mutex<Vec<HttpRequest>>,
    choose: Mutex<Option<Choose>>,
}

impl HttpRelay {
    /// Must be called within a tokio runtime.
    pub async fn to(server_port: u16) -> Result<Self> {
        let failed = |source| DevError::Spawn { name: "a relay".into(), source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let server = (Ipv4Addr::LOCALHOST, server_port).into();
        let shared = Arc::new(Shared { server, requests: Mutex::default(), choose: Mutex::new(None) });
        let mut connections = JoinSet::new();
        connections.spawn(serve(listener, shared.clone()));
        Ok(Self { port, shared, _connections: connections })
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on each request has the fault that is chosen for it. Their numbers begin anew.
    pub fn set(&self, choose: impl Fn(&HttpRequest) -> Option<HttpFault> + Send + Sync + 'static) {
        self.take();
        *lock(&self.shared.choose) = Some(Box::new(choose));
    }

    /// From now on there are no faults.
    pub fn mend(&self) {
        *lock(&self.shared.choose) = None;
    }

    /// Those that came since the last time, whose numbers begin anew.
    pub fn take(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut *lock(&self.shared.requests))
    }
}

impl Shared {
    fn next(&self, head: &Head) -> Option<HttpFault> {
        let mut requests = lock(&self.requests);
        let (method, path) = (head.method.clone(), head.path.clone());
        let request = HttpRequest { number: requests.len(), method, path };
        requests.push(request.clone());
        drop(requests);
        lock(&self.choose).as_ref().and_then(|choose| choose(&request))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)
    }
}

/// A test that panics while it chooses says so itself.
fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                let shared = shared.clone();
                // How a connection ends is told to both sides by its closing.
                connections.spawn(async move { carry(client, &shared).await.ok() });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What stands before a body.
struct Head {
    method: String,
    path: String,
    lines: Vec<String>,
    body_bytes: u64,
}

async fn carry(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = BufReader::new(client);
    let Some(head) = read_head(&mut client).await? else { return Ok(()) };
    match shared.next(&head) {
        None => {
            let answer = ask(&mut client, &head, shared.server).await?;
            client.write_all(&answer).await
        }
        Some(HttpFault::Hang) => until_gone(&mut client).await,
        Some(HttpFault::LoseAnswer) => {
            ask(&mut client, &head, shared.server).await?;
            until_gone(&mut client).await
        }
        Some(HttpFault::Slow(by)) => {
            tokio::time::sleep(by).await;
            let answer = ask(&mut client, &head, shared.server).await?;
            tokio::time::sleep(by).await;
            client.write_all(&answer).await
        }
        Some(HttpFault::CutRequest) => {
            let mut server = connect(&head, shared.server).await?;
            let mut half = (&mut client).take(head.body_bytes / 2);
            tokio::io::copy(&mut half, &mut server).await.map(drop)
        }
        Some(HttpFault::CutAnswer) => {
            let answer = ask(&mut client, &head, shared.server).await?;
            client.write_all(&answer[..answer.len() / 2]).await
        }
        Some(HttpFault::Refuse(status, code)) => {
            tokio::io::copy(&mut (&mut client).take(head.body_bytes), &mut tokio::io::sink()).await?;
            client.write_all(&refusal(status, code)).await
        }
        Some(HttpFault::RefuseAfter(status, code)) => {
            ask(&mut client, &head, shared.server).await?;
            client.write_all(&refusal(status, code)).await
        }
    }
}

/// None when the client ends the connection instead.
async fn read_head(client: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
    let mut limited = client.take(HEAD_BYTES);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let body_bytes = header(&lines, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    Ok(Some(Head { method, path, lines, body_bytes }))
}

fn header<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let fields = lines.iter().filter_map(|line| line.split_once(':'));
    fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

/// All of the server's answer.
async fn ask(client: &mut BufReader<TcpStream>, head: &Head, server: SocketAddr) -> io::Result<Vec<u8>> {
    let mut server = connect(head, server).await?;
    tokio::io::copy(&mut client.take(head.body_bytes), &mut server).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Has sent the head, by which the server ends the connection after its answer.
async fn connect(head: &Head, server: SocketAddr) -> io::Result<TcpStream> {
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let kept = head.lines.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut text: String = kept.flat_map(|line| [line.as_str(), "\r\n"]).collect();
    text.push_str("connection: close\r\n\r\n");
    server.write_all(text.as_bytes()).await?;
    Ok(server)
}

async fn until_gone(client: &mut BufReader<TcpStream>) -> io::Result<()> {
    tokio::io::copy(client, &mut tokio::io::sink()).await.map(drop)
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{code}</Code><Message>as the test says</Message></Error>");
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Refused\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    (head + &body).into_bytes()
}
