//! A simulated WhatsApp Web: its page, its server and, through a control API, the phones on the other side.
//!
//! The page (`simulator/page/`) serves two libraries unmodified, `@wppconnect/wa-js` and `whatsapp-web.js`; the
//! scripts of `simulator/conformance/` prove it. The server keeps what the real one keeps: which device is linked
//! to which phone, the messages that a page has not acknowledged yet, and the one connection of a device that is
//! in force. Beyond that it is a judge: it records every connection, so that a test can ask whether one session
//! was ever open twice (invariant I1), how far a restored session was behind, and what was sent more than once, and why.
//! How hard it is on a page is settable, see [`Hardness`].
//!
//! Where to start reading:
//! - [`World`]: all state and all rules, no I/O; time is an argument.
//! - `socket`: one task for each page, which carries frames between a WebSocket and the world.
//! - `control`: the HTTP API of the phones.
//! - `page`: the files of the page, embedded.
//! - [`builds`]: that page, and wa-js, as they are after a change that breaks something.
//!
//! # What is bounded
//! Everything lives in memory and is lost with the process: linked devices must then scan again.
//!
//! | what | bound | when it is full |
//! |---|---|---|
//! | request body of the control API | 256 KiB | 413 |
//! | text of a message | 65,536 characters | 400 |
//! | messages queued for a phone | 10,000 | 409 |
//! | unacknowledged messages on a connection | 512, settable | the rest waits in the queue |
//! | frame from a page | 1 MiB | the connection is closed |
//! | frames waiting for a page that does not read | 4,096 | the connection is closed |
//! | messages remembered by `/control/sent` | 100,000 for each phone | the oldest is forgotten |
//! | resends remembered of a message | 100 | the oldest is forgotten |
//! | what a connection is to do later | 4,096 | the connection is closed |
//! | connections, and overlaps, remembered | 100,000 | the oldest closed ones are forgotten |
//! | retired pairing codes remembered | 10,000 | the oldest is answered with 404 instead of 409 |

mod app_state;
pub mod builds;
mod clock;
mod config;
mod control;
mod delivery;
mod hardness;
mod history;
mod journal;
mod later;
mod linking;
mod outlet;
mod page;
mod phone;
mod sent;
mod server;
mod socket;
mod typed_codes;
mod wire;
mod world;

pub use clock::UnixMillis;
pub use config::{Config, Timing};
pub use hardness::{Hardness, Queries, Unsent};
pub use journal::{Connection, ConnectionId, Overlap, Report};
pub use server::{Simulator, StartError};
pub use world::{ControlError, World};
