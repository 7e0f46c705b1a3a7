//! A model of ownership, small enough that every order of its events is looked at: one tenant, two nodes (each a guard and
//! its working process), two controllers, etcd, Postgres, time in whole steps, and writes that arrive late or never.
//!
//! ```text
//!   controllers ── place (term) ──► Postgres: term, generation ◄── write (generation) ── worker
//!        │  ▲                                                                              │
//!        │  └── list ── etcd: leader, nodes (leases), assignments, acks ◄── keepalive, ack ┤
//!        └── commit (leader, revisions) ──►          └── watch ──────────────────────────► node
//! ```
//!
//! A pause needs no event of its own: a process that does not get its turn for a while is paused, and time goes on. Only
//! two things are not put off: a guard kills at its deadline, and what is killed dies within the kill time.
//!
//! Real functions decide where they can: `LeaseDeadline` until when a node may act, `plan` what a controller wants,
//! `steps` what a node does about it. Each guard that the argument rests on can be taken out, and then the checker must find the history
//! that the guard prevents.

mod checks;
mod controller;
mod events;
mod exploration;
mod guards;
mod node;
mod planner;
mod recovery;
mod state;
mod time;
