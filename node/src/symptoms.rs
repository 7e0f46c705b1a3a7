//! What the node's work tells of the node itself: launches, snapshots and calls that fail. A tenant's own trouble looks the
//! same from here, so nothing is concluded from it: it is a reason to look (`host::self_check`), and costs nothing else.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use roost_cluster::records::ImpairmentKind;
use roost_model::ids::TenantId;
use tokio::sync::Notify;

/// Launches that fail one after the other, of one tenant alone.
const LAUNCHES_OF_ONE: u32 = 3;

/// One of a process, shared by all that work in it.
#[derive(Debug, Default)]
pub struct Symptoms {
    noted: Mutex<Noted>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Noted {
    /// Launches that failed since one succeeded.
    failed_launches: u32,
    failed_tenants: BTreeSet<TenantId>,
    suspected: BTreeSet<ImpairmentKind>,
}

impl Symptoms {
    /// Also one that was ahead of need.
    pub fn launch_failed(&self, tenant: &TenantId) {
        let mut noted = self.noted.lock();
        noted.failed_launches += 1;
        noted.failed_tenants.insert(tenant.clone());
        if noted.failed_tenants.len() >= 2 || noted.failed_launches >= LAUNCHES_OF_ONE {
            (noted.failed_launches, noted.failed_tenants) = Default::default();
            drop(noted);
            self.suspect(&[
                ImpairmentKind::Browser,
                ImpairmentKind::StateDirectory,
                ImpairmentKind::ObjectStore,
                ImpairmentKind::Site,
            ]);
        }
    }

    pub fn launched(&self) {
        let mut noted = self.noted.lock();
        (noted.failed_launches, noted.failed_tenants) = Default::default();
    }

    pub fn snapshot_failed(&self) {
        self.suspect(&[ImpairmentKind::ObjectStore, ImpairmentKind::StateDirectory]);
    }

    pub fn database_failed(&self) {
        self.suspect(&[ImpairmentKind::Database]);
    }

    fn suspect(&self, kinds: &[ImpairmentKind]) {
        self.noted.lock().suspected.extend(kinds);
        self.changed.notify_one();
    }

    /// Waits for a reason to look, and takes it. May be given up at any time.
    pub(crate) async fn suspected(&self) -> BTreeSet<ImpairmentKind> {
        loop {
            let suspected = std::mem::take(&mut self.noted.lock().suspected);
            if !suspected.is_empty() {
                return suspected;
            }
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn launches_are_a_reason_to_look_when_they_fail_for_two_tenants_or_three_times_in_a_row() {
        let symptoms = Symptoms::default();
        let looks = || symptoms.suspected().now_or_never().is_some();
        let (acme, beta) = (TenantId::new("acme").unwrap(), TenantId::new("beta").unwrap());
        symptoms.launch_failed(&acme);
        symptoms.launch_failed(&acme);
        assert!(!looks(), "that may be the tenant's own");
        symptoms.launch_failed(&acme);
        assert!(looks());
        symptoms.launch_failed(&acme);
        symptoms.launched();
        symptoms.launch_failed(&beta);
        assert!(!looks(), "one came up in between");
        symptoms.launch_failed(&acme);
        assert!(looks());
        assert!(!looks(), "once");
        symptoms.snapshot_failed();
        assert!(looks());
    }
}
