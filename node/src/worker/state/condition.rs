//! What operators read of a worker beside the statuses: its condition.

use roost_store::ConditionKind;

use super::machine::{AfterStop, Machine, Recovery, SCAN_PAUSED, SENDS_FAIL, State};

/// Why the device is not linked any more, by the reason that the page gives (`LogoutReason` of wa-js), and what to do. Only what says
/// so by its name is WhatsApp's own refusal.
pub(super) fn unlinked(reason: &str) -> (ConditionKind, String) {
    match reason {
        "account_locked" => (
            ConditionKind::SessionRefused,
            "WhatsApp has locked the account (account_locked): unlock it on the phone, then scan again"
                .to_owned(),
        ),
        "unknown_companion" | "invalid_adv_status" => (
            ConditionKind::SessionRefused,
            format!("WhatsApp does not know the device any more ({reason}): scan again"),
        ),
        "" => (
            ConditionKind::Unlinked,
            "the device was logged out (the page gives no reason): scan again".to_owned(),
        ),
        _ => (ConditionKind::Unlinked, format!("the device was logged out ({reason}): scan again")),
    }
}

impl Machine {
    /// What operators read beside the statuses. What an attempt to reconnect is about is said until it has succeeded.
    pub fn condition(&self) -> (ConditionKind, String) {
        let plain = |kind| (kind, String::new());
        match &self.state {
            State::Running { .. } if self.sends_fail => (ConditionKind::Healing, SENDS_FAIL.to_owned()),
            State::Running { .. } => match &self.save_failure {
                Some((reason, true)) => (ConditionKind::WaitingForStore, reason.clone()),
                _ => self.evidence.condition(),
            },
            State::Stopped | State::Stopping { next: AfterStop::End(_) } => plain(ConditionKind::None),
            State::QrReady { .. } => self.needs_scan(),
            State::ScanPaused | State::Stopping { next: AfterStop::PauseScan } => {
                (ConditionKind::ScanPaused, SCAN_PAUSED.to_owned())
            }
            State::Error { reason } | State::Stopping { next: AfterStop::Fail { reason } } => {
                (ConditionKind::Failed, reason.clone())
            }
            State::Reconnecting { reason, recovery: Recovery::CheckingOwner { .. } } => {
                (ConditionKind::Healing, reason.clone())
            }
            State::Starting
            | State::Connecting { .. }
            | State::Reconnecting { .. }
            | State::Stopping {
                next: AfterStop::Launch | AfterStop::LaunchLater { .. } | AfterStop::Forget,
            } => self.trouble.clone().unwrap_or_else(|| plain(ConditionKind::Starting)),
        }
    }

    /// That a code is to be scanned, or why there is one again.
    pub(super) fn needs_scan(&self) -> (ConditionKind, String) {
        (self.unlinked.unwrap_or(ConditionKind::WaitingForScan), self.complaint.clone())
    }
}
