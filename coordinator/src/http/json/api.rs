//! The API itself: which call a request is for, to gRPC and back.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header, request::Parts};
use prost_reflect::{DescriptorError, DescriptorPool};
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};
use tower::ServiceExt;

use super::{
    answer::{answer, json_response},
    kind::UNKNOWN_PATH,
    openapi::document,
    path::Path,
    problem::Problem,
    request::{Asked, CallAsked, ReadJsonLayer},
    routes::{RouteError, Routes, Unmatched},
};
use crate::grpc::{Calls, InProcess};

/// Where the API describes itself.
const DESCRIPTION: &str = "/v1/openapi.json";
/// The call of gRPC that tells the same: who may ask that may ask this.
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

#[derive(Debug, thiserror::Error)]
pub enum JsonApiError {
    #[error("the API's own description is not readable")]
    Descriptors(#[from] DescriptorError),
    #[error("the API's paths are wrong")]
    Routes(#[from] RouteError),
}

/// Answers requests.
pub struct JsonApi {
    routes: Routes,
    calls: InProcess,
    description: Bytes,
}

impl JsonApi {
    pub fn new(calls: Calls) -> Result<Self, JsonApiError> {
        Self::over(calls.in_process(ReadJsonLayer))
    }

    pub fn over(calls: InProcess) -> Result<Self, JsonApiError> {
        let pool = DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET)?;
        let routes = Routes::new(&pool)?;
        let description = document(&routes, &pool).to_string().into();
        Ok(Self { routes, calls, description })
    }

    pub async fn answer<B>(&self, request: Request<B>, caller: TcpConnectInfo) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let mut response = match self.asked(parts) {
            Ok((asked, uri, headers)) => {
                let mut call = Request::new(Body::new(body));
                *call.method_mut() = Method::POST;
                *call.uri_mut() = uri;
                *call.version_mut() = Version::HTTP_2;
                *call.headers_mut() = headers;
                call.extensions_mut().insert(caller);
                call.extensions_mut().insert(asked.clone());
                let Ok(response) = self.calls.clone().oneshot(call).await;
                self.told(&asked, response).await
            }
            Err(problem) => problem.response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    /// What is asked for, and where and with which headers gRPC asks for it.
    fn asked(&self, parts: Parts) -> Result<(Asked, Uri, HeaderMap), Problem> {
        let Parts { method, uri, headers, .. } = parts;
        let unknown = || {
            Problem::new(
                UNKNOWN_PATH,
                format!("the calls are beneath /v1, and {DESCRIPTION} has all of them"),
            )
        };
        let forwarded = call_headers(&headers);
        if uri.path() == DESCRIPTION {
            return match method {
                Method::GET => Ok((Asked::Description, Uri::from_static(REFLECTION), forwarded)),
                _ => Err(Problem::method_not_allowed(vec![Method::GET])),
            };
        }
        let path = Path::parse(uri.path()).map_err(|wrong| Problem::malformed(wrong.to_string()))?;
        let (route, values) = self.routes.find(&method, &path).map_err(|unmatched| match unmatched {
            Unmatched::Path => unknown(),
            Unmatched::Method { allowed } => Problem::method_not_allowed(allowed),
        })?;
        let (grpc_uri, query) = (route.grpc_uri.clone(), uri.query().unwrap_or_default().to_owned());
        let asked = Asked::Call(Arc::new(CallAsked { route, values, query, headers }));
        Ok((asked, grpc_uri, forwarded))
    }

    async fn told(&self, asked: &Asked, response: Response<Body>) -> Response<Body> {
        match (asked, Status::from_header_map(response.headers())) {
            (Asked::Call(call), _) => answer(&call.route, response).await,
            (Asked::Description, None) => json_response(self.description.clone()),
            (Asked::Description, Some(refused)) => Problem::of_call(&refused, str::to_owned).response(),
        }
    }
}

/// Of a caller's headers the token is all that a call takes. Cookies count for nothing.
fn call_headers(given: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(token) = given.get(header::AUTHORIZATION) {
        headers.insert(header::AUTHORIZATION, token.clone());
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use parking_lot::Mutex;
    use serde_json::Value;
    use tower::{service_fn, util::BoxCloneSyncService};

    use super::*;

    type Seen = Arc<Mutex<Vec<(String, HeaderMap, bool)>>>;

    /// The answer, and what gRPC was asked.
    async fn ask(
        method: &str,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> (Response<Body>, Seen) {
        let seen = Seen::default();
        let noting = seen.clone();
        let refuse = service_fn(move |request: Request<Body>| {
            let from = request.extensions().get::<TcpConnectInfo>().is_some();
            noting.lock().push((request.uri().to_string(), request.headers().clone(), from));
            async { Ok::<_, Infallible>(Status::unauthenticated("no").into_http()) }
        });
        let api = JsonApi::over(BoxCloneSyncService::new(refuse)).unwrap();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let caller = TcpConnectInfo { local_addr: None, remote_addr: Some("10.0.0.1:1".parse().unwrap()) };
        (api.answer(request.body(Body::empty()).unwrap(), caller).await, seen)
    }

    async fn problem(response: Response<Body>) -> Value {
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_call_goes_to_grpc_by_its_name_there_with_its_token_and_its_callers_address_and_nothing_else() {
        let given =
            [("authorization", "Bearer sesame"), ("cookie", "session=1"), ("x-forwarded-for", "1.2.3.4")];
        let (response, seen) = ask("GET", "/v1/tenants/asha", &given).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::WWW_AUTHENTICATE]),
            (401, &HeaderValue::from_static("Bearer"))
        );
        assert_eq!(problem(response).await["code"], "UNAUTHENTICATED");
        let (uri, headers, from) = seen.lock().pop().unwrap();
        assert_eq!((uri.as_str(), from), ("/roost.v1.TenantService/GetTenant", true));
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["authorization", "content-type", "te"]);
    }

    #[tokio::test]
    async fn the_description_takes_the_token_of_reflection() {
        let (response, seen) = ask("GET", DESCRIPTION, &[]).await;
        assert_eq!((response.status().as_u16(), seen.lock()[0].0.as_str()), (401, REFLECTION));
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_is_refused_and_asks_nobody() {
        for (method, target, status, reason) in [
            ("GET", "/", 404, "UNKNOWN_PATH"),
            ("GET", "/v1/tenantz", 404, "UNKNOWN_PATH"),
            ("GET", "/v1/tenants/", 404, "UNKNOWN_PATH"),
            ("PUT", "/v1/tenants/a", 405, "METHOD_NOT_ALLOWED"),
            ("OPTIONS", "/v1/tenants", 405, "METHOD_NOT_ALLOWED"),
            ("HEAD", "/v1/openapi.json", 405, "METHOD_NOT_ALLOWED"),
            ("GET", "/v1/tenants/a%2Fb", 400, "INVALID_ARGUMENT"),
            ("GET", "/v1/tenants/%2e%2e", 400, "INVALID_ARGUMENT"),
            ("GET", "/v1/tenants/a%00", 400, "INVALID_ARGUMENT"),
        ] {
            let (response, seen) = ask(method, target, &[]).await;
            assert_eq!(response.status().as_u16(), status, "{target}");
            assert_eq!(response.headers().contains_key(header::ALLOW), status == 405, "{target}");
            assert!(response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
            assert_eq!(problem(response).await["reason"], reason, "{target}");
            assert!(seen.lock().is_empty(), "{target}");
        }
    }
}
