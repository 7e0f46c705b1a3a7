//! What one caller may ask for at a time, and how often: asked once it is known who calls, and before anything of the call is read.

use std::convert::Infallible;

use http::{Request, Response};
use roost_proto::error::{ApiError, ErrorCode};
use tonic::body::Body;
use tower::Service;

use super::{
    gate::{Gate, GateLayer, answer},
    placed::Placed,
};
use crate::app::access::{
    Caller,
    pace::{Paced, Paces, TooOften},
};

/// Wraps the services with the question.
pub type PaceLayer = GateLayer<Turnstile>;

/// See the module.
pub struct Turnstile {
    paces: Paces,
}

impl Turnstile {
    pub fn new(paces: Paces) -> Self {
        Self { paces }
    }
}

impl Gate for Turnstile {
    async fn serve<S>(&self, inner: S, request: Request<Body>) -> Result<Response<Body>, ApiError>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
        S::Future: Send,
    {
        // Nobody is known where nothing is asked of anybody: the health check.
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Ok(answer(inner, request).await);
        };
        let under_way = self.paces.begin(caller).map_err(refusal)?;
        let answer = answer(inner, request).await;
        Ok(answer.map(|body| Body::new(Placed::new(body, under_way))))
    }
}

fn refusal(paced: Paced) -> ApiError {
    match paced {
        Paced::TooOften(TooOften { per_second, retry_after }) => {
            let message = format!("this caller may make {per_second} calls a second; wait, and make fewer");
            ApiError::exhausted("rate", retry_after, message)
        }
        Paced::TooMany { most } => {
            let message = format!("this caller has {most} calls and streams open already; end some first");
            ApiError::new(ErrorCode::Exhausted, message)
        }
    }
}
