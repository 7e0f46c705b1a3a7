//! A moment, as protobuf has it.

use prost_types::Timestamp;
use time::OffsetDateTime;

pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    let nanos = i32::try_from(at.nanosecond()).unwrap_or_default();
    Timestamp { seconds: at.unix_timestamp(), nanos }
}
