//! What runs a page, for people who look at one: nothing is decided by it.

use std::time::Instant;

/// The browser of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// When it was started; of one that was warm, when its session was opened.
    pub since: Instant,
    /// The root of its process tree and the id of its process group; `None` for an engine without processes.
    pub pid: Option<u32>,
    /// What it says its version is; empty where it was not asked.
    pub browser_version: String,
    /// Of the script in the page.
    pub bridge_version: &'static str,
    /// Of the library that the script works with.
    pub library_version: String,
    /// Of the page that is pinned; `None` where the site's is shown.
    pub page_version: Option<String>,
}
