//! How a server reads requests.
//!
//! prost's codec for tonic answers INTERNAL when a body is no valid message (text that is not UTF-8, a cut-off field).
//! INTERNAL means that the server is at fault, and callers retry or report it. Here it is the caller who is: the
//! generated servers read requests with [`RequestCodec`], which answers INVALID_ARGUMENT and names the field.

use std::{any::type_name, marker::PhantomData};

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

use crate::error::{ApiError, ErrorCode};

/// Writes responses `T` and reads requests `U`.
#[derive(Debug)]
pub struct RequestCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for RequestCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for RequestCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = RequestDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder(PhantomData)
    }
}

/// Reads one request; see the module.
#[derive(Debug)]
pub struct RequestDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for RequestDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(buf).map(Some).map_err(|cause| unreadable::<U>(&cause))
    }
}

fn unreadable<U>(cause: &prost::DecodeError) -> Status {
    let message = type_name::<U>().rsplit("::").next().unwrap_or_default();
    let text = format!("the request body is not a valid roost.v1.{message}: {cause}; strings must be UTF-8");
    ApiError::new(ErrorCode::InvalidArgument, text).into()
}
