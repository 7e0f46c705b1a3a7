//! The loop that decides placement. Any number of processes run one; the elected one acts.
//!
//! ```text
//!   stand ──► lead: begin the term, know the store ──► pass ──► wait for a change or the timer ─┐
//!     ▲                                                  ▲                                       │
//!     │                                                  └───────────────────────────────────────┘
//!     └── deposed, lease lost, or a write whose outcome is not known
//! ```
//!
//! A pass takes no input: it reads everything (a mirror saves it from reading twice what has not changed), plans, and
//! does what the plan says, so it does not matter what the last one came to, or which process it ran in. No step is
//! retried inside a pass. Around the plan there are small state machines, pure: what became of the nodes
//! (`failure_detector`) and whether all has been quiet for long enough (`stabilisation_window`); `plan_inputs` brings
//! together what a plan is made from, and `operations` reads from a plan how far each operation has come. They live as
//! long as one term (`leader_term`), and nothing that a later one needs is only there.
//!
//! What makes that safe:
//!
//! - **One controller writes.** Every commit is guarded by the create revision of the leader's key and by the mod
//!   revisions of the records it replaces; every write to the ledger names the term. A deposed one changes nothing.
//! - **Place, then publish.** The generation grows in the ledger before the assignment is published. After a crash
//!   between the two nothing is published, so the tenant is on no live node, so the next pass places it again, under
//!   the next generation. A generation is published by the pass that made it or never; no rule is needed for what the
//!   ledger says of a placement that nobody was told of.
//! - **A doubtful write ends the term.** A commit without an answer may still arrive, and if a later pass had placed
//!   the same tenant on another node, both could be taken: they touch different records. So the controller resigns,
//!   and is elected anew at another revision (and term) that the late write does not name.
//! - **An operation is no script.** An order on many workers goes on from what is written of its members. A drain, a rebalance or a move changes what the plan is made from and nothing else,
//!   so that any controller goes on with it from any point, and a cancelled one is a plan without it.
//! - **A commit is not a plan.** Large plans are published in several commits and a crash may leave some out. Each is
//!   complete for the nodes it is about, and a removal never shares a plan with the placement that follows it.

mod compaction;
mod complaints;
mod context;
mod error;
mod failover_breaker;
mod failure_detector;
mod fleet;
mod generations;
mod history;
mod impairments;
mod leader_term;
mod left_out;
mod memory_shortage;
mod names;
mod operations;
mod ordered_moves;
mod overdue_releases;
mod pass;
mod patience;
mod plan_inputs;
mod preparations;
mod questions;
mod rollout;
mod run;
mod stabilisation_window;
mod store_identity;
mod survey;
#[cfg(test)]
mod tests;
mod unplacing;
mod unreadable;
mod waits;

pub use context::{ControllerConfig, ControllerStatus};
pub use run::Controller;
pub use survey::{Survey, SurveyError, survey};
