//! A browser that is signed in to the portal, or is not yet: cookies are kept, forms say from where they are sent, nothing is followed.

use roost_proto::v1::{self, member_service_client::MemberServiceClient};

use crate::api::harness::{Api, SOON, TOKEN};

pub const PASSWORD: &str = "samaki kavu soko";

pub struct Browser {
    client: reqwest::Client,
    origin: String,
    pub cookie: Option<String>,
    /// Of its way through a provider of OpenID Connect.
    pub away: Option<String>,
}

#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

/// The link by which somebody comes in.
pub async fn invite(api: &Api, tenant: &str, email: &str, role: v1::Role) -> String {
    let (tenant_id, email) = (tenant.to_owned(), email.to_owned());
    let request = v1::InviteMemberRequest { tenant_id, email, role: role.into() };
    members(api).invite_member(request).await.expect("an invitation").into_inner().url
}

pub fn members(api: &Api) -> MemberServiceClient<crate::api::harness::Authed> {
    MemberServiceClient::new(api.authed(TOKEN))
}

/// Of somebody who has come in by an invitation.
pub async fn signed_in(api: &Api, tenant: &str, email: &str, role: v1::Role) -> Browser {
    let link = invite(api, tenant, email, role).await;
    let mut browser = Browser::of(api);
    let answer = browser.post(&link, &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!((answer.status, answer.location()), (303, Some("/")), "{answer:?}");
    browser
}

impl Browser {
    pub fn of(api: &Api) -> Self {
        let client =
            reqwest::Client::builder().no_proxy().timeout(SOON).redirect(reqwest::redirect::Policy::none());
        let addr = api.coordinator.http_addr().expect("an address");
        let (client, origin) = (client.build().expect("a client"), format!("http://{addr}"));
        Self { client, origin, cookie: None, away: None }
    }

    /// A path of the portal, or a link to it.
    pub async fn get(&mut self, target: &str) -> Page {
        self.send("GET", target, &[], String::new()).await
    }

    /// A link of a page that it has open.
    pub async fn click(&mut self, target: &str) -> Page {
        self.send("GET", target, &[("sec-fetch-site", "same-origin")], String::new()).await
    }

    /// A form of the page that it has open.
    pub async fn post(&mut self, target: &str, form: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.send("POST", target, &headers, body).await
    }

    pub async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: String) -> Page {
        let mut request = self.request(method, target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.expect("an answer");
        self.keep_cookie(&answer);
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Page { status, headers, text: answer.text().await.expect("a body") }
    }

    /// The events of a business, for as long as somebody reads them.
    pub async fn events(&mut self, tenant: &str) -> Events {
        self.follow(&format!("/t/{tenant}/live")).await
    }

    /// Those of a path.
    pub async fn follow(&mut self, path: &str) -> Events {
        let request = self.request("GET", path).timeout(SOON * 10);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events { answer, read: String::new() }
    }

    fn request(&self, method: &str, target: &str) -> reqwest::RequestBuilder {
        let url =
            if target.starts_with('/') { format!("{}{target}", self.origin) } else { target.to_owned() };
        let request = self.client.request(method.parse().expect("a method"), url);
        let named = [("__Host-roost", &self.cookie), ("__Host-roost-oidc", &self.away)];
        let kept = named.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        match kept.collect::<Vec<_>>().join("; ") {
            none if none.is_empty() => request,
            cookies => request.header("cookie", cookies),
        }
    }

    fn keep_cookie(&mut self, answer: &reqwest::Response) {
        for set in answer.headers().get_all("set-cookie").iter().filter_map(|set| set.to_str().ok()) {
            let Some(((name, value), attributes)) =
                set.split_once("; ").and_then(|(pair, rest)| Some((pair.split_once('=')?, rest)))
            else {
                continue;
            };
            let kept = match name {
                "__Host-roost" => &mut self.cookie,
                "__Host-roost-oidc" => &mut self.away,
                _ => continue,
            };
            for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.contains(needed), "{set}");
            }
            *kept = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
    }
}

impl Page {
    pub fn location(&self) -> Option<&str> {
        self.headers.get("location").and_then(|value| value.to_str().ok())
    }

    /// What a form of this page has to bring back.
    pub fn form_token(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"form_token\" value=\"").expect("a form");
        rest.split('"').next().expect("a value").to_owned()
    }

    /// Which orders it offers.
    pub fn orders(&self) -> Vec<&str> {
        let named = self.text.split("name=\"order\" value=\"").skip(1);
        named.filter_map(|rest| rest.split('"').next()).collect()
    }
}

/// A stream of events, read as it comes.
pub struct Events {
    answer: reqwest::Response,
    read: String,
}

impl Events {
    /// The name and the data of the next event; None when there is none any more.
    pub async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let named = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    lines.collect::<Vec<_>>().join("\n")
                };
                let told = (named("event"), named("data"));
                self.read = rest.to_owned();
                if told.0.is_empty() {
                    continue;
                }
                return Some(told);
            }
            let chunk = tokio::time::timeout(SOON, self.answer.chunk()).await.expect("an event in time");
            let chunk = chunk.expect("the answer is whole")?;
            self.read.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    /// The next part of a page of the console that says this.
    pub async fn part(&mut self, says: &str) -> String {
        loop {
            let (name, part) = self.next().await.unwrap_or_else(|| panic!("a part that says {says}"));
            if name == "part" && part.contains(says) {
                return part;
            }
        }
    }

    /// The next card that says this.
    pub async fn until(&mut self, says: &str) -> String {
        loop {
            let (name, card) = self.next().await.unwrap_or_else(|| panic!("a card that says {says}"));
            if name == "status" && card.contains(says) {
                return card;
            }
        }
    }
}
