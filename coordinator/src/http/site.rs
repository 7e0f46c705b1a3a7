//! What stands on the listener: the API beneath /v1, the paths of the first system, and the portal everywhere else.

use std::net::{IpAddr, Ipv4Addr};

use axum::{Router, extract::ConnectInfo};
use bytes::Bytes;
use http::{Request, Response};
use tonic::{body::Body, transport::server::TcpConnectInfo};
use tower::ServiceExt;

use super::{json::JsonApi, peer::Peer, proxies::TrustedProxies};
use crate::legacy;

pub struct Site {
    api: JsonApi,
    legacy: Option<Router>,
    /// Where one is served.
    portal: Option<Router>,
    proxies: TrustedProxies,
}

impl Site {
    pub fn new(
        api: JsonApi,
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
        let Some(pages) = legacy.or(portal) else { return self.api.answer(request, caller).await };
        let from = caller.remote_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |addr| addr.ip());
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        let Ok(answer) = pages.clone().oneshot(request.map(axum::body::Body::new)).await;
        answer.map(Body::new)
    }
}
