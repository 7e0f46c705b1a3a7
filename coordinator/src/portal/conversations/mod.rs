//! Conversations: which there are, one of them, who answers in it, a search, and all of one as a table for other programs.

mod bounds;
mod chat;
mod export;
mod holding;
mod list;
mod view;

pub use chat::{chat, events};
pub use export::export;
pub use holding::{hold, say};
pub use list::list;
