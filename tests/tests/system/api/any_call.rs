//! Any call by its path, with a request that says nothing but which tenant it is about.

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value, prost::Message};
use roost_proto::FILE_DESCRIPTOR_SET;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

use crate::api::harness::Api;

/// Bytes for a message: what is in them is the caller's matter.
#[derive(Debug, Default)]
struct Bare;

impl Codec for Bare {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bare {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost_reflect::prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bare {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost_reflect::prost::bytes::Buf;
        let mut item = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut item);
        Ok(Some(item))
    }
}

/// What a call of roost.v1 takes and gives.
pub fn described(path: &str) -> MethodDescriptor {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    service.methods().find(|known| known.name() == method).unwrap()
}

/// The request of this call, with a text at a path such as `tenant.id`.
pub fn request_about(path: &str, at: Option<(&str, &str)>) -> Vec<u8> {
    let mut message = DynamicMessage::new(described(path).input());
    if let Some((field, text)) = at {
        match field.split_once('.') {
            None => message.set_field_by_name(field, Value::String(text.to_owned())),
            Some((outer, inner)) => {
                let mut nested = message.get_field_by_name(outer).unwrap().into_owned();
                nested.as_message_mut().unwrap().set_field_by_name(inner, Value::String(text.to_owned()));
                message.set_field_by_name(outer, nested);
            }
        }
    }
    message.encode_to_vec()
}

/// How the call ends, or for a stream, how it begins.
pub async fn call(api: &Api, token: &str, path: &'static str, request: Vec<u8>) -> Result<(), Status> {
    let mut grpc = Grpc::new(api.authed(token));
    grpc.ready().await.expect("a connection");
    let at = PathAndQuery::from_static(path);
    let method = described(path);
    if method.is_client_streaming() {
        let requests = futures::stream::iter([request]);
        return grpc.streaming(Request::new(requests), at, Bare).await.map(drop);
    }
    if method.is_server_streaming() {
        let begun: Result<tonic::Response<Streaming<Vec<u8>>>, Status> =
            grpc.server_streaming(Request::new(request), at, Bare).await;
        return begun.map(drop);
    }
    grpc.unary(Request::new(request), at, Bare).await.map(drop)
}

pub fn code(answer: &Result<(), Status>) -> Code {
    answer.as_ref().err().map_or(Code::Ok, Status::code)
}
