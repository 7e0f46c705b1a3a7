//! The answer of a stream, which ends when the token that it was opened with counts no more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use roost_proto::error::{ApiError, ErrorCode};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, body::Body};

use crate::app::access::LiveToken;

pub struct Revocable {
    body: Body,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
    _token: LiveToken,
}

impl Revocable {
    pub fn new(body: Body, token: LiveToken) -> Self {
        let revoked = Box::pin(token.ended().clone().cancelled_owned());
        Self { body, revoked, is_over: false, _token: token }
    }
}

impl http_body::Body for Revocable {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.revoked.as_mut().poll(cx).is_ready() {
            self.is_over = true;
            let message =
                "the token was revoked or has lapsed since the stream began: ask an admin for a new one";
            let status = Status::from(ApiError::new(ErrorCode::Unauthenticated, message));
            let mut trailers = http::HeaderMap::new();
            return Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
