//! What a node that is short of memory is to the plan. It is impaired as others are, but that it takes nothing at all, and that its
//! tenants leave one at a time: each that leaves takes some of what is lacking from the others.

use std::collections::BTreeMap;

use roost_model::ids::{NodeId, TenantId};

use crate::records::{Impairment, ImpairmentKind, NodeMemory, NodeRecord};

/// Nothing is left of it, whatever the node has for tenants.
const NONE_LEFT: NodeMemory = NodeMemory { allocatable_bytes: 0, p95_bytes: None };

pub(super) fn memory_for_tenants(record: &NodeRecord) -> Option<NodeMemory> {
    if shortage(record).is_some() { Some(NONE_LEFT) } else { record.memory }
}

/// By node that sheds for this, the tenant that it has named.
pub(super) fn sheds(
    nodes: &BTreeMap<NodeId, NodeRecord>,
    shedding: &BTreeMap<NodeId, ImpairmentKind>,
) -> BTreeMap<NodeId, TenantId> {
    let for_memory = shedding.iter().filter(|(_, kind)| **kind == ImpairmentKind::Memory);
    let named = for_memory.filter_map(|(node, _)| {
        let next = shortage(nodes.get(node)?)?.next_to_leave.as_ref()?;
        Some((node.clone(), next.tenant.clone()))
    });
    named.collect()
}

fn shortage(record: &NodeRecord) -> Option<&Impairment> {
    record.impairments.iter().find(|impairment| impairment.kind == ImpairmentKind::Memory)
}
