//! Who asks for something, and why: for the history.

use std::env;

#[derive(Debug, Clone, clap::Args)]
pub struct Attribution {
    /// Why, for the history: at most 200 characters.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Who asks, for the history [default: $USER].
    #[arg(long, env = "ROOST_OPERATOR", value_name = "NAME")]
    by: Option<String>,
}

impl Attribution {
    /// Who asks, and why. Without a name the coordinator notes what it knows of the token.
    pub fn into_parts(self) -> (String, String) {
        let by = name_or_user(self.by);
        (by, self.reason)
    }
}

/// Empty when neither is known.
pub fn name_or_user(given: Option<String>) -> String {
    given.or_else(|| env::var("USER").ok()).unwrap_or_default()
}
