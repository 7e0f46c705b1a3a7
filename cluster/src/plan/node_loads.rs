//! How much each node has and has room for, with running totals: without them every tenant that finds no room would
//! look at every point of the ring to learn it.

use std::collections::BTreeSet;

use super::snapshot::{Intake, NodeView};

/// Nodes that are as good as each other for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Open,
    /// In a zone that is losing nodes.
    OpenFailing,
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
    /// By group and fit: how many nodes.
    fitting: [[usize; 3]; 4],
    lacking: usize,
}

struct NodeLoad {
    /// None: it takes nothing.
    group: Option<Group>,
    capacity: u32,
    weighted: bool,
    /// Every entry and preparation that remains, whatever its phase. Counts against the capacity.
    hosted: u32,
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
            load: 0,
            band: Band::default(),
            fill_to: 0,
        };
        let mut loads =
            Self { nodes: nodes.iter().map(occupancy).collect(), fitting: [[0; 3]; 4], lacking: 0 };
        for node in 0..nodes.len() {
            loads.count(node, |total, more| *total += more);
        }
        loads
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

    /// How many the nodes that have fewer than they should are short of, and have room for.
    pub(super) fn lacking(&self) -> usize {
        self.lacking
    }

    /// Whether any node of the groups fits. Nodes without weight do not count: they are in no tenant's order.
    pub(super) fn any_fits(&self, groups: &[Group], fit: Fit) -> bool {
        groups.iter().any(|&group| self.fitting[group as usize][fit as usize] > 0)
    }

    /// Whether the node is of these groups and fits.
    pub(super) fn fits(&self, node: usize, groups: &[Group], fit: Fit) -> bool {
        let node = &self.nodes[node];
        node.group.is_some_and(|group| groups.contains(&group)) && node.fits(fit)
    }

    pub(super) fn is_within(&self, node: usize, fit: Fit) -> bool {
        self.nodes[node].fits(fit)
    }

    pub(super) fn set_band(&mut self, node: usize, band: Band, fill_to: usize) {
        self.change(node, |node| (node.band, node.fill_to) = (band, fill_to));
    }

    /// An entry is there.
    pub(super) fn host(&mut self, node: usize) {
        self.change(node, |node| node.hosted += 1);
    }

    /// A tenant that is there is to stay.
    pub(super) fn settle(&mut self, node: usize) {
        self.change(node, |node| node.load += 1);
    }

    /// A tenant that is there is to leave.
    pub(super) fn unsettle(&mut self, node: usize) {
        self.change(node, |node| node.load -= 1);
    }

    /// A tenant comes.
    pub(super) fn take(&mut self, node: usize) {
        self.change(node, |node| (node.hosted, node.load) = (node.hosted + 1, node.load + 1));
    }

    /// A tenant does not come after all.
    pub(super) fn untake(&mut self, node: usize) {
        self.change(node, |node| (node.hosted, node.load) = (node.hosted - 1, node.load - 1));
    }

    fn change(&mut self, node: usize, change: impl FnOnce(&mut NodeLoad)) {
        self.count(node, |total, less| *total -= less);
        change(&mut self.nodes[node]);
        self.count(node, |total, more| *total += more);
    }

    fn count(&mut self, node: usize, add: impl Fn(&mut usize, usize)) {
        let node = &self.nodes[node];
        let Some(group) = node.group.filter(|_| node.weighted) else { return };
        for fit in [Fit::Lacking, Fit::WithinBand, Fit::AnyRoom] {
            add(&mut self.fitting[group as usize][fit as usize], usize::from(node.fits(fit)));
        }
        add(&mut self.lacking, node.lacks());
    }
}

impl NodeLoad {
    fn fits(&self, fit: Fit) -> bool {
        let has_room = self.hosted < self.capacity;
        match fit {
            Fit::Lacking => has_room && self.load < self.fill_to,
            Fit::WithinBand => has_room && self.load < self.band.most,
            Fit::AnyRoom => has_room,
        }
    }

    fn lacks(&self) -> usize {
        let room = self.capacity.saturating_sub(self.hosted) as usize;
        self.fill_to.saturating_sub(self.load).min(room)
    }
}

fn group(view: &NodeView, failing_zones: &BTreeSet<String>) -> Option<Group> {
    match (view.intake, failing_zones.contains(&view.zone)) {
        (Intake::Open, false) => Some(Group::Open),
        (Intake::Open, true) => Some(Group::OpenFailing),
        (Intake::Suspect, false) => Some(Group::Suspect),
        (Intake::Suspect, true) => Some(Group::SuspectFailing),
        (Intake::Cordoned | Intake::Draining | Intake::Leaving, _) => None,
    }
}
