//! The command line.

use clap::{Parser, Subcommand};

#[cfg(feature = "dev")]
use crate::commands::{demo::Demo, dev::Dev};
use crate::{
    commands::{
        apply::Apply, audit::AuditVerb, chat::ChatVerb, cluster::ClusterVerb, export::Export,
        member::MemberVerb, message::MessageVerb, node::NodeVerb, operation::OperationVerb,
        rebalance::Rebalance, session::SessionVerb, setup::SetupVerb, snapshot::SnapshotVerb,
        template::TemplateVerb, tenant::TenantVerb, token::TokenVerb, top::Top, user::UserVerb,
        version::VersionVerb, worker::WorkerVerb,
    },
    globals::Globals,
};

const WHERE: &str = if cfg!(feature = "dev") {
    "Where the coordinator is and the token are taken from the options, from the environment, or, when no address is \
     given, from the cluster that `roost dev` runs in --state-dir."
} else {
    "Where the coordinator is and the token are taken from the options or from the environment."
};

const EXIT_CODES: &str = "\
Exit codes: 0 success; 1 error, with one line `error: ...` on stderr; 2 wrong usage; 130 when Ctrl-C ended the watching \
of an operation, which goes on.";

/// Operates a Roost cluster: WhatsApp automations that survive the loss of a machine.
#[derive(Debug, Parser)]
#[command(name = "roost", version, after_help = format!("{WHERE}\n\n{EXIT_CODES}"), propagate_version = true)]
pub struct Args {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
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
    /// What the object store holds of tenants that nobody knows.
    #[command(subcommand)]
    Snapshot(SnapshotVerb),
    /// Versions of WhatsApp Web's page and of the library that drives it.
    #[command(subcommand)]
    Version(VersionVerb),
    /// The log of messages received and sent.
    #[command(subcommand)]
    Message(MessageVerb),
    /// Nodes: the processes that host workers.
    #[command(subcommand)]
    Node(NodeVerb),
    Rebalance(Rebalance),
    Top(Top),
    /// Says why a tenant is where it is, or nowhere, and what would move it.
    Explain {
        tenant: String,
    },
    Apply(Apply),
    Export(Export),
    /// The cluster as a whole: its status, its events, its policy.
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Tokens: with which the API is called.
    #[command(subcommand)]
    Token(TokenVerb),
    /// The people of a tenant, who use the portal.
    #[command(subcommand)]
    Member(MemberVerb),
    /// What a tenant's automation says: to be tried and changed.
    #[command(subcommand)]
    Template(TemplateVerb),
    /// Chats that people take over from the automation.
    #[command(subcommand)]
    Chat(ChatVerb),
    /// Businesses that are to be set up: who may ask for one, and what was asked for.
    #[command(subcommand)]
    Setup(SetupVerb),
    /// Users of the console, who run the cluster.
    #[command(subcommand)]
    User(UserVerb),
    /// The audit: what was ordered by whom.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Says whose token this is, and what its role is.
    Whoami,
    /// Operations: drains, rebalances and moves, with their history.
    #[command(subcommand)]
    Operation(OperationVerb),
    /// Runs a whole cluster on this machine until Ctrl-C, with phones that scan by themselves.
    #[cfg(feature = "dev")]
    Dev(Dev),
    /// A tour that runs by itself: pair, answer, kill a node, fail over, add a node; ends with a table of figures.
    #[cfg(feature = "dev")]
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
