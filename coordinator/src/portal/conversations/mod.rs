//! Conversations: which there are, one of them, a search, and all of one as a table for other programs.

mod bounds;
mod chat;
mod export;
mod list;
mod view;

pub use chat::chat;
pub use export::export;
pub use list::list;
