//! The settings of a coordinator. Each can be given as an option or as a variable: `ROOST_*` where other programs have the
//! setting too, else `ROOST_COORDINATOR_*`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use roost_cluster::{registry::EtcdAccessArgs, timing::Timing};
use roost_model::ids::{ClusterName, NodeId};
use secrecy::SecretString;

use crate::{
    app::people::{InvalidAddress, PortalAddress},
    legacy::LegacyArgs,
    oidc::OidcArgs,
    transport::TransportArgs,
};

#[derive(Debug, Clone, Args)]
pub struct Config {
    /// This coordinator's name: 1 to 63 of a-z, 0-9 and '-'
    #[arg(long, env = "ROOST_COORDINATOR_ID", value_parser = parse_id)]
    pub id: String,
    /// The cluster's name, part of every key in etcd; the same in all its processes
    #[arg(long, env = "ROOST_CLUSTER", default_value = "roost")]
    pub cluster: ClusterName,
    /// etcd's endpoints, separated by commas
    #[arg(long, env = "ROOST_ETCD", value_delimiter = ',', default_value = "http://127.0.0.1:2379")]
    pub etcd: Vec<String>,
    #[command(flatten)]
    pub etcd_access: EtcdAccessArgs,
    /// PostgreSQL, as postgres://USER:PASSWORD@HOST:PORT/DATABASE, and after a '?' sslmode, sslrootcert, sslcert and sslkey
    #[arg(long, env = "ROOST_DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// File of its password, its owner's alone to read, in the place of one in the URL; read again when it changes
    #[arg(long, env = "ROOST_DATABASE_PASSWORD_FILE")]
    pub database_password_file: Option<PathBuf>,
    /// Connections to PostgreSQL, beside the one that listens
    #[arg(long, env = "ROOST_COORDINATOR_DATABASE_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: u32,
    /// Where to serve the admin API; port 0 takes a free one
    #[arg(long, env = "ROOST_COORDINATOR_LISTEN", default_value = "127.0.0.1:7117")]
    pub listen: SocketAddr,
    /// Where to serve /healthz and /readyz, in plain HTTP and for everyone; nowhere unless it is given
    #[arg(long, env = "ROOST_COORDINATOR_HEALTH_LISTEN")]
    pub health_listen: Option<SocketAddr>,
    /// Where to serve the portal, and the admin API in JSON beneath /v1; nowhere unless it is given
    #[arg(long, env = "ROOST_COORDINATOR_HTTP_LISTEN")]
    pub http_listen: Option<SocketAddr>,
    /// Where browsers reach the portal, scheme and host; without it there is a portal only where --http-listen is loopback
    #[arg(long, env = "ROOST_COORDINATOR_PUBLIC_URL", value_parser = parse_address)]
    pub public_url: Option<PortalAddress>,
    /// File to write {"pid", "addr", "health_addr", "http_addr"} to once it serves
    #[arg(long, env = "ROOST_COORDINATOR_ANNOUNCE")]
    pub announce: Option<PathBuf>,
    /// File of the tokens that are accepted, one a line: TOKEN or TOKEN expires 2027-01-31T00:00:00Z
    #[arg(long, env = "ROOST_COORDINATOR_TOKEN_FILE")]
    pub token_file: PathBuf,
    /// File of the key under which secrets of people are kept in the database, 64 hexadecimal digits, the same for all coordinators; admins
    /// and operators can sign in to the console only where it is given
    #[arg(long, env = "ROOST_COORDINATOR_SECRETS_KEY_FILE")]
    pub secrets_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub oidc: OidcArgs,
    #[command(flatten)]
    pub legacy: LegacyArgs,
    #[command(flatten)]
    pub transport: TransportArgs,
    /// How long a silent node keeps its tenants; the same in all processes of a cluster
    #[arg(long, env = "ROOST_LEASE_TTL", default_value = "5s", value_parser = parse_timing)]
    pub lease_ttl: Timing,
    /// A worker that has not been seen for this long is marked ERROR
    #[arg(long, env = "ROOST_STALE_AFTER", default_value = "2m", value_parser = humantime::parse_duration)]
    pub stale_after: Duration,
    /// How much of etcd's history the leader keeps; 0s where etcd is shared and somebody else compacts it
    #[arg(long, env = "ROOST_ETCD_HISTORY", default_value = "1h", value_parser = humantime::parse_duration)]
    pub etcd_history: Duration,
    /// Takes etcd and the database into use although they belong to another cluster, whose nodes are stopped; done once
    #[arg(long, env = "ROOST_ADOPT_STORE")]
    pub adopt_store: bool,
}

fn parse_id(given: &str) -> Result<String, String> {
    let id = NodeId::new(given)
        .map_err(|_| "it takes 1 to 63 of a-z, 0-9 and '-', starting with a letter or digit")?;
    Ok(id.into())
}

fn parse_address(given: &str) -> Result<PortalAddress, InvalidAddress> {
    given.parse()
}

fn parse_timing(given: &str) -> Result<Timing, String> {
    let ttl = humantime::parse_duration(given).map_err(|error| error.to_string())?;
    Timing::from_ttl(ttl).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn settings_that_are_printed_hold_no_secret() {
        let url = "postgres://roost:sesame@db/roost";
        let cli = Cli::parse_from([
            "roost-coordinator",
            "--id",
            "a",
            "--token-file",
            "tokens",
            "--cluster-secret-file",
            "secret",
            "--database-url",
            url,
        ]);
        assert!(!format!("{:?}", cli.config).contains("sesame"));
    }
}
