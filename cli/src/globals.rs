//! The options that every command takes, and the variables that stand for them.

use std::{env, path::PathBuf};

use clap::ValueEnum;
use secrecy::SecretString;

#[derive(Debug, Clone, clap::Args)]
pub struct Globals {
    /// The coordinator's admin address, HOST:PORT, http://HOST:PORT or https://HOST:PORT [env: ROOST_ADDR].
    #[arg(long, global = true, value_name = "ADDR")]
    pub addr: Option<String>,
    /// The bearer token [env: ROOST_TOKEN].
    #[arg(long, global = true, conflicts_with = "token_file")]
    pub token: Option<SecretString>,
    /// A file whose first line begins with the bearer token.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File of the certificates (PEM) of those who may sign for the coordinator; the system's unless it is given [env: ROOST_CA_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// File of a certificate (PEM) of your own, for a coordinator that asks for one [env: ROOST_CERT_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// File of its key (PEM), yours alone to read [env: ROOST_KEY_FILE].
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// State of the cluster on this machine that `roost dev` runs [default: ./.roost].
    #[cfg(feature = "dev")]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// How to print.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// What the environment says in place of options. clap would not tell it from an option, so that a variable could
/// contradict one; here every option wins over every variable.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub addr: Option<String>,
    pub token: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

impl Environment {
    /// A variable that is empty is one that is not set.
    pub fn read() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        // What is not UTF-8 stays wrong, and is refused for what it is.
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name| variable(name).map(PathBuf::from);
        Self {
            addr: text("ROOST_ADDR"),
            token: text("ROOST_TOKEN").map(SecretString::from),
            ca_file: path("ROOST_CA_FILE"),
            cert_file: path("ROOST_CERT_FILE"),
            key_file: path("ROOST_KEY_FILE"),
        }
    }
}

#[cfg(feature = "dev")]
impl Globals {
    /// Where `roost dev` keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(|| "./.roost".into())
    }

    /// Whether an option says that the cluster of `roost dev` is meant.
    pub fn chooses_state_dir(&self) -> bool {
        self.state_dir.is_some()
    }
}

#[cfg(not(feature = "dev"))]
impl Globals {
    pub fn chooses_state_dir(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// The same with more columns, where there are more.
    Wide,
    /// For programs: an array for lists, an object for one thing, one object per line for streams.
    Json,
    /// The same fields as in JSON; of a stream one document for each.
    Yaml,
}
