//! `roost`: the operators' client of the admin API, and, with the feature `dev`, the face of a whole cluster on one
//! machine (`roost dev`, `roost demo`).
//!
//! It knows a cluster through the admin API only, like any other client, and imports proto, and devcluster behind that
//! feature. The feature is on unless it is switched off: an operator's `roost`, built with `--no-default-features`, has
//! neither those two commands nor the code that starts servers.
//!
//! Where to start reading: [`args`] is the command line; `commands/` has one file per noun of it; each turns the
//! answers of [`roost_proto::client`] into the rows of `views/`, which `output.rs` prints as a table or as JSON.

pub mod args;

mod bot_profile;
mod choices;
mod commands;
mod declared;
mod failure;
mod globals;
mod output;
mod qr;
mod target;
mod text;
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
