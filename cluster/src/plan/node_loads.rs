//! How much each node has and has room for, with running totals: without them every tenant that finds no room would
//! look at every point of the ring to learn it. And how much each open node should have: its band.
//!
//! Room is a place and memory. What is counted is the nodes with room for a tenant that requests nothing, which most are; for one
//! that does, the nodes are looked at until one has room, and what none had room for is remembered. For its share a node is as large as
//! the tenants that request nothing which it could have.
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

use std::{cell::Cell, collections::BTreeSet};

use super::snapshot::{Goal, Intake, NodeView, TenantView};

/// Nodes that are as good as each other for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Open,
    /// In a zone that is losing nodes.
    OpenFailing,
    /// Or impaired.
    Suspect,
    SuspectFailing,
}

/// What makes a node fit to take one more, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It has fewer than it should.
    Lacking,
    /// It has fewer than its most.
    WithinBand,
    AnyRoom,
}

/// How many tenants a node should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Band {
    pub(super) least: usize,
    /// Rounded down.
    pub(super) share: usize,
    pub(super) most: usize,
    /// Above this a rebalance takes tenants away.
    pub(super) too_full: usize,
}

pub(super) struct NodeLoads {
    nodes: Vec<NodeLoad>,
    has_totals: bool,
    /// By group and fit: how many nodes.
    fitting: [[usize; 3]; 4],
    lacking: usize,
    /// Likewise: no node that fits has more memory free.
    free_at_most: Cell<[[u64; 3]; 4]>,
    /// Of those that take tenants and have a place, the one with most memory free; none when it is not known.
    roomiest: Cell<Option<Option<usize>>>,
}

const UNKNOWN: [[u64; 3]; 4] = [[u64::MAX; 3]; 4];

struct NodeLoad {
    /// None: it takes nothing.
    group: Option<Group>,
    capacity: u32,
    weighted: bool,
    /// Every entry and preparation that remains, whatever its phase. Counts against the capacity.
    hosted: u32,
    /// Whether the node says what it has of memory; else it is limited by its capacity alone.
    has_memory: bool,
    /// What it has; more than anybody requests where it does not say.
    allocatable: u64,
    /// What is kept free for one that requests nothing.
    default_request: u64,
    /// What is kept free for those that count against the capacity.
    requested: u64,
    /// The tenants that are to stay or to come. Counts against the band.
    load: usize,
    band: Band,
    fill_to: usize,
}

impl NodeLoads {
    pub(super) fn new(nodes: &[&NodeView], failing_zones: &BTreeSet<String>) -> Self {
        let occupancy = |view: &&NodeView| NodeLoad {
            group: group(view, failing_zones),
            capacity: view.capacity,
            weighted: view.weight > 0,
            hosted: 0,
            has_memory: view.memory.is_some(),
            allocatable: view.memory.map_or(u64::MAX, |memory| memory.allocatable_bytes),
            default_request: view.memory.map_or(0, |memory| memory.request_bytes(None)),
            requested: 0,
            load: 0,
            band: Band::default(),
            fill_to: 0,
        };
        Self {
            nodes: nodes.iter().map(occupancy).collect(),
            has_totals: false,
            fitting: [[0; 3]; 4],
            lacking: 0,
            free_at_most: Cell::new(UNKNOWN),
            roomiest: Cell::new(None),
        }
    }

    /// All is taken in that the nodes have; from here on the running totals hold. Nobody asks for them before.
    pub(super) fn sum_up(&mut self) {
        self.has_totals = true;
        for node in 0..self.nodes.len() {
            self.recount(node, Tally::default());
        }
    }

    pub(super) fn load(&self, node: usize) -> usize {
        self.nodes[node].load
    }

    pub(super) fn band(&self, node: usize) -> Band {
        self.nodes[node].band
    }

    /// How many places of the node are given away.
    pub(super) fn hosted(&self, node: usize) -> u32 {
        self.nodes[node].hosted
    }

    /// The memory of the node that is kept free for those.
    pub(super) fn requested(&self, node: usize) -> u64 {
        self.nodes[node].requested
    }

    /// How many the nodes that have fewer than they should are short of, and have room for.
    pub(super) fn lacking(&self) -> usize {
        self.lacking
    }

    /// Whether any node of the groups fits. Nodes without weight do not count: they are in no tenant's order.
    pub(super) fn any_fits(&self, groups: &[Group], fit: Fit, tenant: &TenantView) -> bool {
        let Some(requested) = tenant.memory_request_bytes else {
            return groups.iter().any(|&group| self.fitting[group as usize][fit as usize] > 0);
        };
        let mut at_most = self.free_at_most.get();
        if groups.iter().all(|&group| at_most[group as usize][fit as usize] < requested) {
            return false;
        }
        let weighted = || (0..self.nodes.len()).filter(|&node| self.nodes[node].weighted);
        if weighted().any(|node| self.fits(node, groups, fit, tenant)) {
            return true;
        }
        for &group in groups {
            let fitting = weighted().map(|node| &self.nodes[node]);
            let fitting = fitting.filter(|node| node.group == Some(group) && node.fits(fit, Some(0)));
            at_most[group as usize][fit as usize] = fitting.map(NodeLoad::free_bytes).max().unwrap_or(0);
        }
        self.free_at_most.set(at_most);
        false
    }

    /// What is free on the node that takes tenants, has a place, and has most memory free, and what it would keep of that for this one.
    pub(super) fn most_free(&self, tenant: &TenantView) -> Option<(u64, u64)> {
        let look = || {
            let roomy = |node: &usize| {
                let node = &self.nodes[*node];
                node.group.is_some() && node.weighted && node.hosted < node.capacity
            };
            (0..self.nodes.len()).filter(roomy).max_by_key(|&node| self.nodes[node].free_bytes())
        };
        let roomiest = self.roomiest.get().unwrap_or_else(look);
        self.roomiest.set(Some(roomiest));
        let node = &self.nodes[roomiest?];
        Some((node.free_bytes(), node.request_bytes(tenant.memory_request_bytes)))
    }

    /// Whether the node is of these groups and fits.
    pub(super) fn fits(&self, node: usize, groups: &[Group], fit: Fit, tenant: &TenantView) -> bool {
        let node = &self.nodes[node];
        node.group.is_some_and(|group| groups.contains(&group)) && node.fits(fit, tenant.memory_request_bytes)
    }

    pub(super) fn is_within(&self, node: usize, fit: Fit, tenant: &TenantView) -> bool {
        self.nodes[node].fits(fit, tenant.memory_request_bytes)
    }

    /// Sets the bands of the open nodes, and up to where each is to be filled; the others have none. `coming`: tenants that
    /// need a place on some open node and count nowhere yet. `filling`: the nodes that a rebalance has begun with.
    pub(super) fn set_bands(&mut self, nodes: &[&NodeView], coming: usize, filling: &[bool], goal: Goal) {
        let open: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].intake == Intake::Open).collect();
        let settled: usize = open.iter().map(|&node| self.load(node)).sum();
        let shares: Vec<Share> = open
            .iter()
            .map(|&node| Share { weight: nodes[node].weight, capacity: places(nodes[node]) })
            .collect();
        self.free_at_most.set(UNKNOWN);
        for (&node, band) in open.iter().zip(share_out(settled + coming, &shares)) {
            let begun = self.load(node) < band.least || filling[node];
            let fill_to = match goal {
                Goal::Rebalance if begun => band.share,
                Goal::Rebalance | Goal::Settle => band.least,
            };
            self.change(node, |node| (node.band, node.fill_to) = (band, fill_to));
        }
    }

    /// An entry is there.
    pub(super) fn host(&mut self, node: usize, tenant: &TenantView) {
        self.change(node, |node| node.add(tenant.memory_request_bytes));
    }

    /// A tenant that is there is to stay.
    pub(super) fn settle(&mut self, node: usize) {
        self.change(node, |node| node.load += 1);
    }

    /// A tenant that is there is to leave.
    pub(super) fn unsettle(&mut self, node: usize) {
        self.free_at_most.set(UNKNOWN);
        self.change(node, |node| node.load -= 1);
    }

    /// A tenant comes.
    pub(super) fn take(&mut self, node: usize, tenant: &TenantView) {
        self.change(node, |node| {
            node.add(tenant.memory_request_bytes);
            node.load += 1;
        });
    }

    /// A tenant does not come after all.
    pub(super) fn untake(&mut self, node: usize, tenant: &TenantView) {
        self.free_at_most.set(UNKNOWN);
        self.change(node, |node| {
            node.hosted -= 1;
            node.requested -= node.request_bytes(tenant.memory_request_bytes);
            node.load -= 1;
        });
    }

    fn change(&mut self, node: usize, change: impl FnOnce(&mut NodeLoad)) {
        if !self.has_totals {
            return change(&mut self.nodes[node]);
        }
        let before = self.nodes[node].tally();
        change(&mut self.nodes[node]);
        self.roomiest.set(None);
        self.recount(node, before);
    }

    /// `before`: what of the totals it was.
    fn recount(&mut self, node: usize, before: Tally) {
        let node = &self.nodes[node];
        let after = node.tally();
        let Some(group) = node.group.filter(|_| node.weighted && before != after) else { return };
        let fitting = self.fitting[group as usize].iter_mut();
        for (total, (was, is)) in fitting.zip(before.fits.into_iter().zip(after.fits)) {
            *total = *total + usize::from(is) - usize::from(was);
        }
        self.lacking = self.lacking + after.lacks - before.lacks;
    }
}

/// What a node is of the running totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// By fit, for a tenant that requests nothing.
    fits: [bool; 3],
    lacks: usize,
}

/// The most tenants that it could have, if none requested anything.
fn places(view: &NodeView) -> u32 {
    let by_memory =
        view.memory.and_then(|memory| memory.allocatable_bytes.checked_div(memory.request_bytes(None)));
    by_memory.map_or(view.capacity, |places| view.capacity.min(u32::try_from(places).unwrap_or(u32::MAX)))
}

impl NodeLoad {
    fn add(&mut self, requested: Option<u64>) {
        self.hosted += 1;
        self.requested += self.request_bytes(requested);
    }

    fn request_bytes(&self, requested: Option<u64>) -> u64 {
        requested.filter(|_| self.has_memory).unwrap_or(self.default_request)
    }

    fn free_bytes(&self) -> u64 {
        self.allocatable.saturating_sub(self.requested)
    }

    fn fits(&self, fit: Fit, requested: Option<u64>) -> bool {
        self.is_below(fit) && self.has_room(requested)
    }

    fn has_room(&self, requested: Option<u64>) -> bool {
        self.hosted < self.capacity && self.request_bytes(requested) <= self.free_bytes()
    }

    fn is_below(&self, fit: Fit) -> bool {
        match fit {
            Fit::Lacking => self.load < self.fill_to,
            Fit::WithinBand => self.load < self.band.most,
            Fit::AnyRoom => true,
        }
    }

    fn tally(&self) -> Tally {
        if !self.has_room(None) {
            return Tally::default();
        }
        let fits = [Fit::Lacking, Fit::WithinBand, Fit::AnyRoom].map(|fit| self.is_below(fit));
        Tally { fits, lacks: self.lacks() }
    }

    /// A division is slow, and this is asked with every change.
    fn lacks(&self) -> usize {
        let places = self.capacity.saturating_sub(self.hosted) as usize;
        let short = self.fill_to.saturating_sub(self.load).min(places);
        let (request, free) = (self.request_bytes(None), self.free_bytes());
        if request.saturating_mul(short as u64) <= free {
            return short;
        }
        usize::try_from(free / request).unwrap_or(usize::MAX)
    }
}

fn group(view: &NodeView, failing_zones: &BTreeSet<String>) -> Option<Group> {
    match (view.intake, failing_zones.contains(&view.zone)) {
        (Intake::Open, false) => Some(Group::Open),
        (Intake::Open, true) => Some(Group::OpenFailing),
        (Intake::Suspect | Intake::Impaired, false) => Some(Group::Suspect),
        (Intake::Suspect | Intake::Impaired, true) => Some(Group::SuspectFailing),
        (Intake::Cordoned | Intake::Shedding | Intake::Draining | Intake::Overdue | Intake::Leaving, _) => {
            None
        }
    }
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
