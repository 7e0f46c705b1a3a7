//! Step 2: the least and the most that each open node should have.
//!
//! The mean is weighted, and what a node's capacity cuts off its share is shared out among the others. Around its
//! share a node has a band of a tenth, so that the order of the ring decides and not the last tenant; where a tenth
//! is less than one tenant the share itself, rounded, is the band. The sum of the most is never below, the sum of the
//! least never above the number of tenants: there is room for everyone within the band, if there is room at all.

use super::{Draft, Goal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Band {
    pub(super) least: usize,
    pub(super) most: usize,
}

/// By node; nothing for a node that takes no tenants.
pub(super) fn bands(draft: &Draft<'_>, goal: Goal) -> Vec<Band> {
    let open: Vec<usize> = (0..draft.nodes.len()).filter(|&node| draft.is_open(node)).collect();
    let staying: usize = open.iter().map(|&node| draft.load(node)).sum();
    let total = staying + draft.homeless.len() + draft.in_transit;
    let shares: Vec<Share> = open
        .iter()
        .map(|&node| Share { weight: draft.nodes[node].weight, capacity: draft.nodes[node].capacity })
        .collect();
    let mut bands = vec![Band::default(); draft.nodes.len()];
    for (&node, band) in open.iter().zip(share_out(total, &shares, goal)) {
        bands[node] = band;
    }
    bands
}

struct Share {
    weight: u32,
    capacity: u32,
}

fn share_out(total: usize, nodes: &[Share], goal: Goal) -> Vec<Band> {
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
                bands[node] = share(node).band(goal, nodes[node].capacity);
            }
            return bands;
        }
        for node in full {
            let capacity = nodes[node].capacity as usize;
            bands[node] = Band { least: capacity, most: capacity };
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

    fn band(&self, goal: Goal, capacity: u32) -> Band {
        let nine_tenths_up = (self.of * 9).div_ceil(self.by * 10);
        let eleven_tenths_down = self.of * 11 / (self.by * 10);
        let least = match goal {
            Goal::Settle => self.floor().min(nine_tenths_up),
            // Whoever gets tenants in a rebalance is filled to its share: stopping at nine tenths of it would leave
            // the next node that is added less to take.
            Goal::Rebalance => self.floor(),
        };
        let most = self.of.div_ceil(self.by).max(eleven_tenths_down).min(u64::from(capacity));
        Band { least: least as usize, most: most as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bands_of(total: usize, nodes: &[(u32, u32)], goal: Goal) -> Vec<(usize, usize)> {
        let shares: Vec<Share> = nodes.iter().map(|&(weight, capacity)| Share { weight, capacity }).collect();
        share_out(total, &shares, goal).into_iter().map(|band| (band.least, band.most)).collect()
    }

    #[test]
    fn a_few_tenants_are_spread_evenly() {
        assert_eq!(bands_of(6, &[(100, 50); 3], Goal::Settle), [(2, 2); 3]);
        assert_eq!(bands_of(7, &[(100, 50); 3], Goal::Settle), [(2, 3); 3]);
    }

    #[test]
    fn many_tenants_have_a_tenth_of_play() {
        assert_eq!(bands_of(300, &[(100, 500); 3], Goal::Settle), [(90, 110); 3]);
        assert_eq!(bands_of(300, &[(100, 500); 3], Goal::Rebalance), [(100, 110); 3]);
    }

    #[test]
    fn shares_follow_the_weights() {
        let bands = bands_of(400, &[(100, 500), (300, 500), (0, 500)], Goal::Settle);
        assert_eq!(bands, [(90, 110), (270, 330), (0, 0)]);
    }

    #[test]
    fn what_a_small_node_cannot_take_is_shared_out_among_the_others() {
        assert_eq!(
            bands_of(300, &[(100, 20), (100, 500), (100, 500)], Goal::Settle),
            [(20, 20), (126, 154), (126, 154)]
        );
    }

    #[test]
    fn more_tenants_than_places_fill_every_node() {
        assert_eq!(bands_of(100, &[(100, 10), (100, 20)], Goal::Settle), [(10, 10), (20, 20)]);
        assert_eq!(bands_of(100, &[], Goal::Settle), []);
    }
}
