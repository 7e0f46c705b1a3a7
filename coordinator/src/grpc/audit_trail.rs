//! What a request of gRPC adds to what a call leaves in the audit, and how many refusals are written down.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_model::ids::{NodeId, TenantId};
use roost_store::AuditEntry;

use super::subject::ReadRequest;
use crate::app::access::calls::Call;

/// A caller's own words are kept so far: a request that has more is refused, and is written down all the same.
const WORDS: usize = 200;
/// Refusals of one caller that are written down in [`WINDOW`].
const REFUSALS: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// What the request says. What is no id names nobody.
pub fn say(entry: &mut AuditEntry, call: &Call, request: &ReadRequest) {
    let tenant = call.subject.tenant().and_then(|field| TenantId::new(&request.text(field)).ok());
    entry.tenant = tenant.or(entry.tenant.take());
    entry.node = call.subject.node().and_then(|field| NodeId::new(&request.text(field)).ok());
    entry.requested_by = request.text("requested_by").chars().take(WORDS).collect();
    entry.reason = request.text("reason").chars().take(WORDS).collect();
}

/// Who is refused again and again fills no disk by it.
#[derive(Debug, Default)]
pub struct RefusalQuota {
    callers: Mutex<HashMap<String, (Instant, u32)>>,
}

impl RefusalQuota {
    /// Whether one more refusal of this caller is written down.
    pub fn allows(&self, caller: &str, now: Instant) -> bool {
        let mut callers = self.callers.lock();
        callers.retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        let (_, count) = callers.entry(caller.to_owned()).or_insert((now, 0));
        *count += 1;
        if *count == REFUSALS + 1 {
            tracing::warn!(
                caller,
                "a caller is refused again and again; the audit has the first {REFUSALS} of a minute"
            );
        }
        *count <= REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusals_of_a_caller_are_written_down_up_to_a_bound_and_again_later() {
        let (quota, now) = (RefusalQuota::default(), Instant::now());
        let written = (0..REFUSALS + 40).filter(|_| quota.allows("token a", now)).count();
        assert_eq!(written, REFUSALS as usize);
        assert!(quota.allows("token b", now));
        assert!(quota.allows("token a", now + WINDOW));
        assert_eq!(quota.callers.lock().len(), 1);
    }
}
