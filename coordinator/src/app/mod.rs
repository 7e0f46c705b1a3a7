//! What the coordinator does for its callers, in whatever protocol they ask: orders are checked, written and logged;
//! questions are answered from the database, the registry, or a survey of both.
//!
//! Nothing here knows a protocol: a face (such as [`crate::grpc`]) turns requests into the arguments of [`App`]'s methods,
//! and rows and [`Error`]s into answers. An order that needs the cluster's consent is checked against a
//! [`Survey`](roost_cluster::controller::Survey), one moment of it. By the time that it is carried out things may be
//! different; the plan of every pass takes care of that, and what must hold whatever happens in between (one operation on
//! a node or tenant) is the database's to refuse. What is refused here ([`Refusal`]) are orders that nobody means.

pub mod access;
mod chats;
mod cluster;
mod complaints;
mod conversations;
mod dead_letters;
pub mod deletions;
mod describe;
mod dry_run;
mod error;
mod explain;
mod fleet;
pub mod health;
mod imports;
mod log_level;
mod log_line;
mod messages;
mod nodes;
mod operations;
mod pairing;
pub mod people;
mod qr_code;
mod refusal;
pub mod retention;
mod scan_links;
mod screenshots;
mod sessions;
mod settings_updates;
mod state;
mod template;
mod tenant_search;
mod tenants;
mod versions;
pub mod waiting_look;
mod waiting_tenants;
mod waits;
pub mod watch;
mod worker_log;
mod workers;

pub use cluster::{ClusterStatus, FailoverHold, NodeCounts, TenantCounts};
pub use complaints::{ControllerComplaint, OwnController};
pub use dead_letters::Redrive;
pub use describe::{LiveWorker, NodeProblem, WorkerDescription};
pub use dry_run::{BlockedMove, DryRun, PlannedMove};
pub use error::{Error, FailedMigration};
pub use explain::{ExplainedNode, PlacementExplanation};
pub use fleet::{FleetOrder, FleetPlan};
pub use imports::SessionImport;
pub use log_line::LogLine;
pub use nodes::NodeStatus;
pub use pairing::PairingCode;
pub use qr_code::{QrForm, QrPicture};
pub use refusal::{NoPairing, NoRollout, NoUndo, Refusal};
pub use screenshots::Screenshot;
pub use settings_updates::SettingsUpdate;
pub use state::App;
pub use template::{Exchange, TriedTemplate};
pub use tenant_search::{CONDITIONS, TenantQuestion};
pub use versions::{Rollout, RolloutPlan};
pub use waits::Waits;
pub use worker_log::{LogItem, LogQuery};
