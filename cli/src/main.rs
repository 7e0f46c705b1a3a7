//! The `roost` command.

use std::process::ExitCode;

use clap::Parser;
use roost_cli::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    roost_cli::run(Args::parse()).await
}
