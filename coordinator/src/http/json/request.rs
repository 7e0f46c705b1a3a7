//! A request in JSON becomes one of gRPC, when its token is known: the layer between who asks and what is asked.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use prost_reflect::DynamicMessage;
use roost_proto::error::{ApiError, ErrorCode, Violation};
use serde_json::{Map, Value as Json};
use tokio::time::timeout;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{
    kind::{REQUEST_TOO_SLOW, UNSUPPORTED_MEDIA_TYPE},
    masks,
    parameters::{put_path, put_query},
    problem::Problem,
    routes::{self, Route},
    unknown::unknown_fields,
};
use crate::grpc::{framed, max_request};

const JSON: &str = "application/json";
/// How long a body may take.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How much of a body that is too large is taken for the sake of an answer that arrives.
const THROWN_AWAY: usize = 8 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub enum Asked {
    Call(Arc<CallAsked>),
    /// The description of the API, which takes a token and nothing else.
    Description,
}

#[derive(Debug)]
pub struct CallAsked {
    pub route: Arc<Route>,
    /// Of the fields in its path.
    pub values: Vec<String>,
    pub query: String,
    pub headers: HeaderMap,
}

/// Puts [`ReadJson`] before a service.
#[derive(Debug, Clone)]
pub struct ReadJsonLayer;

impl<S> Layer<S> for ReadJsonLayer {
    type Service = ReadJson<S>;

    fn layer(&self, inner: S) -> ReadJson<S> {
        ReadJson { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct ReadJson<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for ReadJson<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let Some(Asked::Call(asked)) = request.extensions_mut().remove::<Asked>() else {
                return Ok(Response::new(Body::empty()));
            };
            let (parts, body) = request.into_parts();
            match message(&asked, body).await {
                Ok(message) => {
                    let body = Body::new(Full::new(framed(&message)));
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(problem) => {
                    // As a call that has failed, for what is around; as itself for whoever answers.
                    let mut refused = problem.status().into_http();
                    refused.extensions_mut().insert(problem);
                    Ok(refused)
                }
            }
        })
    }
}

async fn message(asked: &CallAsked, body: Body) -> Result<DynamicMessage, Problem> {
    let bytes = read(asked, body).await?;
    let mut object = object(asked, &bytes)?;
    let mut wrong = put_query(&mut object, &asked.route, &asked.query);
    wrong.extend(put_path(&mut object, &asked.route, &asked.values));
    wrong.extend(unknown_fields(&object, &asked.route));
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    typed(object, &asked.route)
}

async fn read(asked: &CallAsked, body: Body) -> Result<Bytes, Problem> {
    let most = max_request(asked.route.service());
    // Who asks first whether to send it has sent nothing yet.
    if asked.headers.contains_key(header::EXPECT)
        && declared(&asked.headers).is_some_and(|length| length > most)
    {
        return Err(too_large(most));
    }
    match timeout(READ_WITHIN, collected(body, most)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large(most)),
        Ok(Err(error)) => {
            Err(Problem::malformed(format!("the body ended before its end: {}", error.message())))
        }
        Err(_elapsed) => {
            let detail = format!("the body has not come within {} s; send it at once", READ_WITHIN.as_secs());
            Err(Problem::new(REQUEST_TOO_SLOW, detail))
        }
    }
}

fn declared(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body, or None for one that is too large. Some of what is too much is read and thrown away: a connection that is closed with
/// bytes unread is reset, and its caller may never see the answer.
async fn collected(mut body: Body, most: usize) -> Result<Option<Bytes>, Status> {
    let (mut read, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen += data.len();
        if seen > most.saturating_add(THROWN_AWAY) {
            return Ok(None);
        }
        if seen <= most {
            read.extend_from_slice(&data);
        }
    }
    Ok((seen <= most).then(|| read.freeze()))
}

fn too_large(most: usize) -> Problem {
    ApiError::new(
        ErrorCode::TooLarge,
        format!("the body is larger than the {most} bytes that this call takes"),
    )
    .into()
}

/// What is asked as far as the body says it.
fn object(asked: &CallAsked, bytes: &[u8]) -> Result<Map<String, Json>, Problem> {
    let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
    let given = match &asked.route.body {
        _ if is_empty => return Ok(Map::new()),
        routes::Body::None => return Err(Problem::malformed("this call takes no body; leave it out")),
        routes::Body::Whole | routes::Body::Field(_) => json(&asked.headers, bytes)?,
    };
    match (&asked.route.body, given) {
        (routes::Body::Field(field), given) => Ok(Map::from_iter([(field.json_name().to_owned(), given)])),
        (_, Json::Object(object)) => Ok(object),
        (_, _) => Err(Problem::malformed("the body is no JSON object; it takes {\"field\": value, ...}")),
    }
}

fn json(headers: &HeaderMap, bytes: &[u8]) -> Result<Json, Problem> {
    let unsupported = |detail: &str| Problem::new(UNSUPPORTED_MEDIA_TYPE, detail);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(JSON) {
        return Err(unsupported("the body is taken as JSON alone: send `content-type: application/json`"));
    }
    let identity = HeaderValue::from_static("identity");
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| *encoding != identity) {
        return Err(unsupported("the body is taken as it is and not compressed: send no content-encoding"));
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::malformed(format!("the body is no JSON: {error}")))
}

/// The request, of the types that its fields have.
fn typed(mut object: Map<String, Json>, route: &Route) -> Result<DynamicMessage, Problem> {
    let input = route.call.input();
    let masks = masks::take(&mut object, &input);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(Json::Object(object), &mut track);
    match DynamicMessage::deserialize(input, tracked) {
        Ok(mut message) => {
            masks::put(&mut message, masks);
            Ok(message)
        }
        Err(error) => {
            let field = route.as_sent(&track.path().to_string());
            Err(Problem::invalid(vec![Violation { field, description: error.to_string() }]))
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;
    use roost_proto::v1;

    use super::*;
    use crate::http::json::{path::Path, routes::Routes};

    async fn ask(method: &str, target: &str, body: &str) -> Result<DynamicMessage, Problem> {
        let pool = DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let found = Routes::new(&pool).unwrap().find(&method.parse().unwrap(), &Path::parse(path).unwrap());
        let (route, values) = found.unwrap();
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        )]);
        let asked = CallAsked { route, values, query: query.to_owned(), headers };
        message(&asked, Body::new(body.to_owned())).await
    }

    async fn refused(method: &str, target: &str, body: &str) -> serde_json::Value {
        let problem = ask(method, target, body).await.unwrap_err();
        serde_json::from_slice(&problem.document()).unwrap()
    }

    #[tokio::test]
    async fn a_request_is_made_of_path_query_and_body() {
        let made = ask(
            "PATCH",
            "/v1/tenants/asha?updateMask=displayName,labels.planTier",
            r#"{"displayName": "Duka", "answerWithin": "60s"}"#,
        );
        let made: v1::UpdateTenantRequest = made.await.unwrap().transcode_to().unwrap();
        let tenant = made.tenant.unwrap();
        assert_eq!(
            (tenant.id.as_str(), tenant.display_name.as_str(), tenant.answer_within.unwrap().seconds),
            ("asha", "Duka", 60)
        );
        assert_eq!(made.update_mask.unwrap().paths, ["display_name", "labels.planTier"]);
        let made = ask("GET", "/v1/workers?pageSize=7&status=WORKER_STATUS_ERROR&page_token=a%2Bb", "").await;
        let made: v1::ListWorkersRequest = made.unwrap().transcode_to().unwrap();
        assert_eq!(
            (made.page_size, made.status(), made.page_token.as_str()),
            (7, v1::WorkerStatus::Error, "a+b")
        );
        let made = ask("POST", "/v1/operations/9007199254740993:cancel", "").await;
        let made: v1::CancelOperationRequest = made.unwrap().transcode_to().unwrap();
        assert_eq!(made.id, 9_007_199_254_740_993);
        let made =
            ask("POST", "/v1/nodes/n1:startDrain", r#"{"node_id": "n1", "deadline": "600s", "force": true}"#)
                .await;
        let made: v1::StartDrainRequest = made.unwrap().transcode_to().unwrap();
        assert_eq!((made.node_id.as_str(), made.deadline.unwrap().seconds, made.force), ("n1", 600, true));
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_as_it_was_sent() {
        for (method, target, body, field, said) in [
            ("GET", "/v1/tenants?garbage=1", "", "garbage", "takes pageSize, pageToken, status, selector"),
            ("GET", "/v1/tenants/a?x=1", "", "x", "takes none"),
            ("GET", "/v1/tenants?status=ODD", "", "status", "TENANT_STATUS_NEW"),
            ("GET", "/v1/tenants?pageSize=ten", "", "pageSize", "invalid digit"),
            ("GET", "/v1/tenants?pageSize=1&pageSize=2", "", "pageSize", "twice"),
            ("GET", "/v1/nodes?showLost=1", "", "showLost", "true or false"),
            ("GET", "/v1/operations/x", "", "id", "invalid digit"),
            ("POST", "/v1/tenants?tenantId=a", r#"{"phone": 5}"#, "phone", "expected a string"),
            (
                "POST",
                "/v1/tenants",
                r#"{"texts": {"menu": [{}, {"titel": "x"}]}}"#,
                "texts.menu[1].titel",
                "no field",
            ),
            ("POST", "/v1/nodes/a:cordon", r#"{"nope": 1}"#, "nope", "no field"),
            ("POST", "/v1/tenants", r#"{"nope": {}}"#, "nope", "no field"),
            (
                "POST",
                "/v1/nodes/a:cordon",
                r#"{"requestedBy": "a", "requested_by": "b"}"#,
                "requestedBy",
                "both",
            ),
            ("POST", "/v1/tenants", r#"{"labels": {"a": 1}}"#, "labels.a", "string"),
            ("PATCH", "/v1/tenants/a", r#"{"id": "b"}"#, "id", "leave it out"),
            ("POST", "/v1/nodes/a:cordon", r#"{"id": "b"}"#, "id", "leave it out"),
            ("POST", "/v1/nodes/a:cordon?reason=x", "", "reason", "in the body"),
            ("POST", "/v1/nodes/a:setRestartWindow", r#"{"window": "5"}"#, "window", ""),
        ] {
            let told = refused(method, target, body).await;
            let violation = &told["violations"][0];
            assert_eq!(
                (&told["status"], violation["field"].as_str()),
                (&400.into(), Some(field)),
                "{target}: {told}"
            );
            assert!(violation["description"].as_str().unwrap().contains(said), "{target}: {told}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_object_is_refused_with_what_to_do() {
        for (method, target, body, said) in [
            ("POST", "/v1/nodes/a:cordon", "{", "no JSON"),
            ("POST", "/v1/nodes/a:cordon", "[]", "no JSON object"),
            ("GET", "/v1/tenants", "{}", "takes no body"),
            ("DELETE", "/v1/tenants/a", "x", "takes no body"),
        ] {
            let told = refused(method, target, body).await;
            assert!(told["detail"].as_str().unwrap().contains(said), "{told}");
        }
        let large =
            refused("POST", "/v1/tenants", &format!("{{\"phone\": \"{}\"}}", "1".repeat(1 << 20))).await;
        assert_eq!((&large["status"], &large["reason"]), (&413.into(), &"TOO_LARGE".into()));
    }

    #[test]
    fn a_body_that_is_not_sent_as_json_is_told_how_to() {
        let headers =
            |name, value: &'static str| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let mut packed = headers(header::CONTENT_TYPE, "application/json");
        packed.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        for headers in
            [HeaderMap::new(), headers(header::CONTENT_TYPE, "application/x-www-form-urlencoded"), packed]
        {
            let problem = json(&headers, b"{}").unwrap_err();
            assert_eq!(problem.response().status(), 415);
        }
    }
}
