//! Everything that is tested on real parts, in one program: what is linked once is compiled once, and the tests of all
//! suites share the two cores without waiting for each other's binaries.
//!
//! From below to above: [`store`] on PostgreSQL, [`cluster`]'s registry on etcd, [`engine`] on Chromium, [`pipeline`] on
//! PostgreSQL and a phone, [`api`] on a coordinator, [`node_rpc`] between coordinators and nodes, [`transport`] by certificates and as users,
//! [`conformance`] of the simulator to independent libraries,
//! [`scenarios`] and [`first_run`] on whole clusters.

mod api;
mod bucket_settings;
mod cluster;
mod conformance;
mod engine;
mod first_run;
mod node_rpc;
mod pipeline;
mod scenarios;
mod settings;
mod store;
mod top;
mod transport;

/// Longer than an index takes, however well it is compressed.
fn long_text() -> String {
    let letter = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(char::from(b'a' + u8::try_from((*state >> 33) % 26).unwrap_or_default()))
    };
    let mut state = 7;
    std::iter::from_fn(|| letter(&mut state)).take(5_000).collect()
}
