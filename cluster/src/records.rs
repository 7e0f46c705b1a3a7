//! The values kept in the registry, as JSON. [`crate::keys`] lists under which key each one is, who writes it and
//! whether it is leased.

use roost_model::ids::{Generation, Incarnation, NodeId, Revision, SpecRevision, TenantId};
use serde::{Deserialize, Serialize};

/// `nodes/<node>`: a live node. Written by the node, leased: gone means dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub node: NodeId,
    pub incarnation: Incarnation,
    /// host:port of the node's health endpoint.
    pub address: String,
    /// The most tenants it takes.
    pub capacity: u32,
    /// Its share of the tenants relative to the other nodes; 100 is usual.
    pub weight: u32,
    pub zone: String,
    pub version: String,
    /// On its way out: it hands its tenants over and takes no new ones.
    pub leaving: bool,
    /// Milliseconds since the epoch, for people; nothing is decided by it.
    pub started_at_ms: i64,
}

/// `assignments/<node>`: what the node hosts. Written by the controller only, not leased. It is addressed to one life
/// of the node: a restarted one ignores what was meant for its predecessor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentRecord {
    pub incarnation: Incarnation,
    pub entries: Vec<AssignmentEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentEntry {
    pub tenant: TenantId,
    pub generation: Generation,
    pub phase: Phase,
    pub spec_revision: SpecRevision,
}

/// Where a tenant stands on its node. An entry of any phase on a live node keeps the tenant from being placed
/// elsewhere (I1); it goes only when the node's ack says that the browser is gone, or when that life of the node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The node runs the worker.
    Active,
    /// The node stops the worker and acknowledges.
    Releasing,
    /// Another node has the tenant and this one is next: it fetches the session and starts a browser that opens
    /// nothing yet, and acknowledges. It owns nothing; the generation is the present owner's.
    Preparing,
}

/// `acks/<node>`: how far the node has come. Written by the node, leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRecord {
    pub incarnation: Incarnation,
    /// The mod revision of `assignments/<node>` that has been taken in; every tenant of it is in `held` from before
    /// its browser is launched until after its browser is dead.
    pub applied: Revision,
    pub held: Vec<HeldTenant>,
    /// Entries of phase `Preparing` for which all is done that can be done ahead; none of them is in `held`.
    #[serde(default)]
    pub prepared: Vec<HeldTenant>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldTenant {
    pub tenant: TenantId,
    pub generation: Generation,
}

/// `leader`: the controller. Leased; its create revision is what guards the controller's writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderRecord {
    /// Coordinator or node, as `coordinator/<id>` or `node/<id>`.
    pub holder: String,
    /// The admin address, for people; empty for a node.
    pub address: String,
}

/// `store`: which etcd this is. Written by the controller, not leased.
///
/// etcd's own cluster id is no identity: a store that is wiped and founded again with the same flags has the same id.
/// And what a lost store knew of living nodes is lost with it, so a new one is not `settled` until a lease's time has
/// passed in which every node of the old one has had to stop; see the controller's `store_identity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRecord {
    /// Given when the record was written first.
    pub id: String,
    /// [`crate::registry::Registry::cluster_id`] when the record was written: a copy in another etcd is another store.
    pub etcd_cluster: String,
    pub settled: bool,
}
