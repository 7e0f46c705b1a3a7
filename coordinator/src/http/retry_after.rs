//! When to come again, as HTTP says it.

use std::time::Duration;

use http::HeaderValue;

/// In whole seconds, and never sooner than was said.
pub fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}
