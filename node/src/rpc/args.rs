//! Where coordinators reach a node, and what they show it.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use roost_secrets::{ClusterSecret, ClusterSecretError};

#[derive(Debug, Clone, Args)]
pub struct RpcArgs {
    /// A file of the secret that the nodes and coordinators of a cluster know each other by, 32 bytes or more, the same in all
    #[arg(long, env = "ROOST_CLUSTER_SECRET_FILE")]
    pub cluster_secret_file: PathBuf,
    /// Where coordinators are served; they reach the node there from their own machines
    #[arg(long, env = "ROOST_NODE_RPC_LISTEN", default_value = "127.0.0.1:0")]
    pub rpc_listen: SocketAddr,
    /// HOST:PORT at which coordinators reach --rpc-listen, if it is another than that
    #[arg(long, env = "ROOST_NODE_RPC_ADVERTISE", value_parser = host_port)]
    pub rpc_advertise: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RpcArgsError {
    #[error("--cluster-secret-file {path} is not usable", path = path.display())]
    Secret { path: PathBuf, source: ClusterSecretError },
    #[error(
        "--rpc-listen {listen} is every address of this machine, which no coordinator can call: give the one that they reach it \
         at with --rpc-advertise HOST:PORT"
    )]
    NoAddress { listen: SocketAddr },
}

impl RpcArgs {
    pub fn check(&self) -> Result<ClusterSecret, RpcArgsError> {
        if self.rpc_listen.ip().is_unspecified() && self.rpc_advertise.is_none() {
            return Err(RpcArgsError::NoAddress { listen: self.rpc_listen });
        }
        let path = &self.cluster_secret_file;
        ClusterSecret::from_file(path).map_err(|source| RpcArgsError::Secret { path: path.clone(), source })
    }

    /// What the node's record tells coordinators, of the address that was bound.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        self.rpc_advertise.clone().unwrap_or_else(|| bound.to_string())
    }
}

fn host_port(given: &str) -> Result<String, String> {
    let port =
        given.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(1..)) if !given.contains(['/', ' ']) => Ok(given.to_owned()),
        _ => Err("it has to be HOST:PORT, such as node-1.internal:7119".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_nobody_can_call_is_not_advertised() {
        let args = |listen: &str, advertise: Option<&str>| RpcArgs {
            cluster_secret_file: "/nowhere/secret".into(),
            rpc_listen: listen.parse().unwrap(),
            rpc_advertise: advertise.map(str::to_owned),
        };
        let every = args("0.0.0.0:7119", None).check().unwrap_err();
        assert!(matches!(every, RpcArgsError::NoAddress { .. }), "{every}");
        let named = args("0.0.0.0:7119", Some("n1.internal:7119"));
        assert_eq!(named.advertised(named.rpc_listen), "n1.internal:7119");
        assert!(matches!(named.check(), Err(RpcArgsError::Secret { .. })));
        let own = args("127.0.0.1:0", None);
        assert_eq!(own.advertised("127.0.0.1:41".parse().unwrap()), "127.0.0.1:41");
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["n1.internal:7119", "10.0.0.1:1", "[::1]:7119"] {
            assert!(host_port(good).is_ok(), "{good}");
        }
        for bad in ["", "n1", ":7119", "n1:0", "http://n1:1", "a b:1", "n1:port"] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }
}
