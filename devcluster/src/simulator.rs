//! The phones' side: a typed client of the simulator's control API.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    error::{DevError, Result},
    loopback::loopback_client,
};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A cheap clone.
#[derive(Debug, Clone)]
pub struct Simulator {
    url: String,
    http: reqwest::Client,
}

/// A message that the server received from a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// Counts the phone's messages from 1.
    pub index: u64,
    /// The chat, as `255700000001@c.us`.
    pub to: String,
    pub body: String,
    /// WhatsApp's id.
    pub id: String,
    /// Milliseconds since the epoch, by the simulator's clock: when it arrived.
    pub at_ms: u64,
    /// The connection and the life of the page that sent it first.
    pub connection: u64,
    pub life: String,
    /// Each further send of the same id; the phone shows the message once.
    pub resends: Vec<Resend>,
}

/// One further send of a message; a life is one load of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    pub at_ms: u64,
    pub connection: u64,
    pub life: String,
    pub cause: SendCause,
    pub delivered_before: bool,
    pub sent_by_life: bool,
    pub acknowledged_before: bool,
    /// When the same life was last told that the server has it.
    pub acknowledged_to_life_at_ms: Option<u64>,
}

/// Why a page sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendCause {
    /// Whoever drives it asked it to.
    Asked,
    /// The page itself: it had no acknowledgement.
    Unsent,
    /// The recipient could not decrypt the send before.
    Retry,
}

/// Every connection that pages have held, and where two of one phone were live at once (invariant I1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    pub connections: Vec<Connection>,
    pub overlaps: Vec<Overlap>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    pub phone: String,
    pub device: String,
    pub id: u64,
    pub opened_at_ms: u64,
    /// None while it is live.
    pub closed_at_ms: Option<u64>,
    /// By how many messages the page's state was behind the server's when it connected.
    pub regressed_by: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    pub phone: String,
    pub older: u64,
    pub newer: u64,
    pub from_ms: u64,
    pub until_ms: Option<u64>,
}

/// What came of holding a phone before a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    Linked,
    /// The code had been replaced already; the next one is on its way.
    TooLate,
}

impl Simulator {
    /// `url` as in dev.json. Phones are given as `+255700000001` or `255700000001`.
    pub fn new(url: &str) -> Result<Self> {
        let http = loopback_client(ANSWER_WITHIN)
            .map_err(|source| DevError::SimulatorGone { call: "client".into(), source })?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn scan(&self, code: &str, phone: &str, pushname: &str) -> Result<Scan> {
        let request = self
            .http
            .post(self.at("scan"))
            .json(&json!({"code": code, "phone": phone, "pushname": pushname}));
        let (status, answer) = ask("scan", request).await?;
        match status {
            reqwest::StatusCode::NOT_FOUND | reqwest::StatusCode::CONFLICT => Ok(Scan::TooLate),
            _ => accepted("scan", status, answer).map(|_| Scan::Linked),
        }
    }

    /// The phone's owner types the code that its page shows.
    pub async fn link(&self, code: &str, phone: &str, pushname: &str) -> Result<()> {
        self.post("link", &json!({"code": code, "phone": phone, "pushname": pushname})).await.map(drop)
    }

    /// Someone (`from`) writes to the business (`phone`). The id of the message.
    pub async fn message(&self, phone: &str, from: &str, body: &str) -> Result<String> {
        self.deliver(json!({"phone": phone, "from": from, "body": body})).await
    }

    /// The same with everything that the call takes: `chat` for groups and status, `id` to choose the message's.
    pub async fn deliver(&self, message: Value) -> Result<String> {
        let answer = self.post("message", &message).await?;
        Ok(answer["id"].as_str().unwrap_or_default().to_owned())
    }

    /// The owner unlinks the device on the phone.
    pub async fn logout(&self, phone: &str) -> Result<()> {
        self.post("logout", &json!({"phone": phone})).await.map(drop)
    }

    /// Cuts the connections of a phone, or of all, and turns them away for a while.
    pub async fn cut(&self, phone: Option<&str>, for_: Duration) -> Result<()> {
        let mut request = json!({"for_ms": for_.as_millis() as u64});
        if let Some(phone) = phone {
            request["phone"] = phone.into();
        }
        self.post("drop", &request).await.map(drop)
    }

    /// The session was opened elsewhere.
    pub async fn conflict(&self, phone: &str) -> Result<()> {
        self.post("conflict", &json!({"phone": phone})).await.map(drop)
    }

    /// The page is told that it is too old.
    pub async fn outdated(&self, phone: &str) -> Result<()> {
        self.post("outdated", &json!({"phone": phone})).await.map(drop)
    }

    /// The page stays connected but goes deaf.
    pub async fn hang(&self, phone: &str) -> Result<()> {
        self.post("hang", &json!({"phone": phone})).await.map(drop)
    }

    /// The page loads itself anew, at once and so many times in all.
    pub async fn reload(&self, phone: &str, times: u64) -> Result<()> {
        self.post("reload", &json!({"phone": phone, "times": times})).await.map(drop)
    }

    /// Changes how hard the simulator is on a phone's page, or on all, by the names of its README.
    pub async fn harden(&self, phone: Option<&str>, mut settings: Value) -> Result<()> {
        if let Some(phone) = phone {
            settings["phone"] = phone.into();
        }
        self.post("hardness", &settings).await.map(drop)
    }

    /// What the business has sent after the message with the index `after` (0 for all), oldest first.
    pub async fn sent(&self, phone: &str, after: u64) -> Result<Vec<SentMessage>> {
        let phone = phone.trim_start_matches('+');
        self.get(&format!("sent?phone={phone}&after={after}")).await
    }

    pub async fn connections(&self) -> Result<Connections> {
        self.get("connections").await
    }

    fn at(&self, call: &str) -> String {
        format!("{}/control/{call}", self.url)
    }

    async fn post(&self, call: &str, request: &Value) -> Result<Value> {
        let (status, answer) = ask(call, self.http.post(self.at(call)).json(request)).await?;
        accepted(call, status, answer)
    }

    async fn get<T: DeserializeOwned>(&self, call: &str) -> Result<T> {
        let (status, answer) = ask(call, self.http.get(self.at(call))).await?;
        let answer = accepted(call, status, answer)?;
        let unreadable =
            |error: serde_json::Error| DevError::Simulator { call: call.into(), reason: error.to_string() };
        serde_json::from_value(answer).map_err(unreadable)
    }
}

async fn ask(call: &str, request: reqwest::RequestBuilder) -> Result<(reqwest::StatusCode, Value)> {
    let gone = |source| DevError::SimulatorGone { call: call.to_owned(), source };
    let answer = request.send().await.map_err(gone)?;
    Ok((answer.status(), answer.json().await.map_err(gone)?))
}

fn accepted(call: &str, status: reqwest::StatusCode, answer: Value) -> Result<Value> {
    if status.is_success() {
        return Ok(answer);
    }
    let reason = answer["error"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    Err(DevError::Simulator { call: call.to_owned(), reason })
}
