//! All that a plan depends on. Built by the controller from the registry and the ledger, and by tests from nothing.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::{Generation, NodeId, TenantId};

use crate::records::{NodeMemory, Phase};

/// One moment. The order of the lists does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Live ones only.
    pub nodes: Vec<NodeView>,
    /// Every tenant that is wanted or that a live node has.
    pub tenants: Vec<TenantView>,
    pub goal: Goal,
    /// Nodes that are away for a moment: those of their tenants that were there last wait for them.
    pub awaited: BTreeSet<NodeId>,
    /// Tenants whose last node is not live wait for it, or for an operator.
    pub failover_paused: bool,
    /// After a mass loss, so many of the tenants whose last node is not live may be placed now; the others wait their turn.
    pub failover_ramp: Option<u32>,
    /// Zones that are losing nodes: tenants that lost theirs go there last.
    pub failing_zones: BTreeSet<String>,
    /// Of moves that somebody ordered, and of those off nodes that are being drained.
    pub limits: MoveLimits,
    /// Of moves that a rebalance chose. Neither kind counts against the other.
    pub rebalance_limits: MoveLimits,
    /// Live nodes with a record in the registry that cannot be read, and why. What such a node has is not known: nothing
    /// is decided about the tenants that may be there, and it takes none: it is cordoned in `nodes`.
    pub unreadable: BTreeMap<NodeId, String>,
    /// By node that is short of memory: the tenant that it sheds now. The others stay.
    pub sheds: BTreeMap<NodeId, TenantId>,
}

impl Snapshot {
    /// With nothing out of the ordinary: it is to settle, and nobody is held back.
    pub fn new(nodes: Vec<NodeView>, tenants: Vec<TenantView>) -> Self {
        Self {
            nodes,
            tenants,
            goal: Goal::Settle,
            awaited: BTreeSet::new(),
            failover_paused: false,
            failover_ramp: None,
            failing_zones: BTreeSet::new(),
            limits: MoveLimits::default(),
            rebalance_limits: MoveLimits::default(),
            unreadable: BTreeMap::new(),
            sheds: BTreeMap::new(),
        }
    }
}

/// How many tenants may be on their way between live nodes at once. What has to be released at once (a stopped tenant, a
/// node that is leaving, an overdue drain) is not counted and not held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveLimits {
    /// In the whole cluster, being prepared or released.
    pub per_cluster: u32,
    /// From, and likewise to, any one node.
    pub per_node: u32,
    /// In the whole cluster, released by one node and not yet placed on the next.
    pub unavailable: u32,
}

impl Default for MoveLimits {
    fn default() -> Self {
        Self { per_cluster: 16, per_node: 4, unavailable: 16 }
    }
}

/// How much may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Only what must be.
    Settle,
    /// Also what brings every node into its band.
    Rebalance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub node: NodeId,
    /// The most tenants it takes.
    pub capacity: u32,
    /// Its share relative to the other nodes; one of weight 0 takes no tenant that is not pinned to it.
    pub weight: u32,
    pub zone: String,
    pub intake: Intake,
    /// None: tenants are placed on it by their number alone.
    pub memory: Option<NodeMemory>,
}

/// Whether a live node takes tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    Open,
    /// It comes and goes: it keeps what it has, and takes tenants that no open node has room for.
    Suspect,
    /// Something that its work needs is missing: it keeps what it has, and takes tenants that nobody has and that no open
    /// node has room for. None is moved to it, unless somebody names it.
    Impaired,
    /// It keeps what it has and takes nothing.
    Cordoned,
    /// It has been impaired for long: its tenants move, prepared and paced, and it takes nothing.
    Shedding,
    /// An operator wants it empty: its tenants move, prepared and paced, and it takes nothing.
    Draining,
    /// Its drain's deadline has passed: whoever has a place elsewhere goes at once, the others stay, and it takes nothing.
    Overdue,
    /// It is about to end: it hands over everything at once and takes nothing.
    Leaving,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantView {
    pub tenant: TenantId,
    pub wanted: Wanted,
    /// The ledger's: an entry of another one cannot write.
    pub generation: Generation,
    /// Where the ledger had it last.
    pub last: Option<NodeId>,
    /// The only node that may have it.
    pub pin: Option<NodeId>,
    /// An operator moves it there; once it is there this says nothing any more.
    pub move_to: Option<NodeId>,
    /// An operator moves it away from there, wherever its place is then; once it is elsewhere this says nothing any more.
    pub leaves: Option<NodeId>,
    /// The memory that is to be kept free for it; a node's own default where it requests nothing.
    pub memory_request_bytes: Option<u64>,
    /// The live nodes that prepare for it: none or one, but the plan does not rely on that.
    pub preparations: Vec<Preparation>,
    /// Live nodes that have lately not got ready for it: none of them takes it from a node that has it.
    pub unprepared: Vec<NodeId>,
    /// Its entries on live nodes: none or one, but the plan does not rely on that.
    pub holds: Vec<Hold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Running,
    Stopped,
    Deleted,
}

/// An entry of phase [`Phase::Preparing`] on a live node, addressed to its present life. No owner: see there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    pub node: NodeId,
    /// The node says that all is done that can be done ahead.
    pub ready: bool,
}

/// An entry of a tenant on a live node, addressed to its present life, of any phase but `Preparing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub node: NodeId,
    pub generation: Generation,
    pub phase: Phase,
    /// The node has taken the entry in as it is and says that it does not have the tenant (any more).
    pub let_go: bool,
}

impl Intake {
    /// Whether it takes tenants at all, be it as a last resort.
    pub fn takes(self) -> bool {
        match self {
            Self::Open | Self::Suspect | Self::Impaired => true,
            Self::Cordoned | Self::Shedding | Self::Draining | Self::Overdue | Self::Leaving => false,
        }
    }

    /// Whether it takes only what no open node has room for.
    pub fn is_last_resort(self) -> bool {
        matches!(self, Self::Suspect | Self::Impaired)
    }
}

impl Snapshot {
    /// The node whose unreadable record may be about this tenant, and why it cannot be read.
    pub fn keeper(&self, tenant: &TenantView) -> Option<(&NodeId, &str)> {
        if self.unreadable.is_empty() {
            return None;
        }
        let may_be_on = tenant.holds.iter().map(|hold| &hold.node).chain(&tenant.last);
        may_be_on
            .filter_map(|node| self.unreadable.get_key_value(node))
            .map(|(node, reason)| (node, reason.as_str()))
            .next()
    }
}

impl Snapshot {
    /// Whether the tenant, and perhaps no other, is to leave the node for want of memory there. Nobody's order is undone for it.
    pub(super) fn is_shed_by(&self, node: &NodeView, tenant: &TenantView) -> bool {
        matches!(node.intake, Intake::Impaired | Intake::Cordoned)
            && self.sheds.get(&node.node) == Some(&tenant.tenant)
            && !tenant.is_sent_to(&node.node)
    }
}

impl TenantView {
    /// The same tenant as if an operator had ordered it to the node; a pin says more than that.
    pub fn sent_to(&self, node: &NodeId) -> Self {
        Self { move_to: Some(node.clone()), ..self.clone() }
    }

    /// The same tenant as if it were pinned to the node.
    pub fn pinned_to(&self, node: &NodeId) -> Self {
        Self { pin: Some(node.clone()), ..self.clone() }
    }

    /// A node has it still, so that it can stay where it is.
    pub(super) fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Whether the tenant may be on the node whatever the node's share: it is pinned or moved there.
    pub(super) fn is_sent_to(&self, node: &NodeId) -> bool {
        self.pin.as_ref().or(self.move_to.as_ref()) == Some(node)
    }

    /// What of a node's memory is kept free for it there.
    pub(super) fn request_on(&self, node: &NodeView) -> u64 {
        node.memory.map_or(0, |memory| memory.request_bytes(self.memory_request_bytes))
    }

    /// Whether an operator moves it away from the node, and names none that it is to be on.
    pub(super) fn is_to_leave(&self, node: &NodeId) -> bool {
        self.leaves.as_ref() == Some(node) && self.move_to.is_none()
    }

    pub(super) fn allows(&self, node: &NodeId) -> bool {
        self.pin.as_ref().is_none_or(|pin| pin == node)
    }
}
