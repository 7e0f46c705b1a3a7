//! The steps of a plan, in their order.

#[cfg(debug_assertions)]
use super::check;
use super::{
    assign, band,
    decision::Plan,
    draft::Draft,
    holds, preparations, rebalance,
    snapshot::{Goal, Snapshot},
    throttle,
};

/// See [`crate::plan`].
pub fn plan(snapshot: &Snapshot) -> Plan {
    let plan = into_plan(finished(snapshot));
    #[cfg(debug_assertions)]
    debug_assert_eq!(check::broken_rule(snapshot, &plan), None, "{plan}");
    plan
}

/// All steps of the plan.
pub(super) fn finished(snapshot: &Snapshot) -> Draft<'_> {
    let mut draft = Draft::new(snapshot);
    holds::settle(&mut draft);
    preparations::keep(&mut draft);
    band::set(&mut draft);
    if snapshot.goal == Goal::Rebalance {
        rebalance::go_on(&mut draft);
    }
    assign::place(&mut draft);
    assign::move_asked(&mut draft);
    if snapshot.goal == Goal::Rebalance {
        rebalance::choose(&mut draft);
    }
    throttle::begin(&mut draft);
    preparations::forget(&mut draft);
    draft
}

pub(super) fn into_plan(draft: Draft<'_>) -> Plan {
    let mut decisions = draft.decisions;
    decisions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    Plan { decisions, moves: draft.moves }
}
