//! What a term has told the ledger of its own trouble, so that any coordinator can show it, whoever leads.

use roost_model::{causes, ids::Term};

use super::context::Context;
use crate::ledger::Complaint;

/// What the ledger has of it.
#[derive(Default)]
pub(super) struct ToldComplaint {
    /// None before the first word of this term: the last one's may be there still.
    told: Option<Option<Complaint>>,
}

impl Context {
    /// One write when it is another complaint than the last, or none any more; else nothing. Nothing depends on it: what
    /// the ledger did not take is told after the next pass.
    pub(super) async fn tell_complaint(
        &self,
        term: Term,
        ledger_has: &mut ToldComplaint,
        complaint: Option<Complaint>,
    ) {
        if ledger_has.told.as_ref() == Some(&complaint) {
            return;
        }
        match self.ask_ledger(self.ledger.complain(term, complaint.as_ref())).await {
            Ok(()) => ledger_has.told = Some(complaint),
            Err(error) => {
                tracing::debug!(error = %causes(&error), "what is in the controller's way could not be written down")
            }
        }
    }
}
