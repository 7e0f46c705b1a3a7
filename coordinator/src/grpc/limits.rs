//! What every call is bounded by, whichever service it is for: the time until its answer begins, and, where a service that
//! is not ours streams (health, reflection), a place among the coordinator's streams.
//!
//! The answer to a unary call begins when it is whole, that to a stream when the stream is open.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::time::timeout;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{errors::answer_overdue, placed::Placed};
use crate::app::watch::Streams;

/// Longer than any wait of a healthy coordinator's own, for the database or for etcd.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Streams that other crates serve, and that know nothing of [`Streams`].
const FOREIGN_STREAMS: [&str; 3] = [
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Wraps the server with the bounds.
#[derive(Clone)]
pub struct LimitsLayer {
    streams: Streams,
}

impl LimitsLayer {
    pub fn new(streams: Streams) -> Self {
        Self { streams }
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limits<S>;

    fn layer(&self, inner: S) -> Limits<S> {
        Limits { inner, streams: self.streams.clone() }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Limits<S> {
    inner: S,
    streams: Streams,
}

impl<S, B> Service<Request<B>> for Limits<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_foreign = FOREIGN_STREAMS.iter().any(|path| request.uri().path().starts_with(path));
        let place = is_foreign.then(|| self.streams.place()).transpose();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let place = match place {
                Ok(place) => place,
                Err(error) => return Ok(Status::from(error).into_http()),
            };
            match (timeout(ANSWER_WITHIN, answer).await, place) {
                (Ok(answer), None) => answer,
                (Ok(answer), Some(place)) => Ok(answer?.map(|body| Body::new(Placed::new(body, place)))),
                (Err(_elapsed), _) => Ok(Status::from(answer_overdue(ANSWER_WITHIN)).into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use roost_proto::error::{ApiError, ErrorCode};
    use tokio_util::sync::CancellationToken;
    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn call(streams: &Streams, path: &str, answers: bool) -> Response<Body> {
        let inner = service_fn(move |_request: Request<Body>| async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Body::new("more".to_owned())))
        });
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        LimitsLayer::new(streams.clone()).layer(inner).oneshot(request).await.unwrap()
    }

    fn error(response: &Response<Body>) -> Option<ApiError> {
        ApiError::from_status(&Status::from_header_map(response.headers())?)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_answer_does_not_begin_in_time_is_given_up() {
        let streams = Streams::new(CancellationToken::new());
        let answer = tokio::time::timeout(
            ANSWER_WITHIN * 2,
            call(&streams, "/roost.v1.TenantService/GetTenant", false),
        );
        assert_eq!(error(&answer.await.unwrap()).unwrap().code, ErrorCode::Unavailable);
    }

    #[tokio::test]
    async fn health_and_reflection_take_a_place_each_among_the_streams_until_they_end() {
        for path in ["/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/X"] {
            let streams = Streams::new(CancellationToken::new());
            let mut open = Vec::new();
            while let Ok(place) = streams.place() {
                open.push(place);
            }
            assert_eq!(error(&call(&streams, path, true).await).unwrap().code, ErrorCode::Exhausted);
            assert!(error(&call(&streams, "/grpc.health.v1.Health/Check", true).await).is_none());
            open.pop();
            let watched = call(&streams, path, true).await;
            assert!(error(&watched).is_none());
            assert!(streams.place().is_err(), "{path}");
            drop(watched);
            assert!(streams.place().is_ok(), "{path}");
        }
    }
}
