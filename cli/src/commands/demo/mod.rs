//! `roost demo`: a tour that needs no hands. It proves what it shows: it fails if a message was lost or answered twice,
//! if a phone had to scan again after the failover, or if one session was ever open twice.

mod customers;
mod figures;
mod tour;

use clap::Args;
use roost_devcluster::{DevError, Options};
use tokio::signal::unix::SignalKind;

use super::{Context, signals::Signals};
use crate::failure::Failure;

/// The options of `roost demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Nodes to start.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(2..=20))]
    nodes: u64,
    /// Tenants to pair.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=100))]
    tenants: u64,
}

impl Demo {
    /// State and logs go to --state-dir, or to a temporary directory that is kept only if the tour fails.
    pub async fn run(self, context: &mut Context) -> Result<(), Failure> {
        let temporary = match context.globals.state_dir {
            Some(_) => None,
            None => Some(temporary_dir()?),
        };
        let dir = temporary.as_ref().map_or_else(|| context.globals.state_dir(), |dir| dir.path().to_owned());
        let options = Options {
            nodes: self.nodes as usize,
            tenants: self.tenants as usize,
            ..Options::new(dir.clone())
        };
        let mut interrupts = Signals::listen(&[SignalKind::interrupt()])?;
        let mut terminations = Signals::listen(&[SignalKind::terminate()])?;
        let ended = tokio::select! {
            toured = tour::run(options, &context.output) => toured,
            _ = interrupts.received() => Err(Failure::Refused("interrupted".into())),
            _ = terminations.received() => Err(Failure::Refused("terminated".into())),
        };
        let figures = match (ended, temporary) {
            (Ok(figures), _) => figures,
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(temporary)) => {
                context.output.note(&format!("state and logs are kept in {}", temporary.keep().display()));
                return Err(failure);
            }
        };
        context.output.list(&figures.rows())?;
        figures.verdict().map_err(Failure::Refused)
    }
}

fn temporary_dir() -> Result<tempfile::TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("roost-demo-").tempdir();
    Ok(made.map_err(DevError::file("create a directory in", &std::env::temp_dir()))?)
}
