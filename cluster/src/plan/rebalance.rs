//! Step 6, on request: the fewest moves that bring every node into its band.
//!
//! A node that is too full gives away until it is not; where others are short, the fullest give as many as those
//! lack. What is given goes where tenants are lacking, and only when nobody lacks any to where the band has room.
//! Each giver chooses the tenants that have a receiver earliest in their order.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{
    assign,
    draft::{Draft, PendingMove, Stage, Target, TenantState},
    node_loads::{Band, Fit},
    reason::{Choice, ReleaseReason},
};

/// Before anything else is given a node: goes on with the moves that have been prepared, unless the nodes that they
/// are from and to have changed so that they would do harm.
pub(super) fn go_on(draft: &mut Draft<'_>) {
    for index in 0..draft.tenants.len() {
        let planned = &draft.tenants[index];
        let (TenantState::Resident { node: from, asks: None }, Some(next)) =
            (planned.state.clone(), planned.next)
        else {
            continue;
        };
        let (giver, receiver) = (draft.loads.band(from), draft.loads.band(next.node));
        if draft.loads.load(from) < giver.least || draft.loads.load(next.node) > receiver.most {
            draft.loads.untake(next.node, draft.tenants[index].tenant);
            draft.loads.settle(from);
            draft.tenants[index].next = None;
        } else {
            let reason = reason(draft.loads.load(from) + 1, giver);
            draft.pending_moves.push(PendingMove { index, from, reason, stage: Stage::Prepared(next) });
        }
    }
}

pub(super) fn choose(draft: &mut Draft<'_>) {
    let mut givers = Givers::new(draft);
    for node in draft.open_nodes() {
        while draft.loads.load(node) > draft.loads.band(node).too_full {
            let fit = if draft.loads.lacking() > 0 { Fit::Lacking } else { Fit::WithinBand };
            // Those that lack tenants may lack the memory for the ones that it has.
            let given = givers.give(draft, node, fit) || givers.give(draft, node, Fit::WithinBand);
            if !given {
                break;
            }
        }
    }
    let coming =
        draft.tenants.iter().filter(|planned| is_coming(&planned.state) && planned.next.is_none()).count();
    let spare = |draft: &Draft<'_>, node| draft.loads.load(node) > draft.loads.band(node).share;
    let open = draft.open_nodes().filter(|&node| spare(draft, node));
    let mut fullest: BinaryHeap<Fullness> = open.map(|node| Fullness::of(draft, node)).collect();
    while draft.loads.lacking() > coming
        && let Some(Fullness { node, .. }) = fullest.pop()
    {
        if givers.give(draft, node, Fit::Lacking) && spare(draft, node) {
            fullest.push(Fullness::of(draft, node));
        }
    }
}

/// It will need a place soon, and is given one where tenants are lacking.
fn is_coming(state: &TenantState) -> bool {
    matches!(state, TenantState::InTransit { .. })
}

/// Why a rebalance takes a tenant from a node that has so many.
pub(super) fn reason(load: usize, band: Band) -> ReleaseReason {
    if load > band.too_full {
        ReleaseReason::TooFull { load, most: band.too_full }
    } else {
        ReleaseReason::OthersTooEmpty { load, least: band.share }
    }
}

/// By node: the tenants that it may give away, the most willing on top. Ordered when it gives its first, for most
/// nodes give none.
struct Givers {
    movable: Vec<Vec<usize>>,
    willing: Vec<Option<(Fit, Willing)>>,
}

/// By how many nodes come before the first that fits in the tenant's order. That number can only grow while nodes fill
/// up, so it is looked at again when the tenant is on top.
type Willing = BinaryHeap<Reverse<(usize, usize)>>;

impl Givers {
    fn new(draft: &Draft<'_>) -> Self {
        let mut movable = vec![Vec::new(); draft.nodes.len()];
        for (index, planned) in draft.tenants.iter().enumerate() {
            if let TenantState::Resident { node, asks: None } = planned.state
                && planned.next.is_none()
                && draft.is_open(node)
                && planned.is_movable()
            {
                movable[node].push(index);
            }
        }
        Self { movable, willing: vec![None; draft.nodes.len()] }
    }

    /// Whether the node had a tenant to give.
    fn give(&mut self, draft: &mut Draft<'_>, from: usize, fit: Fit) -> bool {
        let Some((index, target)) = self.most_willing(draft, from, fit) else { return false };
        let reason = reason(draft.loads.load(from), draft.loads.band(from));
        draft.loads.unsettle(from);
        assign::begin_move(draft, index, from, reason, target);
        true
    }

    fn most_willing(&mut self, draft: &Draft<'_>, from: usize, fit: Fit) -> Option<(usize, Target)> {
        let first = |index: usize| assign::first_open(draft, draft.tenants[index].tenant, fit);
        let willing = match &mut self.willing[from] {
            Some((ordered_by, willing)) if *ordered_by == fit => willing,
            unordered => {
                // What is left of an earlier order is what has not been given.
                let left: Vec<usize> = match unordered.take() {
                    Some((_, willing)) => willing.into_iter().map(|Reverse((_, index))| index).collect(),
                    None => std::mem::take(&mut self.movable[from]),
                };
                let ordered =
                    left.into_iter().filter_map(|index| first(index).map(|(rank, _)| Reverse((rank, index))));
                &mut unordered.insert((fit, ordered.collect())).1
            }
        };
        while let Some(Reverse((rank, index))) = willing.pop() {
            match first(index) {
                Some((now, node)) if now == rank => {
                    let choice = match fit {
                        Fit::Lacking => Choice::FillsUp,
                        Fit::WithinBand | Fit::AnyRoom => Choice::Order { skipped: rank },
                    };
                    return Some((index, Target { node, choice }));
                }
                Some((now, _)) => willing.push(Reverse((now, index))),
                None => {}
            }
        }
        None
    }
}

/// How full a node is for its weight; of two that are equal the first by name is the fuller.
#[derive(Debug, PartialEq, Eq)]
struct Fullness {
    load: u64,
    weight: u64,
    node: usize,
}

impl Fullness {
    fn of(draft: &Draft<'_>, node: usize) -> Self {
        Self { load: draft.loads.load(node) as u64, weight: draft.nodes[node].weight.into(), node }
    }
}

impl Ord for Fullness {
    fn cmp(&self, other: &Self) -> Ordering {
        // As fractions: a float would round differently for different loads.
        let (own, others) = (self.load * other.weight, other.load * self.weight);
        own.cmp(&others).then(other.node.cmp(&self.node))
    }
}

impl PartialOrd for Fullness {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
