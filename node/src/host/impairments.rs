//! What this node lacks for its work, as its checks have found it: for its record, its health and its log.

use std::time::{SystemTime, UNIX_EPOCH};

use roost_cluster::records::{Impairment, ImpairmentKind, NextToLeave};
use tokio::sync::watch;

/// One of a process; cheap to clone, and all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Impairments {
    present: watch::Sender<Vec<Impairment>>,
}

impl Impairments {
    /// In the order of kinds.
    pub fn present(&self) -> Vec<Impairment> {
        self.present.borrow().clone()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Vec<Impairment>> {
        self.present.subscribe()
    }

    /// Whether there is any.
    pub fn any(&self) -> bool {
        !self.present.borrow().is_empty()
    }

    pub(super) fn has(&self, kind: ImpairmentKind) -> bool {
        self.present.borrow().iter().any(|impairment| impairment.kind == kind)
    }

    pub(crate) fn found(&self, kind: ImpairmentKind, reason: &str) {
        self.present.send_if_modified(|present| {
            let new = Impairment::new(kind, reason, now_ms());
            match present.binary_search_by_key(&kind, |impairment| impairment.kind) {
                Ok(at) if present[at].reason == new.reason => false,
                Ok(at) => {
                    present[at].reason = new.reason;
                    true
                }
                Err(at) => {
                    tracing::warn!(%kind, reason = new.reason, "this node is impaired");
                    present.insert(at, new);
                    true
                }
            }
        });
    }

    /// Which tenant is to leave next for one that is there.
    pub(super) fn name_next_to_leave(&self, kind: ImpairmentKind, next: Option<NextToLeave>) {
        self.present.send_if_modified(|present| {
            let Some(impairment) = present.iter_mut().find(|impairment| impairment.kind == kind) else {
                return false;
            };
            let is_news = impairment.next_to_leave != next;
            impairment.next_to_leave = next;
            is_news
        });
    }

    /// Whether it was there until now.
    pub(crate) fn is_over(&self, kind: ImpairmentKind) -> bool {
        self.present.send_if_modified(|present| {
            let Ok(at) = present.binary_search_by_key(&kind, |impairment| impairment.kind) else {
                return false;
            };
            present.remove(at);
            tracing::info!(%kind, "this node is no longer impaired by it");
            true
        })
    }
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use roost_model::ids::TenantId;

    use super::*;

    #[test]
    fn each_kind_is_there_once_with_its_newest_reason_and_its_first_moment() {
        let impairments = Impairments::default();
        let mut told = impairments.subscribe();
        impairments.found(ImpairmentKind::Site, "x");
        impairments.found(ImpairmentKind::Browser, "y");
        let since_ms = impairments.present()[1].since_ms;
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        impairments.found(ImpairmentKind::Site, "x");
        assert!(!told.has_changed().unwrap(), "nothing is new");
        let tenant = TenantId::new("acme").unwrap();
        let next = NextToLeave { tenant, used_bytes: 2, requested_bytes: 1 };
        impairments.name_next_to_leave(ImpairmentKind::Site, Some(next.clone()));
        assert!(told.has_changed().unwrap());
        told.mark_unchanged();
        impairments.name_next_to_leave(ImpairmentKind::Site, Some(next));
        assert!(!told.has_changed().unwrap(), "nor is it now");
        impairments.name_next_to_leave(ImpairmentKind::Site, None);
        impairments.found(ImpairmentKind::Site, "z");
        let present = impairments.present();
        let kinds: Vec<_> = present.iter().map(|impairment| impairment.kind).collect();
        assert_eq!(kinds, [ImpairmentKind::Browser, ImpairmentKind::Site]);
        assert_eq!(present[1], Impairment::new(ImpairmentKind::Site, "z", since_ms));
        assert!(impairments.is_over(ImpairmentKind::Browser));
        assert!(!impairments.is_over(ImpairmentKind::Browser));
        assert!(impairments.has(ImpairmentKind::Site));
    }
}
