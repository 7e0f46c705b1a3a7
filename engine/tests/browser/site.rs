//! A site with one page, whose script tells the test what it has found.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::Message},
    http::StatusCode,
    response::{Html, Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::stage::DEADLINE;

/// Before the script: how it tells.
const TELL: &str = "const tell = (found) => fetch('/tell', { method: 'POST', body: JSON.stringify(found) });";

/// A worker of any kind, which says who it is to whoever asks with a port.
const WORKER: &str = "
    function identity() {
      const { timeZone: zone } = new Intl.DateTimeFormat().resolvedOptions();
      const brands = navigator.userAgentData.brands.map(({ brand }) => brand);
      return { agent: navigator.userAgent, brands, language: navigator.language, zone };
    }
    const answer = ({ ports: [port] }) => port.postMessage(identity());
    self.onmessage = answer;
    self.onconnect = ({ ports: [port] }) => { port.onmessage = answer; };";

/// A service worker that answers for documents by itself.
const ANSWERING_WORKER: &str = "
    const made = () => new Response(MADE, { headers: { 'content-type': 'text/html' } });
    self.oninstall = () => self.skipWaiting();
    self.onactivate = (event) => event.waitUntil(clients.claim());
    self.onfetch = (event) => { if (event.request.mode === 'navigate') event.respondWith(made()); };";

/// A document with this script.
pub fn document(script: &str) -> String {
    format!("<!doctype html><body><script>{TELL}\n{script}</script></body>")
}

pub struct Site {
    pub address: SocketAddr,
    told: mpsc::Receiver<Value>,
}

impl Site {
    /// Serves the script as a page of this address, and at `/other`, with `/frame` for pages within it, `/worker.js` for workers,
    /// `/answering.js` for one that answers for documents, and `/echo`, a websocket.
    pub async fn serve(address: &str, script: &str) -> Self {
        Self::answer(address, StatusCode::OK, script).await
    }

    /// The same with another status.
    pub async fn answer(address: &str, status: StatusCode, script: &str) -> Self {
        let (tell, told) = mpsc::channel(64);
        let page = document(script);
        let page = get(move || async move { (status, Html(page.clone())) });
        let made = ANSWERING_WORKER.replace("MADE", &json!(document("tell('the worker');")).to_string());
        let app = Router::new()
            .route("/", page.clone())
            .route("/other", page)
            .route("/frame", get(|| async { Html("<!doctype html><body></body>") }))
            .route("/worker.js", get(|| async { ([("content-type", "text/javascript")], WORKER) }))
            .route(
                "/answering.js",
                get(move || async move { ([("content-type", "text/javascript")], made.clone()) }),
            )
            .route("/echo", get(echo))
            .route("/tell", post(take))
            .with_state(tell);
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, told }
    }

    /// Sends whoever comes elsewhere.
    pub async fn redirect(address: &str, to: &'static str) -> Self {
        let (_tell, told) = mpsc::channel(1);
        let app = Router::new().route("/", get(move || async move { Redirect::temporary(to) }));
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, told }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next thing that the page tells.
    pub async fn told(&mut self) -> Value {
        tokio::time::timeout(DEADLINE, self.told.recv()).await.expect("the page tells nothing").unwrap()
    }
}

async fn take(State(tell): State<mpsc::Sender<Value>>, body: String) {
    tell.send(serde_json::from_str(&body).unwrap()).await.unwrap();
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message @ Message::Text(_))) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}
