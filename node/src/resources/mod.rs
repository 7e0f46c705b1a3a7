//! What the browsers of this node use of it, and what each may use.
//!
//! ```text
//!   /proc --> sampler: one look at all browsers, every 5 s --> table --+--> worker: over a limit
//!                                                                      '--> heartbeat: what was used
//! ```
//!
//! One task looks for all; a worker has its browser metered for as long as that runs, and is woken only when the browser comes
//! to be over a limit or is so no more. What is over a limit, and how much that matters, is decided in `rules`; what follows is
//! the worker's (`worker::state`).
//!
//! A look costs two small files for each process of a browser and one for each other process of the machine; the share of
//! memory, which costs the kernel a walk through all pages of a process, is measured of a few browsers a look, within a time.
//! What a look has cost decides when the next one comes, so that all of them together take less than half a hundredth of a core.

mod args;
mod control_groups;
mod machine;
mod pressure;
mod proc;
mod rules;
mod sampler;
mod table;

pub use args::{Cores, Limit};
pub use control_groups::{GroupsChoice, NoControlGroups};
pub use machine::{MachineMemory, MemoryArgs, MemoryArgsError};
pub use pressure::{MemoryLook, MemoryPressure, Shortage};
pub use proc::GroupUsage;
pub use rules::{Excess, Limits, Over, Urgency};
pub use table::{MemoryDemand, Meter, Resources};
