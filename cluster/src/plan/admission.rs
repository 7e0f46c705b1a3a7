//! Whether a node takes a tenant: the one rule. The plan, its explanations, the progress of operations and the refusal of
//! orders all ask here. Which of the nodes that would take a tenant it goes to is another question (`choose`). The plan's
//! `check` asks nobody, on purpose.

use std::fmt;

use super::snapshot::{Intake, NodeView, Snapshot, TenantView};
use roost_model::ids::NodeId;

/// Why a node does not take a tenant: the first that is true, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmissionDenial {
    /// It is not live.
    NodeGone,
    PinnedElsewhere {
        pin: NodeId,
    },
    Cordoned,
    Draining,
    Leaving,
    Full {
        capacity: u32,
    },
    /// It takes only what is sent there.
    WithoutWeight,
}

impl Snapshot {
    /// Whether the node takes the tenant as things are. What is on its way to the node counts as there; what the tenant
    /// itself has there, an entry or a preparation, is its own place and takes none from it.
    pub fn admits(&self, node: &NodeId, tenant: &TenantView) -> Result<(), AdmissionDenial> {
        let view = self.nodes.iter().find(|view| view.node == *node).ok_or(AdmissionDenial::NodeGone)?;
        let others = self.tenants.iter().filter(|other| other.tenant != tenant.tenant);
        let places = others.flat_map(|other| {
            let held = other.holds.iter().map(|hold| &hold.node);
            held.chain(other.preparations.iter().map(|preparation| &preparation.node))
        });
        let hosted = places.filter(|on| *on == node).count();
        admits(view, tenant, u32::try_from(hosted).unwrap_or(u32::MAX))
    }
}

/// The rule, for a live node that has given away so many places.
pub(super) fn admits(view: &NodeView, tenant: &TenantView, hosted: u32) -> Result<(), AdmissionDenial> {
    if let Some(pin) = tenant.pin.as_ref().filter(|_| !tenant.allows(&view.node)) {
        return Err(AdmissionDenial::PinnedElsewhere { pin: pin.clone() });
    }
    match view.intake {
        Intake::Open | Intake::Suspect => {}
        Intake::Cordoned => return Err(AdmissionDenial::Cordoned),
        Intake::Draining => return Err(AdmissionDenial::Draining),
        Intake::Leaving => return Err(AdmissionDenial::Leaving),
    }
    if hosted >= view.capacity {
        return Err(AdmissionDenial::Full { capacity: view.capacity });
    }
    if view.weight == 0 && !tenant.is_sent_to(&view.node) {
        return Err(AdmissionDenial::WithoutWeight);
    }
    Ok(())
}

impl fmt::Display for AdmissionDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeGone => f.write_str("is gone"),
            Self::PinnedElsewhere { .. } => f.write_str("is not where it is pinned"),
            Self::Cordoned => f.write_str("is cordoned"),
            Self::Draining => f.write_str("is being drained"),
            Self::Leaving => f.write_str("is leaving"),
            Self::Full { capacity } => write!(f, "is full with its {capacity}"),
            Self::WithoutWeight => f.write_str("has no weight: it takes only what is sent there"),
        }
    }
}
