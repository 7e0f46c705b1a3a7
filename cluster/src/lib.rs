//! The rules of a Roost cluster: who lives, who leads, which node hosts which tenant, and until when.
//!
//! ```text
//!            Postgres (through Ledger)                     etcd (through Registry)
//!      what is wanted, generations, term          who lives, what is published, what is held
//!                     \                                   /
//!                      +--> controller: Snapshot -> plan -> place -> publish
//!                                                            |
//!                                   assignments/<node> ------+------> node ----> acks/<node>
//! ```
//!
//! Pure, and the place to start reading: [`lease_deadline`] (until when a lease may be acted on, the argument for I1),
//! [`plan`] (every placement there is), [`ring`] (a tenant's order of nodes), [`timing`] (every interval).
//! With I/O: [`registry`], [`election`], [`controller`]. The words and the keys: [`roost_model::ids`], [`records`], [`keys`].
//!
//! Of ours it imports model alone.
//!
//! Invariants held here: a tenant is placed only when no live node may have it (I1), under a generation that has
//! grown (I2), by a function without side effects (I4), from facts that have one home each (I3).

pub mod clock;
pub mod controller;
pub mod election;
pub mod keys;
pub mod lease;
pub mod lease_deadline;
pub mod ledger;
pub mod plan;
pub mod records;
pub mod registry;
pub mod ring;
pub mod timing;
