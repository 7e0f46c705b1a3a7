//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::commands::{
    cluster::ClusterVerb, demo::Demo, dev::Dev, message::MessageVerb, node::NodeVerb,
    operation::OperationVerb, rebalance::Rebalance, session::SessionVerb, tenant::TenantVerb,
    worker::WorkerVerb,
};

const AFTER_HELP: &str = "\
Where the coordinator is and the token are taken from the options, from the environment, or, when no address is given, \
from the cluster that `roost dev` runs in --state-dir.

Exit codes: 0 success; 1 error, with one line `error: ...` on stderr; 2 wrong usage; 130 when Ctrl-C ended the watching \
of an operation, which goes on.";

/// Operates a Roost cluster: WhatsApp automations that survive the loss of a machine.
#[derive(Debug, Parser)]
#[command(name = "roost", version, after_help = AFTER_HELP, propagate_version = true)]
pub struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// The coordinator's admin address, HOST:PORT or http://HOST:PORT.
    #[arg(long, global = true, env = "ROOST_ADDR", value_name = "ADDR")]
    pub addr: Option<String>,
    /// The bearer token.
    #[arg(long, global = true, env = "ROOST_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    pub token: Option<SecretString>,
    /// A file whose first line begins with the bearer token.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// State of the cluster on this machine that `roost dev` runs [default: ./.roost].
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

impl Globals {
    /// Where `roost dev` keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| "./.roost".into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs: an array for lists, an object for one thing, one object per line for streams.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tenants: the customers' accounts, each with one WhatsApp number.
    #[command(subcommand)]
    Tenant(TenantVerb),
    /// Workers: the running automation of a tenant.
    #[command(subcommand)]
    Worker(WorkerVerb),
    /// Sessions: a tenant's link to its phone.
    #[command(subcommand)]
    Session(SessionVerb),
    /// The log of messages received and sent.
    #[command(subcommand)]
    Message(MessageVerb),
    /// Nodes: the processes that host workers.
    #[command(subcommand)]
    Node(NodeVerb),
    Rebalance(Rebalance),
    /// Says why a tenant is where it is, or nowhere, and what would move it.
    Explain {
        tenant: String,
    },
    /// The cluster as a whole: its status, its events, its policy.
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Operations: drains, rebalances and moves, with their history.
    #[command(subcommand)]
    Operation(OperationVerb),
    /// Runs a whole cluster on this machine until Ctrl-C, with phones that scan by themselves.
    Dev(Dev),
    /// A tour that runs by itself: pair, answer, kill a node, fail over, add a node; ends with a table of figures.
    Demo(Demo),
    /// Prints the completions for a shell.
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
