//! Why a tenant is where it is.

use roost_cluster::{
    controller::Survey,
    ids::TenantId,
    plan::{self, Candidate, Explanation, Verdict},
    records::Phase,
};
use roost_proto::{error::ApiError, v1};
use roost_store::Placement;

use super::Refusal;
use crate::wire;

/// `history` is the tenant's, newest first.
pub fn explain(
    survey: &Survey,
    tenant: &TenantId,
    history: Vec<Placement>,
) -> Result<v1::PlacementExplanation, ApiError> {
    let explained = plan::explain(&survey.snapshot, tenant);
    let explained = explained.ok_or_else(|| Refusal::NoTenant { tenant: tenant.clone() })?;
    Ok(v1::PlacementExplanation {
        tenant_id: tenant.to_string(),
        node_id: explained.at.as_ref().map(|(node, _)| node.to_string()).unwrap_or_default(),
        pinned_node_id: explained.pin.as_ref().map(ToString::to_string).unwrap_or_default(),
        summary: summary(&explained, history.first()),
        candidates: explained.candidates.iter().map(candidate).collect(),
        triggers: explained.triggers.iter().map(ToString::to_string).collect(),
        history: history.into_iter().map(wire::made_move).collect(),
    })
}

/// Where it is, what happens next, and why it came there if that is still told.
fn summary(explained: &Explanation, last: Option<&Placement>) -> String {
    let Explanation { tenant, at, outlook, .. } = explained;
    let (place, node) = match at {
        Some((node, Phase::Active)) => (format!("{tenant} is on {node}"), Some(node)),
        Some((node, Phase::Releasing | Phase::Preparing)) => (format!("{tenant} is leaving {node}"), None),
        None => (format!("{tenant} is nowhere"), None),
    };
    match last.filter(|placement| Some(&placement.to) == node) {
        Some(placement) => format!("{place}: {}. Now: {outlook}", placement.reason),
        None => format!("{place}. Now: {outlook}"),
    }
}

fn candidate(candidate: &Candidate) -> v1::Candidate {
    let Candidate { node, verdict, .. } = candidate;
    v1::Candidate { node_id: node.to_string(), fits: fits(verdict), reason: verdict.to_string() }
}

/// Whether it has the tenant or would take it; some only when there is no better one.
fn fits(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Here
        | Verdict::Prepares { .. }
        | Verdict::Suspect
        | Verdict::FailingZone
        | Verdict::AtItsMost { .. }
        | Verdict::HasRoom { .. } => true,
        Verdict::NotItsPin
        | Verdict::Cordoned
        | Verdict::Draining
        | Verdict::Leaving
        | Verdict::Full { .. }
        | Verdict::NoWeight => false,
    }
}
