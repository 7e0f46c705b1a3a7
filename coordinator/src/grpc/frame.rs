//! A message as gRPC frames it: a byte that says that nothing is compressed, the length, the message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// What stands before a message.
pub const PREFIX: usize = 5;

/// The body of a request with this message.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    // A request is at most some MiB.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.put(message.encode_to_vec().as_slice());
    framed.freeze()
}
