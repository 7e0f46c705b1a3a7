//! A line at debug for every call: its method, its status, how long the answer took. Neither bodies nor headers are looked
//! at, but for the status: tokens are in them.

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::{Code, body::Body};
use tower_http::{
    classify::{GrpcErrorsAsFailures, SharedClassifier},
    trace::TraceLayer,
};
use tracing::{Span, field::Empty};

const STATUS: &str = "grpc-status";

type MakeSpan = fn(&Request<Body>) -> Span;
type OnResponse = fn(&Response<Body>, Duration, &Span);
type OnEnd = fn(Option<&HeaderMap>, Duration, &Span);
/// Wraps the server, outside of everything: calls that are refused are seen, too.
pub type CallTrace =
    TraceLayer<SharedClassifier<GrpcErrorsAsFailures>, MakeSpan, (), OnResponse, (), OnEnd, ()>;

pub fn layer() -> CallTrace {
    TraceLayer::new_for_grpc()
        .make_span_with(begun as MakeSpan)
        .on_request(())
        .on_response(answered as OnResponse)
        .on_body_chunk(())
        .on_eos(ended as OnEnd)
        .on_failure(())
}

fn begun(request: &Request<Body>) -> Span {
    tracing::debug_span!("call", method = request.uri().path(), latency_ms = Empty)
}

/// A call that has failed before it said anything has its status here; of others it comes at the end.
fn answered(response: &Response<Body>, latency: Duration, span: &Span) {
    span.record("latency_ms", millis(latency));
    if let Some(status) = status(response.headers()) {
        tracing::debug!(parent: span, ?status, "call ended");
    }
}

fn ended(trailers: Option<&HeaderMap>, streamed: Duration, span: &Span) {
    if let Some(status) = trailers.and_then(status) {
        tracing::debug!(parent: span, ?status, streamed_ms = millis(streamed), "call ended");
    }
}

pub(super) fn status(headers: &HeaderMap) -> Option<Code> {
    headers.get(STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io, sync::Arc};

    use http::header::AUTHORIZATION;
    use parking_lot::Mutex;
    use tonic::Status;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_refused_call_is_a_line_with_its_method_and_status_and_without_its_token() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let refuse = service_fn(async |_request: Request<Body>| {
            Ok::<_, Infallible>(Status::not_found("there is no tenant").into_http::<Body>())
        });
        let request = Request::builder()
            .uri("/roost.v1.TenantService/GetTenant")
            .header(AUTHORIZATION, "Bearer sesame")
            .body(Body::empty())
            .unwrap();
        layer().layer(refuse).oneshot(request).await.unwrap();
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let line = text.lines().find(|line| line.contains("call ended")).unwrap_or_else(|| panic!("{text}"));
        for said in ["/roost.v1.TenantService/GetTenant", "status=NotFound", "latency_ms="] {
            assert!(line.contains(said), "{said}: {line}");
        }
        assert!(!text.contains("sesame"), "{text}");
    }
}
