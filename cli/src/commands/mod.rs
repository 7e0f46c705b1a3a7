//! One file per noun of the command line.

mod asked;
pub mod cluster;
#[cfg(feature = "dev")]
pub mod demo;
#[cfg(feature = "dev")]
pub mod dev;
mod drain;
mod follow;
pub mod message;
pub mod node;
pub mod operation;
mod place;
pub mod rebalance;
pub mod session;
mod start;
pub mod tenant;
pub mod worker;

use std::{io, time::Duration};

use clap::CommandFactory;
use roost_proto::client::Admin;

use crate::{
    args::{Args, Command, Globals},
    failure::Failure,
    output::Output,
    target,
};

/// What every command needs.
pub struct Context {
    pub globals: Globals,
    pub output: Output,
}

impl Context {
    pub fn admin(&self) -> Result<Admin, Failure> {
        Ok(target::resolve(&self.globals)?)
    }
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let output = Output::stdout(args.globals.output);
    let mut context = Context { globals: args.globals, output };
    match args.command {
        Command::Tenant(verb) => verb.run(&mut context).await,
        Command::Worker(verb) => verb.run(&mut context).await,
        Command::Session(verb) => verb.run(&mut context).await,
        Command::Message(verb) => verb.run(&mut context).await,
        Command::Node(verb) => verb.run(&mut context).await,
        Command::Rebalance(rebalance) => rebalance.run(&mut context).await,
        Command::Explain { tenant } => place::explain(&mut context, tenant).await,
        Command::Cluster(verb) => verb.run(&mut context).await,
        Command::Operation(verb) => verb.run(&mut context).await,
        #[cfg(feature = "dev")]
        Command::Dev(dev) => dev.run(&mut context).await,
        #[cfg(feature = "dev")]
        Command::Demo(demo) => demo.run(&mut context).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "roost", &mut io::stdout());
            Ok(())
        }
    }
}

/// Walks the pages of a list: `page` gets a size and a token and gives items and the next token.
async fn all_pages<T, F>(
    limit: Option<usize>,
    mut page: impl FnMut(i32, String) -> F,
) -> Result<Vec<T>, Failure>
where
    F: Future<Output = Result<(Vec<T>, String), tonic::Status>>,
{
    const PAGE: usize = 1_000;
    let limit = limit.unwrap_or(usize::MAX);
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let size = limit.saturating_sub(items.len()).min(PAGE);
        if size == 0 {
            return Ok(items);
        }
        let (more, next) = page(size as i32, token).await?;
        items.extend(more);
        if next.is_empty() {
            return Ok(items);
        }
        token = next;
    }
}

fn wire_duration(span: Duration) -> Result<prost_types::Duration, Failure> {
    let too_long = |_| Failure::Refused(format!("{span:?} is too long a time"));
    prost_types::Duration::try_from(span).map_err(too_long)
}
