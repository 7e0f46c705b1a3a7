//! What a rollout gives to whom, as its operation keeps it.

use std::time::Duration;

use roost_cluster::ledger::RolloutLimits;
use serde::{Deserialize, Serialize};

use crate::VersionKind;

/// What is rolled out and how, as its operation keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutOrder {
    pub version: String,
    pub kind: VersionKind,
    /// By which the tenants were chosen, as it was given; empty for all.
    pub selector: String,
    watch_s: u32,
    give_up_s: u32,
    least: u32,
    max_concurrent: u32,
}

impl RolloutOrder {
    /// Spans in whole seconds.
    pub fn new(version: String, kind: VersionKind, selector: String, limits: RolloutLimits) -> Self {
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let (watch_s, give_up_s) = (seconds(limits.watch_for), seconds(limits.give_up_after));
        let RolloutLimits { max_concurrent, least_acknowledged: least, .. } = limits;
        Self { version, kind, selector, watch_s, give_up_s, least, max_concurrent }
    }

    pub fn limits(&self) -> RolloutLimits {
        RolloutLimits {
            max_concurrent: self.max_concurrent,
            watch_for: Duration::from_secs(self.watch_s.into()),
            give_up_after: Duration::from_secs(self.give_up_s.into()),
            least_acknowledged: self.least,
        }
    }
}
