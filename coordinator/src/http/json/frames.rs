//! Messages as gRPC frames them: a byte that says that nothing is compressed, the length, the message.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use tonic::{Status, body::Body};

use crate::grpc::PREFIX;

/// The messages of an answer, as they come.
#[derive(Debug)]
pub struct Frames {
    body: Body,
    read: BytesMut,
    /// Those that there are by now: of an answer without messages they are its headers.
    trailers: HeaderMap,
}

impl Frames {
    pub fn new(headers: HeaderMap, body: Body) -> Self {
        Self { body, read: BytesMut::new(), trailers: headers }
    }

    /// The next message; None after the last one of a call that went well. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.whole() {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(frame) => match frame?.into_data() {
                    Ok(data) => self.read.extend_from_slice(&data),
                    Err(other) => self.trailers = other.into_trailers().unwrap_or_default(),
                },
                None => return self.end(),
            }
        }
    }

    fn whole(&mut self) -> Option<Bytes> {
        let mut prefix = self.read.get(..PREFIX)?;
        prefix.advance(1);
        let length = prefix.get_u32() as usize;
        if self.read.len() < PREFIX + length {
            return None;
        }
        self.read.advance(PREFIX);
        Some(self.read.split_to(length).freeze())
    }

    fn end(&self) -> Result<Option<Bytes>, Status> {
        match Status::from_header_map(&self.trailers) {
            Some(status) if status.code() == tonic::Code::Ok => Ok(None),
            Some(status) => Err(status),
            None => Err(Status::internal("the answer ended without a status")),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use prost::Message;

    use super::*;
    use crate::grpc::framed;

    fn frames(chunks: Vec<Vec<u8>>, status: Option<Status>) -> Frames {
        let data = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
        let trailers = status.map(|status| {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            Ok(Frame::trailers(trailers))
        });
        let all: Vec<Result<_, Status>> = data.chain(trailers).collect();
        Frames::new(HeaderMap::new(), Body::new(StreamBody::new(stream::iter(all))))
    }

    #[tokio::test]
    async fn messages_are_whole_however_they_are_cut() {
        let bytes =
            [framed(&"one".to_owned()), framed(&"another".to_owned()), framed(&String::new())].concat();
        for size in [1, 2, 7, 1_000] {
            let chunks = bytes.chunks(size).map(<[u8]>::to_vec).collect();
            let mut frames = frames(chunks, Some(Status::ok("")));
            for expected in ["one", "another", ""] {
                let message = frames.next().await.unwrap().unwrap();
                assert_eq!(String::decode(message).unwrap(), expected);
            }
            assert!(frames.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn the_end_is_told_with_its_status_and_one_without_is_a_failure() {
        let one = vec![framed(&"one".to_owned()).to_vec()];
        let mut failed = frames(one.clone(), Some(Status::unavailable("stopping")));
        assert!(failed.next().await.unwrap().is_some());
        assert_eq!(failed.next().await.unwrap_err().message(), "stopping");
        let mut cut = frames(one, None);
        assert!(cut.next().await.unwrap().is_some());
        assert_eq!(cut.next().await.unwrap_err().code(), tonic::Code::Internal);
    }
}
