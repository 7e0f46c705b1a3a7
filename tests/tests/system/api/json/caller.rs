//! A caller of the API in JSON.

use roost_devcluster::loopback_client;
use serde_json::Value;

use crate::api::harness::{Api, SOON};

/// With a token; none when it is empty.
pub struct Http {
    client: reqwest::Client,
    base: String,
    token: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    text: String,
}

impl Http {
    pub fn of(api: &Api, token: &str) -> Self {
        let addr = api.coordinator.http_addr().expect("an address");
        let client = loopback_client(SOON).expect("a client");
        Self { client, base: format!("http://{addr}"), token: token.to_owned() }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.bare("GET", target).await
    }

    pub async fn delete(&self, target: &str) -> Answer {
        self.bare("DELETE", target).await
    }

    pub async fn post(&self, target: &str, body: Value) -> Answer {
        self.raw("POST", target, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub async fn patch(&self, target: &str, body: Value) -> Answer {
        self.raw("PATCH", target, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Without a body.
    pub async fn bare(&self, method: &str, target: &str) -> Answer {
        self.raw(method, target, &[], "").await
    }

    pub async fn raw(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            self.client.request(method.parse().expect("a method"), format!("{}{target}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request
            .body(body.to_owned())
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {target}: {error:?}"));
        let headers = answer.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), value.to_str().expect("ASCII").to_owned()))
            .collect();
        Answer { status: answer.status().as_u16(), headers, text: answer.text().await.expect("a body") }
    }

    /// The status, where there is an answer.
    pub async fn try_get(&self, target: &str) -> Option<u16> {
        let request = self.client.get(format!("{}{target}", self.base));
        request.bearer_auth(&self.token).send().await.ok().map(|answer| answer.status().as_u16())
    }

    pub async fn events(&self, target: &str) -> Events {
        let request = self.client.get(format!("{}{target}", self.base)).bearer_auth(&self.token);
        let request = request.timeout(SOON * 10);
        let answer = request.send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"] == "text/event-stream"),
            (200, true)
        );
        Events { answer, read: String::new() }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body of an answer that went well.
    pub fn ok(self) -> Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{self:?}");
        serde_json::from_str(&self.text).expect("JSON")
    }

    /// That of one that did not.
    pub fn problem(self, status: u16) -> Value {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, Some("application/problem+json")),
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.text).expect("JSON");
        assert_eq!(problem["status"], status, "{problem}");
        for name in ["type", "title", "detail", "code", "reason"] {
            assert!(
                problem[name].as_str().is_some_and(|said| !said.is_empty() && !said.contains('\n')),
                "{problem}"
            );
        }
        problem
    }
}

/// A stream of events, read as it comes.
pub struct Events {
    answer: reqwest::Response,
    read: String,
}

impl Events {
    /// The name, if it has one, and the data of the next event; comments are passed over.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                if let Some(data) = field("data") {
                    return (
                        field("event").unwrap_or_default().to_owned(),
                        serde_json::from_str(data).expect("JSON"),
                    );
                }
                continue;
            }
            let chunk = self.chunk().await.expect("the stream goes on");
            self.read.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    pub async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (_, told) = self.event().await;
            if fits(&told) {
                return told;
            }
        }
    }

    pub async fn until_named(&mut self, name: &str) -> Value {
        loop {
            let (named, told) = self.event().await;
            if named == name {
                return told;
            }
        }
    }

    pub async fn ends(&mut self) {
        let rest = self.chunk().await;
        assert!(rest.is_none() && self.read.is_empty(), "{rest:?} {}", self.read);
    }

    /// None at the end of the answer.
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let chunk = tokio::time::timeout(SOON, self.answer.chunk()).await.expect("an event in time");
        chunk.expect("the answer is whole").map(|chunk| chunk.to_vec())
    }
}
