//! What stands on the listener: the API beneath /v1, the paths of the first system, and the portal everywhere else.

use std::net::{IpAddr, Ipv4Addr};

use axum::{Router, extract::ConnectInfo};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tonic::{body::Body, transport::server::TcpConnectInfo};
use tower::ServiceExt;

use super::{json::JsonApi, peer::Peer, proxies::TrustedProxies};
use crate::legacy;

pub struct Site {
    /// Each where it is served.
    api: Option<JsonApi>,
    legacy: Option<Router>,
    portal: Option<Router>,
    proxies: TrustedProxies,
}

impl Site {
    pub fn new(
        api: Option<JsonApi>,
        legacy: Option<Router>,
        portal: Option<Router>,
        proxies: TrustedProxies,
    ) -> Self {
        Self { api, legacy, portal, proxies }
    }

    pub async fn answer<B>(&self, mut request: Request<B>, caller: TcpConnectInfo) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let caller = self.proxies.origin(caller, request.headers());
        let is_the_apis = |path: &str| path == "/v1" || path.starts_with("/v1/");
        let path = request.uri().path();
        let legacy = self.legacy.as_ref().filter(|_| legacy::has(path));
        let portal = self.portal.as_ref().filter(|_| !is_the_apis(path));
        let Some(pages) = legacy.or(portal) else {
            return match &self.api {
                Some(api) => api.answer(request, caller).await,
                None => not_served(),
            };
        };
        let from = caller.remote_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip());
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        let Ok(answer) = pages.clone().oneshot(request.map(axum::body::Body::new)).await;
        answer.map(Body::new)
    }
}

fn not_served() -> Response<Body> {
    let mut answer =
        Response::new(Body::new("this coordinator serves no admin API: another one does\n".to_owned()));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}
