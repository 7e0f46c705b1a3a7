//! A span of time in a file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A span of time as people write it: 24h, 30m.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(given: String) -> Result<Self, String> {
        let span = humantime::parse_duration(&given);
        span.map(Self).map_err(|error| format!("{given:?} is no span of time such as 24h or 30m: {error}"))
    }
}

impl From<Span> for String {
    fn from(Span(span): Span) -> Self {
        humantime::format_duration(span).to_string()
    }
}

impl Span {
    pub fn to_wire(self) -> Option<prost_types::Duration> {
        self.0.try_into().ok()
    }

    pub fn of(span: prost_types::Duration) -> Option<Self> {
        span.try_into().ok().map(Self)
    }
}
