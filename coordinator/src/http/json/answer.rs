//! The answer of a call in JSON, whole or as a stream of events.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body};

use super::{frames::Frames, problem::Problem, routes::Route};

/// What a stream says while there is nothing to say: a proxy between is not to take it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Of what the call answered with.
pub async fn answer(route: &Arc<Route>, response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(problem) = parts.extensions.remove::<Problem>() {
        return problem.response();
    }
    match Status::from_header_map(&parts.headers) {
        Some(status) if status.code() != Code::Ok => return problem_of(route, &status).response(),
        Some(_) | None => {}
    }
    let frames = Frames::new(parts.headers, body);
    if route.call.is_server_streaming() {
        return with_type("text/event-stream", Body::new(StreamBody::new(events(route.clone(), frames))));
    }
    match whole(route, frames).await {
        Ok(json) => json_response(json),
        Err(status) => problem_of(route, &status).response(),
    }
}

pub fn json_response(json: Bytes) -> Response<Body> {
    with_type("application/json", Body::new(Full::new(json)))
}

fn with_type(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn problem_of(route: &Route, status: &Status) -> Problem {
    Problem::of_call(status, |field| route.as_sent(field))
}

async fn whole(route: &Route, mut frames: Frames) -> Result<Bytes, Status> {
    let message = frames.next().await?.ok_or_else(|| Status::internal("the call answered with nothing"))?;
    let json = json(route.call.output(), message)?;
    // A call may fail after its answer; then there is none.
    match frames.next().await? {
        None => Ok(json),
        Some(_) => Err(Status::internal("the call answered with more than one message")),
    }
}

/// An event for each message; one that is named `error` where the call fails.
fn events(route: Arc<Route>, frames: Frames) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
    stream::unfold(Some(frames), move |frames| {
        let route = route.clone();
        async move {
            let mut frames = frames?;
            let failed = |status: &Status| event("event: error\n", &problem_of(&route, status).document());
            let (event, rest) = match timeout(KEEP_ALIVE, frames.next()).await {
                Err(_elapsed) => (Bytes::from_static(b":\n\n"), Some(frames)),
                Ok(Ok(None)) => return None,
                Ok(Ok(Some(message))) => match json(route.call.output(), message) {
                    Ok(json) => (event("", &json), Some(frames)),
                    Err(status) => (failed(&status), None),
                },
                Ok(Err(status)) => (failed(&status), None),
            };
            Some((Ok(Frame::data(event)), rest))
        }
    })
}

/// JSON has no line's end outside of its strings, where it is escaped.
fn event(before: &str, json: &[u8]) -> Bytes {
    [before.as_bytes(), b"data: ", json, b"\n\n"].concat().into()
}

/// With what has its default value, but for what may be unset.
fn json(message: MessageDescriptor, bytes: Bytes) -> Result<Bytes, Status> {
    let unreadable =
        |error: &dyn std::error::Error| Status::internal(format!("the answer cannot be written: {error}"));
    let message = DynamicMessage::decode(message, bytes).map_err(|error| unreadable(&error))?;
    let mut json = serde_json::Serializer::new(Vec::new());
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(&mut json, &options).map_err(|error| unreadable(&error))?;
    Ok(json.into_inner().into())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::StreamExt;
    use http::HeaderMap;
    use http_body_util::BodyExt;
    use prost_reflect::DescriptorPool;
    use roost_proto::{
        error::{ApiError, ErrorCode, Violation},
        v1,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::{grpc::framed, http::json::routes::Routes};

    fn route(call: &str) -> Arc<Route> {
        let pool = DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET).unwrap();
        Arc::new(Routes::new(&pool).unwrap().iter().find(|route| route.call.name() == call).unwrap().clone())
    }

    fn told(messages: Vec<Bytes>, status: Status) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).unwrap();
        let frames = messages.into_iter().map(Frame::data).chain([Frame::trailers(trailers)]);
        let frames: Vec<Result<_, Status>> = frames.map(Ok).collect();
        Response::new(Body::new(StreamBody::new(stream::iter(frames))))
    }

    async fn text(response: Response<Body>) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_shows_what_has_its_default_and_not_what_is_unset() {
        let tenant = v1::Tenant { id: "asha".into(), reply_limit_per_minute: Some(0), ..Default::default() };
        let answer = answer(&route("GetTenant"), told(vec![framed(&tenant)], Status::ok(""))).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        let shown: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(
            (&shown["id"], &shown["displayName"], &shown["replyLimitPerMinute"]),
            (&json!("asha"), &json!(""), &json!(0))
        );
        assert_eq!((&shown["template"], &shown["labels"]), (&json!("TEMPLATE_UNSPECIFIED"), &json!({})));
        assert_eq!((shown.get("createTime"), shown.get("qrRotations")), (None, None));
        let operation = v1::Operation { id: 9_007_199_254_740_993, ..Default::default() };
        let answer =
            super::answer(&route("GetOperation"), told(vec![framed(&operation)], Status::ok(""))).await;
        let shown: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!((&shown["id"], &shown["moves"]), (&json!("9007199254740993"), &json!([])));
    }

    #[tokio::test]
    async fn a_call_that_fails_at_its_end_is_a_problem_with_the_callers_names() {
        let wrong = Violation { field: "tenant.texts.limit_warning".into(), description: "is long".into() };
        let failed = Status::from(ApiError::invalid(vec![wrong]));
        let answer = answer(&route("CreateTenant"), told(vec![], failed)).await;
        assert_eq!(answer.status(), 400);
        let shown: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(shown["violations"][0]["field"], "texts.limitWarning");
    }

    #[tokio::test]
    async fn a_stream_is_an_event_for_each_message_and_one_for_its_failure() {
        let stopping = Status::from(ApiError::new(ErrorCode::Unavailable, "stopping"));
        let messages =
            ["a", "b"].map(|id| framed(&v1::Session { tenant_id: id.into(), ..Default::default() }));
        let answer = answer(&route("WatchSession"), told(messages.to_vec(), stopping)).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
            (200, &HeaderValue::from_static("text/event-stream"))
        );
        let text = text(answer).await;
        let events: Vec<_> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 3, "{text}");
        assert!(events[0].starts_with(r#"data: {"tenantId":"a""#) && events[1].contains(r#""b""#), "{text}");
        assert!(
            events[2].starts_with("event: error\ndata: {") && events[2].contains(r#""status":503"#),
            "{text}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_nothing_to_say_says_so() {
        let silent = stream::once(pending::<Result<Frame<Bytes>, Status>>());
        let frames = Frames::new(HeaderMap::new(), Body::new(StreamBody::new(silent)));
        let mut events = Box::pin(events(route("WatchSession"), frames));
        for _ in 0..3 {
            assert_eq!(events.next().await.unwrap().unwrap().into_data().unwrap(), ":\n\n");
        }
    }
}
