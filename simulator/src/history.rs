//! What was written to and by a phone before its device was linked: a new device is given it as history.

use crate::clock::UnixMillis;
use crate::wire::Delivery;

/// The history comes in two chunks, the newer messages first.
pub const NEXT_CHUNK_MS: u64 = 500;
const CUSTOMERS: u64 = 7;
const APART_SECONDS: u64 = 3_600;

/// Newest first. Every third one is the owner's own; the customers are 255799000000 and those after it.
pub fn of(number: &str, count: u64, now: UnixMillis) -> Vec<Delivery> {
    let message = |place: u64| {
        let chat = format!("{}@c.us", 255_799_000_000 + place % CUSTOMERS);
        let from = if place % 3 == 2 { format!("{number}@c.us") } else { chat.clone() };
        let [a, b]: [u64; 2] = rand::random();
        Delivery {
            id: format!("{a:016X}{b:016X}"),
            chat,
            from,
            body: format!("before the link, {place}"),
            pushname: "An earlier customer".to_owned(),
            t: now.seconds().saturating_sub((place + 1) * APART_SECONDS),
            redelivered: false,
        }
    };
    (0..count).map(message).collect()
}
