//! Why a tenant is where it is, and what would move it: the plan itself, asked about one tenant.
//!
//! What would happen if is not thought up here: the snapshot is changed and planned.

use roost_model::ids::{NodeId, TenantId};

use super::{
    assign,
    decision::{Action, Plan, TenantMove},
    draft::Draft,
    explanation::{Candidate, Explanation, Outlook, Trigger, Verdict},
    node_loads::Fit,
    planner::{finished, into_plan, plan},
    snapshot::{Goal, Intake, Snapshot, TenantView},
};
use crate::records::Phase;

/// None if the snapshot does not know the tenant.
pub fn explain(snapshot: &Snapshot, tenant: &TenantId) -> Option<Explanation> {
    let view = snapshot.tenants.iter().find(|view| view.tenant == *tenant)?;
    let draft = finished(snapshot);
    let candidates = candidates(&draft, view);
    let planned = into_plan(draft);
    let hold = view.holds.iter().max_by_key(|hold| (hold.generation, &hold.node));
    let outlook = outlook(planned, view);
    let triggers = match hold {
        Some(hold) if outlook == Outlook::Stays => triggers(snapshot, view, &hold.node),
        Some(_) | None => Vec::new(),
    };
    Some(Explanation {
        tenant: tenant.clone(),
        wanted: view.wanted,
        at: hold.map(|hold| (hold.node.clone(), hold.phase)),
        last: view.last.clone(),
        pin: view.pin.clone(),
        move_to: view.move_to.clone(),
        outlook,
        candidates,
        triggers,
    })
}

fn outlook(plan: Plan, tenant: &TenantView) -> Outlook {
    if let Some(tenant_move) = move_of(&plan, &tenant.tenant) {
        return Outlook::Moves(tenant_move);
    }
    let mut own = plan.decisions.into_iter().filter(|decision| decision.tenant == tenant.tenant);
    // That a preparation is forgotten says nothing about where the tenant itself is.
    let telling = own.find(|decision| !matches!(decision.action, Action::Forget { .. }));
    match telling {
        Some(decision) => Outlook::Acts(decision.action),
        None if tenant.holds.is_empty() => Outlook::Absent,
        None if tenant.holds.iter().any(|hold| hold.phase == Phase::Active) => Outlook::Stays,
        None => Outlook::LetsGo,
    }
}

fn move_of(plan: &Plan, tenant: &TenantId) -> Option<TenantMove> {
    plan.moves.iter().find(|tenant_move| tenant_move.tenant == *tenant).cloned()
}

fn candidates(draft: &Draft<'_>, tenant: &TenantView) -> Vec<Candidate> {
    let weightless = (0..draft.nodes.len()).filter(|&node| draft.nodes[node].weight == 0);
    let candidates = draft.order(&tenant.tenant).chain(weightless).map(|node| {
        let (view, verdict) = (draft.nodes[node], verdict(draft, node, tenant));
        Candidate { node: view.node.clone(), zone: view.zone.clone(), verdict }
    });
    candidates.collect()
}

fn verdict(draft: &Draft<'_>, node: usize, tenant: &TenantView) -> Verdict {
    let (view, loads) = (draft.nodes[node], &draft.loads);
    if tenant.holds.iter().any(|hold| hold.node == view.node) {
        return Verdict::Here;
    }
    if let Some(preparation) = tenant.preparations.iter().find(|preparation| preparation.node == view.node) {
        return Verdict::Prepares { ready: preparation.ready };
    }
    if let Err(denial) = assign::admitted(draft, node, tenant) {
        return Verdict::Denies(denial);
    }
    let (load, most) = (loads.load(node), loads.band(node).most);
    let fails = draft.snapshot.failing_zones.contains(&view.zone);
    if tenant.is_sent_to(&view.node) {
        Verdict::HasRoom { load, most }
    } else if view.intake == Intake::Suspect {
        Verdict::Suspect
    } else if view.intake == Intake::Impaired {
        Verdict::Impaired
    } else if fails {
        Verdict::FailingZone
    } else if loads.is_within(node, Fit::WithinBand, tenant) {
        Verdict::HasRoom { load, most }
    } else {
        Verdict::AtItsMost { load, most }
    }
}

fn triggers(snapshot: &Snapshot, tenant: &TenantView, at: &NodeId) -> Vec<Trigger> {
    let mut triggers = vec![Trigger::Loss { to: after_loss(snapshot, &tenant.tenant, at) }];
    triggers.push(Trigger::Drain { to: after_drain(snapshot, &tenant.tenant, at) });
    let rebalanced = Snapshot { goal: Goal::Rebalance, ..snapshot.clone() };
    if let Some(tenant_move) = move_of(&plan(&rebalanced), &tenant.tenant) {
        triggers.push(Trigger::Rebalance { to: tenant_move.to });
    }
    triggers.push(Trigger::Order { pinned: tenant.pin.is_some() });
    triggers
}

fn after_loss(snapshot: &Snapshot, tenant: &TenantId, at: &NodeId) -> Option<NodeId> {
    let mut without = snapshot.clone();
    // A restart that is announced and a pause are no answer to where it would go.
    without.awaited.clear();
    without.failover_paused = false;
    without.failover_ramp = None;
    without.nodes.retain(|view| view.node != *at);
    for view in &mut without.tenants {
        view.holds.retain(|hold| hold.node != *at);
        view.preparations.retain(|preparation| preparation.node != *at);
    }
    let plan = plan(&without);
    plan.placements().find(|(placed, _)| *placed == tenant).map(|(_, node)| node.clone())
}

fn after_drain(snapshot: &Snapshot, tenant: &TenantId, at: &NodeId) -> Option<NodeId> {
    let mut drained = snapshot.clone();
    for view in drained.nodes.iter_mut().filter(|view| view.node == *at) {
        view.intake = Intake::Draining;
    }
    move_of(&plan(&drained), tenant).and_then(|tenant_move| tenant_move.to)
}
