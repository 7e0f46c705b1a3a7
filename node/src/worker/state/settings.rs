//! What the machine goes by that operators settle: the tenant's own, and where it says nothing its node's.

use roost_model::TenantSettings;

use super::{machine::Machine, phone::digits};
use crate::worker::timing::WorkerTiming;

impl Machine {
    /// What the tenant has settled, now or anew: a phone counts from the next time that one links, codes from the next one on, and
    /// times from whatever they are next needed for.
    #[must_use]
    pub fn with_settings(mut self, settings: &TenantSettings) -> Self {
        self.phone = digits(&settings.phone);
        self.linking = self.linking.with_most(settings.qr_rotations.unwrap_or(self.timing.qr_rotations));
        self.timing = self.nodes_timing.with(&settings.timing);
        self
    }

    /// What holds for this worker.
    pub fn timing(&self) -> &WorkerTiming {
        &self.timing
    }
}
