//! A node: the process that hosts workers.
//!
//! ```text
//! roost-node run        guard      holds the deadline and the power to kill; knows nothing else
//!   '- child            host       registration, keepalive, assignments, acks, supervisor, health
//!        |                '- worker (one per tenant)   state machine, pipeline, snapshots
//!        |                     '- roost_engine         one browser, driven through the bridge
//!        '- launch -> browser                          dies with the child, by the kernel
//! ```
//!
//! Of ours it imports proto, model, cluster, store, engine and responder; nobody but the tests imports it.
//!
//! To follow one tenant from its assignment to its browser, read [`host`] (`assignments`, `supervisor`, `tenant_run`), then
//! [`worker`], then [`roost_engine`]. To be convinced that no browser outlives the node's right to run it (I1), read
//! `roost_cluster::lease_deadline`, then `host::keepalive`, then [`guard`].

mod blocking;
pub mod byte_size;
pub mod config;
pub mod env;
pub mod guard;
pub mod health;
pub mod host;
pub mod launch_queue;
pub mod logins;
pub mod pipeline;
pub mod resources;
pub mod retry;
pub mod revoke;
pub mod rpc;
pub mod session;
pub mod spares;
pub mod start_times;
pub mod symptoms;
pub mod version_contents;
pub mod worker;
pub mod worker_log;
