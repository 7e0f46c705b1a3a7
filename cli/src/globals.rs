//! The options that every command takes.

use std::path::PathBuf;

use clap::ValueEnum;
use secrecy::SecretString;

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
    #[cfg(feature = "dev")]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

#[cfg(feature = "dev")]
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
