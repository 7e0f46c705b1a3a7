//! Why a tenant is where it is.

use roost_cluster::{
    controller::Survey,
    plan::{self, Candidate, Explanation, Verdict},
    records::Phase,
};
use roost_model::ids::{NodeId, TenantId};
use roost_store::Placement;

use super::{Error, Refusal};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementExplanation {
    pub tenant: TenantId,
    /// The live node that has it.
    pub node: Option<NodeId>,
    pub pin: Option<NodeId>,
    /// Why it is where it is, or what it waits for, in one sentence.
    pub summary: String,
    /// Every live node, in the order in which it would be asked to take the tenant.
    pub candidates: Vec<ExplainedNode>,
    /// What would move it.
    pub triggers: Vec<String>,
    /// Newest first.
    pub history: Vec<Placement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedNode {
    pub node: NodeId,
    /// Whether it has the tenant or would take it.
    pub fits: bool,
    pub reason: String,
}

/// `history` is the tenant's, newest first.
pub fn explain(
    survey: &Survey,
    tenant: &TenantId,
    history: Vec<Placement>,
) -> Result<PlacementExplanation, Error> {
    let explained = plan::explain(&survey.snapshot, tenant);
    let explained = explained.ok_or_else(|| Refusal::NoTenant { tenant: tenant.clone() })?;
    Ok(PlacementExplanation {
        tenant: tenant.clone(),
        node: explained.at.as_ref().map(|(node, _)| node.clone()),
        pin: explained.pin.clone(),
        summary: summary(&explained, history.first()) + &held_back(survey, tenant),
        candidates: explained.candidates.iter().map(candidate).collect(),
        triggers: explained.triggers.iter().map(ToString::to_string).collect(),
        history,
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

/// What holds the failover of a tenant whose node is lost, and until when; empty for all others.
fn held_back(survey: &Survey, tenant: &TenantId) -> String {
    let view = survey.snapshot.tenants.iter().find(|view| view.tenant == *tenant);
    let lost = view.filter(|view| view.holds.is_empty()).and_then(|view| view.last.as_ref());
    if lost.is_none_or(|node| survey.nodes.contains_key(node)) {
        return String::new();
    }
    if let Some(reason) = &survey.orders.policy.failover_paused {
        let until = if survey.orders.policy.paused_by_breaker { "until the nodes are back, or " } else { "" };
        return format!("; failover is paused ({reason}) {until}until `roost cluster resume-failover`");
    }
    match &survey.orders.breaker {
        Some(breaker) if breaker.ramp == 0 => {
            let held = breaker.held_for.as_secs_f64();
            format!(
                "; failover is held for {held:.1} s more, for {} lost nodes may be back",
                breaker.lost.len()
            )
        }
        Some(breaker) => {
            format!(
                "; after the loss of {} nodes {} tenants start at a time",
                breaker.lost.len(),
                breaker.ramp
            )
        }
        None => String::new(),
    }
}

fn candidate(candidate: &Candidate) -> ExplainedNode {
    let Candidate { node, verdict, .. } = candidate;
    ExplainedNode { node: node.clone(), fits: fits(verdict), reason: verdict.to_string() }
}

/// Whether it has the tenant or would take it; some only when there is no better one.
fn fits(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Here
        | Verdict::Prepares { .. }
        | Verdict::Suspect
        | Verdict::Impaired
        | Verdict::FailingZone
        | Verdict::AtItsMost { .. }
        | Verdict::HasRoom { .. } => true,
        Verdict::Denies(_) => false,
    }
}
