//! What is told about one tenant's place: the facts, and the words for them.

use std::fmt;

use super::{
    assign::AdmissionDenial,
    decision::{Action, TenantMove},
    snapshot::Wanted,
};
use crate::records::Phase;
use roost_model::ids::{NodeId, TenantId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub tenant: TenantId,
    pub wanted: Wanted,
    /// The live node that has it, and how.
    pub at: Option<(NodeId, Phase)>,
    /// Where the ledger had it last.
    pub last: Option<NodeId>,
    pub pin: Option<NodeId>,
    pub move_to: Option<NodeId>,
    pub outlook: Outlook,
    /// The live nodes in the tenant's order; those without weight at the end, by name.
    pub candidates: Vec<Candidate>,
    /// What would move it from where it is; nothing while it is on its way or nowhere.
    pub triggers: Vec<Trigger>,
}

/// What the plan of this moment does with the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    Stays,
    Moves(TenantMove),
    /// It is not on its way to another live node, but this is done.
    Acts(Action),
    /// The node that has it is letting go of it.
    LetsGo,
    /// It should not run, and does not.
    Absent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub node: NodeId,
    pub zone: String,
    pub verdict: Verdict,
}

/// What a node is for the tenant once the plan of this moment is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has the tenant.
    Here,
    /// It prepares to take it over.
    Prepares {
        ready: bool,
    },
    /// It does not take the tenant.
    Denies(AdmissionDenial),
    /// It takes the tenant when no open node has room.
    Suspect,
    /// Likewise, for something that its work needs is missing.
    Impaired,
    /// It has room, but its zone is losing nodes.
    FailingZone,
    AtItsMost {
        load: usize,
        most: usize,
    },
    HasRoom {
        load: usize,
        most: usize,
    },
}

/// `to` is where it would go as things are; None: it would have nowhere to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The loss of its node.
    Loss { to: Option<NodeId> },
    /// A drain of its node.
    Drain { to: Option<NodeId> },
    /// A rebalance, started now.
    Rebalance { to: Option<NodeId> },
    /// An operator's order: a move, or another pin if it is pinned.
    Order { pinned: bool },
}

impl Explanation {
    pub fn stays(&self) -> bool {
        self.outlook == Outlook::Stays
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { tenant, at, outlook, candidates, triggers, .. } = self;
        match at {
            Some((node, Phase::Active)) => writeln!(f, "{tenant} is on {node}")?,
            Some((node, Phase::Releasing | Phase::Preparing)) => writeln!(f, "{tenant} is leaving {node}")?,
            None => writeln!(f, "{tenant} is nowhere")?,
        }
        write!(f, "now: {outlook}")?;
        for candidate in candidates {
            write!(f, "\n{candidate}")?;
        }
        for trigger in triggers {
            write!(f, "\n{trigger}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stays => f.write_str("it stays"),
            Self::Moves(tenant_move) => tenant_move.fmt(f),
            Self::Acts(action) => action.fmt(f),
            Self::LetsGo => f.write_str("its node lets go of it"),
            Self::Absent => f.write_str("it is not to run"),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}: {}", self.node, self.zone, self.verdict)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("has it"),
            Self::Prepares { ready: false } => f.write_str("prepares for it"),
            Self::Prepares { ready: true } => f.write_str("is ready for it"),
            Self::Denies(denial) => denial.fmt(f),
            Self::Suspect => f.write_str("is suspect: it takes what no other has room for"),
            Self::Impaired => f.write_str("is impaired: it takes what no other has room for"),
            Self::FailingZone => f.write_str("has room, but its zone is losing nodes"),
            Self::AtItsMost { load, most } => write!(f, "has {load} and should have {most} at most"),
            Self::HasRoom { load, most } => write!(f, "has room, with {load} of {most}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, to) = match self {
            Self::Loss { to } => ("the loss of its node", to),
            Self::Drain { to } => ("a drain of its node", to),
            Self::Rebalance { to } => ("a rebalance", to),
            Self::Order { pinned: true } => return f.write_str("another pin would move it"),
            Self::Order { pinned: false } => {
                return f.write_str("an operator's move or pin would move it");
            }
        };
        match to {
            Some(to) => write!(f, "{what} would move it to {to}"),
            None => write!(f, "{what} would leave it without a node"),
        }
    }
}
