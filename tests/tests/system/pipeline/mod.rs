//! The node's pipeline on real Postgres, with a phone in the place of WhatsApp: it delivers a message until that is
//! acknowledged, and it counts what it receives. Pipelines are dropped wherever they stand, owners change, sends fail
//! with unknown outcome and Postgres restarts; what must hold is I6: answered once, in order within a chat.
//!
//! `worker` runs the whole worker on the null engine: its state machine, its session on disk and in the object store.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is the report of a test, and a seed is printed to repeat it"
)]

mod bad_disk;
mod browser_setup;
mod crashes;
mod damage;
mod faults;
mod flow;
mod gaps;
mod in_doubt;
mod large;
mod limits;
mod node;
mod outages;
mod own_proxy;
mod phone;
mod restores;
mod scan_pause;
mod scheduled_restart;
mod session_numbers;
mod spares;
mod test_bed;
mod timing;
mod worker;
