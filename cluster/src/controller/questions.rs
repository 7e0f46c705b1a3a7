//! What a pass asks of the ledger before it decides, and the sign of life that it gives there.

use std::time::Duration;

use roost_model::ids::Revision;

use crate::{
    ledger::{DesiredTenant, FailoverFacts, Orders},
    timing::Timing,
};

use super::{
    context::{Context, WriteAuthority},
    error::ControllerError,
    failure_detector::FailureDetector,
};

impl Context {
    /// Once in a TTL a controller shows that it lives, for others that might take the ledger for theirs.
    pub(super) fn sign_is_due(&self, given_at: Duration, now: Duration) -> bool {
        now.saturating_sub(given_at) >= self.config.timing.ttl
    }

    /// An etcd that is behind this has been restored from a backup: whoever leads next finds that out by it.
    pub(super) async fn remember_revision(
        &self,
        authority: &WriteAuthority<'_>,
        seen: Revision,
    ) -> Result<(), ControllerError> {
        let written = self.ask_ledger(self.ledger.registry_was_at(authority.term, seen)).await;
        written.map_err(ControllerError::reading_ledger)
    }

    pub(super) async fn desired_tenants(&self) -> Result<Vec<DesiredTenant>, ControllerError> {
        self.ask_ledger(self.ledger.desired_tenants()).await.map_err(ControllerError::reading_ledger)
    }

    pub(super) async fn failover_facts(
        &self,
        detector: &FailureDetector,
    ) -> Result<FailoverFacts, ControllerError> {
        if !detector.wants_facts() {
            return Ok(FailoverFacts::default());
        }
        let Timing { ttl, start_patience, .. } = self.config.timing;
        // Nodes write it twice in a TTL.
        let asked = self.ledger.failover_facts(start_patience, ttl * 3 / 2);
        self.ask_ledger(asked).await.map_err(ControllerError::reading_ledger)
    }

    pub(super) async fn orders(&self) -> Result<Orders, ControllerError> {
        self.ask_ledger(self.ledger.orders()).await.map_err(ControllerError::reading_ledger)
    }
}
