//! Why a tenant is where it is.

use roost_proto::v1::{Candidate, PlacementExplanation};
use serde::Serialize;

use super::MoveView;
use crate::{
    failure::Failure,
    output::{Output, Row},
    text::visible,
};

/// Why a tenant is where it is.
#[derive(Debug, Serialize)]
pub struct PlacementView {
    tenant_id: String,
    node_id: String,
    pinned_node_id: String,
    summary: String,
    candidates: Vec<CandidateView>,
    triggers: Vec<String>,
    history: Vec<MoveView>,
}

#[derive(Debug, Serialize)]
struct CandidateView {
    node_id: String,
    fits: bool,
    reason: String,
}

impl From<PlacementExplanation> for PlacementView {
    fn from(placement: PlacementExplanation) -> Self {
        let candidates = placement
            .candidates
            .into_iter()
            .map(|Candidate { node_id, fits, reason }| CandidateView { node_id, fits, reason });
        Self {
            candidates: candidates.collect(),
            history: placement.history.into_iter().map(MoveView::from).collect(),
            tenant_id: placement.tenant_id,
            node_id: placement.node_id,
            pinned_node_id: placement.pinned_node_id,
            summary: placement.summary,
            triggers: placement.triggers,
        }
    }
}

impl PlacementView {
    /// A sentence, then the nodes in the tenant's order, what would move it, and where it has been.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        output.text(&visible(&self.summary))?;
        if !self.candidates.is_empty() {
            output.text("")?;
            output.list(&self.candidates)?;
        }
        if !self.triggers.is_empty() {
            output.text("\nIt would move:")?;
            for trigger in &self.triggers {
                output.text(&format!("- {}", visible(trigger)))?;
            }
        }
        if !self.history.is_empty() {
            output.text("")?;
            output.list(&self.history)?;
        }
        Ok(())
    }
}

impl Row for CandidateView {
    const HEADER: &'static [&'static str] = &["node", "fits", "reason"];

    fn cells(&self) -> Vec<String> {
        let fits = if self.fits { "yes" } else { "no" };
        vec![self.node_id.clone(), fits.to_owned(), self.reason.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
