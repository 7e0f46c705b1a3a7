//! Chaos on real processes: three etcd members, two coordinators, four nodes with real browsers, PostgreSQL, and the
//! simulator's phones that write all the time, while a seeded nemesis kills, freezes, cuts off, slows down and skews.
//!
//! Order of reading: [`fault`] says what can happen and draws it from the seed; [`nemesis`] does it, while
//! [`operator`] moves tenants about; [`load`] writes to the tenants and counts the answers; [`observer`] watches every
//! publication in etcd, and [`fences`] PostgreSQL; [`run()`] brings them together and [`report`] says what came of it.
//!
//! The seed fixes what is done to whom and for how long. It does not fix what the machine's scheduler makes of it: a
//! failing seed fails again often, not always, which is why a failing run keeps its logs.

mod dice;
mod disk;
pub mod fault;
pub mod fences;
pub mod load;
mod machine;
pub mod nemesis;
pub mod observer;
pub mod operator;
mod registered;
pub mod report;
pub mod run;
pub mod skew;
pub mod stalled_disk;
mod transcript;

pub use run::{Config, run};
