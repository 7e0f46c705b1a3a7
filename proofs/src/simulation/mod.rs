//! A seeded cluster in one thread: the product's controllers and the parts of the product's node that I1 rests on, over
//! the registry and the ledger in memory, in the runtime's paused time, with faults drawn from a seed.
//!
//! ```text
//!   coordinators ── Controller ──┐            ┌── register, Keeper, follow, Acks, steps ── machines (guard, browsers)
//!                                ├─── Link ───┤      Link: late, lost, cut, answered to nobody
//!                    MemoryLedger, MemoryRegistry
//!                                     judge: never two browsers (I1), generations grow (I2), all run again
//! ```
//!
//! What is the product's: the controller whole, and of the node its registration, its keepalives with their fence, its
//! acknowledgements, the following of its assignments, the steps of its reconciliation, and the pipe to its guard. What is
//! the simulation's: the guard's loop (the product's waits in `poll`), the worker (a browser that only lives, and writes
//! that only name a generation), and Postgres' check of that generation.
//!
//! A seed fixes everything: `ROOST_SEED=7 cargo test -p roost-proofs -- no_seed` runs that one alone and
//! prints what happened; `ROOST_SEEDS=100000` runs more than the usual.

mod clock;
mod coordinator;
mod dice;
mod faults;
mod guards;
mod judge;
mod link;
mod node;
mod orders;
mod postgres;
mod process;
mod registry;
mod runs;
mod shared;
mod storm;
mod world;
