//! A bot's profile, as LocalAuth of whatsapp-web.js keeps it: a user data directory of Chromium in which the session is the page's
//! IndexedDB and localStorage.
//!
//! Read only, and only while no browser uses it: what a browser writes meanwhile would be half of something.

mod error;
#[cfg(test)]
mod fixture;
mod layouts;
mod profile;
mod stores;
mod users;

pub use error::ProfileError;
pub use layouts::{find_all, locate};
pub use profile::BotProfile;
pub use stores::ProfileFile;
