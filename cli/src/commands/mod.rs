//! One file per noun of the command line.

pub mod apply;
mod attribution;
pub mod audit;
mod browser_settings;
pub mod chat;
pub mod cluster;
mod consent;
mod context;
mod dead_letter;
#[cfg(feature = "dev")]
pub mod demo;
#[cfg(feature = "dev")]
pub mod dev;
mod direction;
mod drain;
pub mod export;
mod fleet;
mod follow;
mod labels;
mod limits;
mod log_level;
mod logs;
mod look;
pub mod member;
pub mod message;
pub mod node;
pub mod operation;
mod pair;
mod place;
pub(crate) mod proxy_file;
pub mod rebalance;
mod restart_schedule;
mod screenshot;
pub mod session;
mod session_import;
mod session_qr;
pub mod setup;
mod signals;
pub mod snapshot;
pub mod template;
pub mod tenant;
mod timing;
pub mod token;
pub mod top;
pub mod user;
pub mod version;
mod wait;
mod words;
pub mod worker;

use clap::CommandFactory;

pub use context::{Context, all_pages, wire_duration};

use crate::{
    args::{Args, Command},
    failure::Failure,
    output::Output,
};

pub async fn run(args: Args) -> Result<(), Failure> {
    let output = Output::stdout(args.globals.output);
    let mut context = Context { globals: args.globals, output };
    match args.command {
        Command::Tenant(verb) => verb.run(&mut context).await,
        Command::Worker(verb) => verb.run(&mut context).await,
        Command::Session(verb) => verb.run(&mut context).await,
        Command::Snapshot(verb) => verb.run(&mut context).await,
        Command::Version(verb) => verb.run(&mut context).await,
        Command::Message(verb) => verb.run(&mut context).await,
        Command::Node(verb) => verb.run(&mut context).await,
        Command::Top(top) => top.run(&mut context).await,
        Command::Rebalance(rebalance) => rebalance.run(&mut context).await,
        Command::Explain { tenant } => place::explain(&mut context, tenant).await,
        Command::Apply(apply) => apply.run(&mut context).await,
        Command::Export(export) => export.run(&mut context).await,
        Command::Cluster(verb) => verb.run(&mut context).await,
        Command::Token(verb) => verb.run(&mut context).await,
        Command::Member(verb) => verb.run(&mut context).await,
        Command::Template(verb) => verb.run(&mut context).await,
        Command::Chat(verb) => verb.run(&mut context).await,
        Command::Setup(verb) => verb.run(&mut context).await,
        Command::User(verb) => verb.run(&mut context).await,
        Command::Audit(verb) => verb.run(&mut context).await,
        Command::Whoami => token::whoami(&mut context).await,
        Command::Operation(verb) => verb.run(&mut context).await,
        #[cfg(feature = "dev")]
        Command::Dev(dev) => dev.run(&mut context).await,
        #[cfg(feature = "dev")]
        Command::Demo(demo) => demo.run(&mut context).await,
        Command::Completions { shell } => {
            // Not to stdout itself: it would panic when nobody reads on.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "roost", &mut script);
            context.output.raw(&script)
        }
    }
}
