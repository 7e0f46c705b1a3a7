//! The values kept in the registry, as JSON. [`crate::keys`] lists under which key each one is, who writes it and
//! whether it is leased.

use std::fmt;

use roost_model::ids::{Generation, Incarnation, NodeId, Revision, SpecRevision, TenantId};
use serde::{Deserialize, Serialize};

/// What one record may hold, well below the 1.5 MB that etcd takes in one request.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The most tenants of one node, so that its records, with an entry of each under the longest ids and the largest numbers,
/// are within [`MAX_RECORD_BYTES`].
pub const MAX_NODE_CAPACITY: u32 = 6_000;

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
    /// host:port at which coordinators ask it what it knows; empty for a node of before.
    #[serde(default)]
    pub rpc_address: String,
    /// Milliseconds since the epoch, for people; nothing is decided by it.
    pub started_at_ms: i64,
    /// What keeps it from doing its work, as it has found out itself; one of a kind, in the order of kinds.
    #[serde(default)]
    pub impairments: Vec<Impairment>,
    /// What it has of memory for its tenants; nothing is decided by it where the node does not say.
    #[serde(default)]
    pub memory: Option<NodeMemory>,
    /// How many browsers it keeps ready for nobody yet; nothing is decided by it.
    #[serde(default)]
    pub spare_browsers: u16,
}

const MIB: u64 = 1 << 20;

/// A node's memory, as tenants are placed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMemory {
    /// What there is for tenants: the machine's, less what is kept for all else.
    pub allocatable_bytes: u64,
    /// Nineteen in twenty of its tenants use no more; none while it has too few to say so.
    #[serde(default)]
    pub p95_bytes: Option<u64>,
}

impl NodeMemory {
    /// What a tenant is taken to need that requests nothing, before the node knows what its tenants use.
    const REQUEST_BYTES: u64 = 128 * MIB;

    /// What is kept free here for a tenant that requests so much.
    pub fn request_bytes(&self, requested: Option<u64>) -> u64 {
        requested.or(self.p95_bytes).unwrap_or(Self::REQUEST_BYTES)
    }
}

/// Something that a live node's work needs and that the node does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impairment {
    pub kind: ImpairmentKind,
    /// One line, for people; see [`Impairment::new`].
    pub reason: String,
    /// Milliseconds since the epoch, for people; nothing is decided by it.
    pub since_ms: i64,
    /// Who is to leave next, where tenants leave one at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_to_leave: Option<NextToLeave>,
}

/// A tenant that a node without enough memory is to lose, and why this one: as it was when the node chose it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextToLeave {
    pub tenant: TenantId,
    pub used_bytes: u64,
    pub requested_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImpairmentKind {
    /// No browser comes up.
    Browser,
    /// Postgres does not answer.
    Database,
    /// The object store takes nothing.
    ObjectStore,
    /// The state directory takes no files.
    StateDirectory,
    /// The page's address is out of reach.
    Site,
    /// Its memory runs out. The others come before it: what makes all tenants leave counts for more.
    Memory,
    /// One that a later version knows. A record with it must be read all the same.
    #[serde(other)]
    Unknown,
}

impl Impairment {
    /// So many characters of a reason are kept: the record is small, and what failed may be wordy.
    const REASON_CHARS: usize = 200;

    pub fn new(kind: ImpairmentKind, reason: &str, since_ms: i64) -> Self {
        Self {
            kind,
            reason: reason.chars().take(Self::REASON_CHARS).collect(),
            since_ms,
            next_to_leave: None,
        }
    }
}

impl ImpairmentKind {
    /// As it is written in records and shown to operators.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Database => "database",
            Self::ObjectStore => "object_store",
            Self::StateDirectory => "state_directory",
            Self::Site => "site",
            Self::Memory => "memory",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ImpairmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for NextToLeave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, requested) = (self.used_bytes.div_ceil(MIB), self.requested_bytes / MIB);
        write!(f, "it uses {used} MiB of memory and requests {requested}")
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.reason)
    }
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
    /// Entries of phase `Preparing` of which nothing has come: the tenant would start cold here, if at all.
    #[serde(default)]
    pub failed: Vec<FailedPreparation>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedPreparation {
    pub tenant: TenantId,
    pub generation: Generation,
    /// One line, for people.
    pub reason: String,
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

impl LeaderRecord {
    /// Whether it leads only while no coordinator can.
    pub fn is_node(&self) -> bool {
        self.holder.starts_with("node/")
    }
}

/// `challenger`: a coordinator is there to lead in a node's stead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengerRecord {
    /// As [`LeaderRecord::holder`].
    pub holder: String,
    /// The lease of the leader that is to give way: the next one is not meant.
    pub leader: Incarnation,
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
    /// Whose it is; none of a version that did not say so.
    #[serde(default)]
    pub owner: Option<StoreOwner>,
}

/// The cluster that a store belongs to. Who was given anything else is in the wrong place: a node with another database
/// would serve nobody, and one with another TTL might outlive its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreOwner {
    /// The id that the database has of itself.
    pub database: String,
    pub cluster: String,
    pub lease_ttl_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impairment_is_written_by_its_word_and_one_of_a_later_version_is_read() {
        let known = Impairment::new(ImpairmentKind::ObjectStore, &"x".repeat(300), 7);
        assert_eq!(known.reason.len(), 200);
        let written = serde_json::to_value(&known).unwrap();
        assert_eq!(written["kind"], known.kind.as_str());
        assert_eq!(serde_json::from_value::<Impairment>(written).unwrap(), known);
        let later = r#"{"kind":"clock","reason":"it is late","since_ms":7}"#;
        let later: Impairment = serde_json::from_str(later).unwrap();
        assert_eq!(later.kind, ImpairmentKind::Unknown);
    }

    fn longest(number: u32) -> TenantId {
        TenantId::new(&format!("{number:063}")).unwrap()
    }

    #[test]
    fn the_records_of_a_full_node_fit_into_one_request() {
        let entry = |number| AssignmentEntry {
            tenant: longest(number),
            generation: Generation(i64::MAX),
            phase: Phase::Preparing,
            spec_revision: SpecRevision(i64::MAX),
        };
        let entries = (0..MAX_NODE_CAPACITY).map(entry).collect();
        let assignments = AssignmentRecord { incarnation: Incarnation(i64::MIN), entries };
        let held = |number| HeldTenant { tenant: longest(number), generation: Generation(i64::MAX) };
        let ack = AckRecord {
            incarnation: Incarnation(i64::MIN),
            applied: Revision(i64::MAX),
            held: (0..MAX_NODE_CAPACITY / 2).map(held).collect(),
            prepared: (MAX_NODE_CAPACITY / 2..MAX_NODE_CAPACITY).map(held).collect(),
            failed: Vec::new(),
        };
        let sizes = [crate::keys::encode(&assignments).len(), crate::keys::encode(&ack).len()];
        assert!(sizes.into_iter().all(|size| size <= MAX_RECORD_BYTES), "{sizes:?}");
    }
}
