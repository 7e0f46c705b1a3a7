//! Step 3: the least and the most that each open node should have.
//!
//! The mean is weighted, and what a node's capacity cuts off its share is shared out among the others. Around its
//! share a node has a band of a tenth, so that the order of the ring decides and not the last tenant; where a tenth
//! is less than one tenant the share itself, rounded, is the band. The sum of the most is never below, the sum of the
//! least never above the number of tenants: there is room for everyone within the band, if there is room at all.
//!
//! A zone's share is that of its nodes together, so with every node in its band every zone is within a tenth of the
//! share that its weight gives it, however many nodes it has.
//!
//! A rebalance fills a node that is below its least up to its whole share: stopping at nine tenths of it would leave
//! the next node that is added less to take. It does not touch one that is between the two, for then adding a node
//! would also move what the ring has unevenly spread before, many times the new node's share in a large cluster. So
//! it has to know later on which nodes it has begun with: those that a move of it is still on its way to. For the same
//! reason it takes a node for too full a little later than placing does: a new node makes every share a little smaller,
//! and one tenant from each of the nodes that were just at their most is more than the new node's share.

use super::{
    draft::{Draft, PlannedTenant, TenantState},
    node_loads::Band,
    preparations,
    snapshot::Goal,
};

/// Sets the bands of the open nodes, and up to where each is to be filled. The others have none.
pub(super) fn set(draft: &mut Draft<'_>) {
    let open: Vec<usize> = draft.open_nodes().collect();
    let settled: usize = open.iter().map(|&node| draft.loads.load(node)).sum();
    let total = settled + draft.tenants.iter().filter(|planned| is_to_come(planned)).count();
    let shares: Vec<Share> = open
        .iter()
        .map(|&node| Share { weight: draft.nodes[node].weight, capacity: draft.nodes[node].capacity })
        .collect();
    let filling = filling(draft);
    for (&node, band) in open.iter().zip(share_out(total, &shares)) {
        let begun = draft.loads.load(node) < band.least || filling[node];
        let fill_to = match draft.snapshot.goal {
            Goal::Rebalance if begun => band.share,
            Goal::Rebalance | Goal::Settle => band.least,
        };
        draft.loads.set_band(node, band, fill_to);
    }
}

/// It counts nowhere yet and needs a place on some open node.
fn is_to_come(planned: &PlannedTenant<'_>) -> bool {
    let placeless = match &planned.state {
        TenantState::Unplaced { held } => held.is_none(),
        TenantState::InTransit { .. } => true,
        TenantState::Resident { asks, .. } => asks.is_some(),
    };
    placeless && planned.next.is_none()
}

/// By node: whether a move of a rebalance is on its way there. A release has lost its reason by the next plan; from an
/// open node, and without an order of its own, only a rebalance moves a tenant.
pub(super) fn filling(draft: &Draft<'_>) -> Vec<bool> {
    let mut filling = vec![false; draft.nodes.len()];
    for planned in draft.tenants.iter().filter(|planned| preparations::is_movable(planned)) {
        let from = match &planned.state {
            TenantState::Unplaced { .. } => planned.tenant.last.as_ref().and_then(|last| draft.find(last)),
            TenantState::InTransit { from, .. } => Some(*from),
            TenantState::Resident { node, asks } => asks.is_none().then_some(*node),
        };
        if let (Some(next), Some(from)) = (planned.next, from)
            && draft.is_open(from)
        {
            filling[next.node] = true;
        }
    }
    filling
}

#[derive(Clone, Copy)]
struct Share {
    weight: u32,
    capacity: u32,
}

fn share_out(total: usize, nodes: &[Share]) -> Vec<Band> {
    let mut bands = vec![Band::default(); nodes.len()];
    let mut unfilled: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].weight > 0).collect();
    let mut rest = total;
    loop {
        let weight: u64 = unfilled.iter().map(|&node| u64::from(nodes[node].weight)).sum();
        let share = |node: usize| Ratio { of: rest as u64 * u64::from(nodes[node].weight), by: weight };
        let (full, roomy): (Vec<usize>, Vec<usize>) =
            unfilled.iter().partition(|&&node| share(node).floor() >= u64::from(nodes[node].capacity));
        if full.is_empty() {
            for node in roomy {
                bands[node] = share(node).band(nodes[node].capacity);
            }
            return bands;
        }
        for node in full {
            let capacity = nodes[node].capacity as usize;
            // A tenth of play here too, or a node that is about full would never be left alone.
            bands[node] = Band {
                least: (capacity * 9).div_ceil(10),
                share: capacity,
                most: capacity,
                too_full: capacity,
            };
            rest -= capacity.min(rest);
        }
        unfilled = roomy;
    }
}

/// A share as a fraction, for a float would round differently for different sums.
struct Ratio {
    of: u64,
    by: u64,
}

impl Ratio {
    fn floor(&self) -> u64 {
        self.of / self.by
    }

    fn band(&self, capacity: u32) -> Band {
        let nine_tenths_up = (self.of * 9).div_ceil(self.by * 10);
        let eleven_tenths_down = self.of * 11 / (self.by * 10);
        let eleven_tenths_up = (self.of * 11).div_ceil(self.by * 10);
        let most = self.of.div_ceil(self.by).max(eleven_tenths_down);
        let capacity = u64::from(capacity);
        Band {
            least: self.floor().min(nine_tenths_up) as usize,
            share: self.floor() as usize,
            most: most.min(capacity) as usize,
            too_full: eleven_tenths_up.min(capacity) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Least, share, most.
    fn bands_of(total: usize, nodes: &[(u32, u32)]) -> Vec<(usize, usize, usize)> {
        let shares: Vec<Share> = nodes.iter().map(|&(weight, capacity)| Share { weight, capacity }).collect();
        share_out(total, &shares).into_iter().map(|band| (band.least, band.share, band.most)).collect()
    }

    #[test]
    fn a_rebalance_leaves_alone_what_a_slightly_smaller_share_makes_too_full() {
        let share = |total| share_out(total, &[Share { weight: 100, capacity: 500 }; 10])[0];
        assert_eq!((share(1_000).most, share(999).most, share(999).too_full), (110, 109, 110));
        assert_eq!((share(10).too_full, share(11).too_full), (2, 2));
    }

    #[test]
    fn a_few_tenants_are_spread_evenly() {
        assert_eq!(bands_of(6, &[(100, 50); 3]), [(2, 2, 2); 3]);
        assert_eq!(bands_of(7, &[(100, 50); 3]), [(2, 2, 3); 3]);
    }

    #[test]
    fn many_tenants_have_a_tenth_of_play() {
        assert_eq!(bands_of(300, &[(100, 500); 3]), [(90, 100, 110); 3]);
    }

    #[test]
    fn shares_follow_the_weights() {
        let bands = bands_of(400, &[(100, 500), (300, 500), (0, 500)]);
        assert_eq!(bands, [(90, 100, 110), (270, 300, 330), (0, 0, 0)]);
    }

    #[test]
    fn what_a_small_node_cannot_take_is_shared_out_among_the_others() {
        assert_eq!(
            bands_of(300, &[(100, 20), (100, 500), (100, 500)]),
            [(18, 20, 20), (126, 140, 154), (126, 140, 154)]
        );
    }

    #[test]
    fn more_tenants_than_places_fill_every_node() {
        assert_eq!(bands_of(100, &[(100, 10), (100, 20)]), [(9, 10, 10), (18, 20, 20)]);
        assert_eq!(bands_of(100, &[]), []);
    }
}
