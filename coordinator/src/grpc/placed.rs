//! The body of an answer, which has a place among so many until its end.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

pub struct Placed<P> {
    body: Body,
    _place: P,
}

impl<P> Placed<P> {
    pub fn new(body: Body, place: P) -> Self {
        Self { body, _place: place }
    }
}

impl<P: Unpin> http_body::Body for Placed<P> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
