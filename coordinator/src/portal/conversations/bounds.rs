//! Who may read conversations, and how much of them a page has.

/// By which it is decided who may read them.
pub const CALL: &str = "/roost.v1.MessageService/ListMessages";
/// On one page.
pub const PAGE: u32 = 50;
