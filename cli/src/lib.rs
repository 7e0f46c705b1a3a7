//! `roost`: the operators' client of the admin API, and the launcher of whole clusters on one machine (`roost dev`).
//!
//! It knows a cluster through the admin API only, like any other client; [`dev`] starts the product's binaries as
//! processes and never links them. [`dev`] is a library because the scenario tests run on the same launcher as
//! people.
//!
//! Where to start reading: [`args`] is the command line; `commands/` has one file per noun of it; each turns the
//! answers of [`admin`] into the rows of `views/`, which `output.rs` prints as a table or as JSON. [`dev::Cluster`] is
//! the other half.

pub mod admin;
pub mod args;
pub mod dev;

mod commands;
mod failure;
mod globals;
mod output;
mod qr;
mod target;
mod views;

use std::process::ExitCode;

pub use failure::Failure;

/// Runs a command and reports how it ended: 0 for success, 1 for an error, which is on stderr as one line that starts
/// with `error:`. (Wrong usage is found by clap before this and ends with 2.)
pub async fn run(args: args::Args) -> ExitCode {
    match commands::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
