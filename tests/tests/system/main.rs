//! Everything that is tested on real parts, in one program: what is linked once is compiled once, and the tests of all
//! suites share the two cores without waiting for each other's binaries.
//!
//! From below to above: [`store`] on PostgreSQL, [`cluster`]'s registry on etcd, [`engine`] on Chromium, [`pipeline`] on
//! PostgreSQL and a phone, [`api`] on a coordinator, [`conformance`] of the simulator to independent libraries,
//! [`scenarios`] and [`first_run`] on whole clusters.

mod api;
mod cluster;
mod conformance;
mod engine;
mod first_run;
mod pipeline;
mod scenarios;
mod settings;
mod store;
