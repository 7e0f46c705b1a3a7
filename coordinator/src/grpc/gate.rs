//! A layer that asks something before what is behind it is asked.

use std::{
    convert::Infallible,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use roost_proto::error::ApiError;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// What is asked of each call.
pub trait Gate: Send + Sync + 'static {
    /// The answer of what is behind it, or why that is not asked.
    fn serve<S>(
        &self,
        inner: S,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, ApiError>> + Send
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send;
}

/// What is behind a gate, asked.
pub async fn answer<S>(mut inner: S, request: Request<Body>) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let Ok(answer) = inner.call(request).await;
    answer
}

/// Puts a gate before a service.
pub struct GateLayer<G> {
    gate: Arc<G>,
}

impl<G> GateLayer<G> {
    pub fn of(gate: G) -> Self {
        Self { gate: Arc::new(gate) }
    }
}

impl<G> Clone for GateLayer<G> {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone() }
    }
}

impl<S, G> Layer<S> for GateLayer<G> {
    type Service = Gated<S, G>;

    fn layer(&self, inner: S) -> Gated<S, G> {
        Gated { inner, gate: self.gate.clone() }
    }
}

/// A service behind a gate.
pub struct Gated<S, G> {
    inner: S,
    gate: Arc<G>,
}

impl<S: Clone, G> Clone for Gated<S, G> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gate: self.gate.clone() }
    }
}

impl<S, G> Service<Request<Body>> for Gated<S, G>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    G: Gate,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready, and not its copy.
        let fresh = self.inner.clone();
        let inner = mem::replace(&mut self.inner, fresh);
        let gate = self.gate.clone();
        Box::pin(async move {
            Ok(gate.serve(inner, request).await.unwrap_or_else(|error| Status::from(error).into_http()))
        })
    }
}
