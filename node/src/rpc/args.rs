//! Where coordinators reach a node, and what they show it.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use roost_model::ids::NodeId;
use roost_secrets::{ClusterSecret, ClusterSecretError};
use roost_tls::{PlaintextListen, RpcTlsArgs, ServerTls, TlsFileError, check_listen, names};

#[derive(Debug, Clone, Args)]
pub struct RpcArgs {
    /// A file of the secret that the nodes and coordinators of a cluster know each other by where they have no certificates
    /// (--rpc-tls-cert-file), 32 bytes or more, the same in all
    #[arg(long, env = "ROOST_CLUSTER_SECRET_FILE", required_unless_present = "rpc_tls_cert_file")]
    pub cluster_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub tls: RpcTlsArgs,
    /// Answer coordinators on other machines without TLS: the cluster's secret, screenshots and profiles can be read by whoever is on
    /// the way
    #[arg(long, env = "ROOST_ALLOW_PLAINTEXT_LISTEN")]
    pub allow_plaintext_listen: bool,
    /// Where coordinators are served; they reach the node there from their own machines
    #[arg(long, env = "ROOST_NODE_RPC_LISTEN", default_value = "127.0.0.1:0")]
    pub rpc_listen: SocketAddr,
    /// HOST:PORT at which coordinators reach --rpc-listen, if it is another than that
    #[arg(long, env = "ROOST_NODE_RPC_ADVERTISE", value_parser = host_port)]
    pub rpc_advertise: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RpcArgsError {
    #[error(transparent)]
    Plaintext(#[from] PlaintextListen),
    #[error("coordinators cannot be answered with --rpc-tls-cert-file")]
    Tls(#[source] TlsFileError),
    #[error("--id can be no part of the name of a certificate")]
    NoName,
    #[error("neither --cluster-secret-file nor --rpc-tls-cert-file is given")]
    NoSecret,
    #[error("--cluster-secret-file {path} is not usable", path = path.display())]
    Secret { path: PathBuf, source: ClusterSecretError },
    #[error(
        "--rpc-listen {listen} is every address of this machine, which no coordinator can call: give the one that they reach it \
         at with --rpc-advertise HOST:PORT"
    )]
    NoAddress { listen: SocketAddr },
}

/// Who is answered.
#[derive(Clone)]
pub enum RpcAccess {
    /// Whoever shows a coordinator's certificate.
    Tls(ServerTls),
    /// Whoever shows the cluster's secret.
    Secret(ClusterSecret),
}

impl RpcArgs {
    pub fn check(&self, node: &NodeId) -> Result<RpcAccess, RpcArgsError> {
        if self.rpc_listen.ip().is_unspecified() && self.rpc_advertise.is_none() {
            return Err(RpcArgsError::NoAddress { listen: self.rpc_listen });
        }
        let has_tls = self.tls.rpc_tls_cert_file.is_some();
        let is_allowed = self.allow_plaintext_listen;
        check_listen("--rpc-listen", self.rpc_listen, "--rpc-tls-cert-file", has_tls, is_allowed)?;
        if let Some(files) = self.tls.files() {
            let name = names::node(node.as_str()).ok_or(RpcArgsError::NoName)?;
            return Ok(RpcAccess::Tls(files.node(name).map_err(RpcArgsError::Tls)?));
        }
        let path = self.cluster_secret_file.as_ref().ok_or(RpcArgsError::NoSecret)?;
        let secret = ClusterSecret::from_file(path);
        let secret = secret.map_err(|source| RpcArgsError::Secret { path: path.clone(), source })?;
        Ok(RpcAccess::Secret(secret))
    }

    /// What the node's record tells coordinators, of the address that was bound: HOST:PORT, or https://HOST:PORT where they need a
    /// certificate.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        let address = self.rpc_advertise.clone().unwrap_or_else(|| bound.to_string());
        if self.tls.rpc_tls_cert_file.is_some() { format!("https://{address}") } else { address }
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
            cluster_secret_file: Some("/nowhere/secret".into()),
            tls: RpcTlsArgs::default(),
            allow_plaintext_listen: true,
            rpc_listen: listen.parse().unwrap(),
            rpc_advertise: advertise.map(str::to_owned),
        };
        let node = NodeId::new("n1").unwrap();
        let every = args("0.0.0.0:7119", None).check(&node).err().unwrap();
        assert!(matches!(every, RpcArgsError::NoAddress { .. }), "{every}");
        let named = args("0.0.0.0:7119", Some("n1.internal:7119"));
        assert_eq!(named.advertised(named.rpc_listen), "n1.internal:7119");
        assert!(matches!(named.check(&node), Err(RpcArgsError::Secret { .. })));
        let own = args("127.0.0.1:0", None);
        assert_eq!(own.advertised("127.0.0.1:41".parse().unwrap()), "127.0.0.1:41");
        let open = RpcArgs { allow_plaintext_listen: false, ..named };
        assert!(matches!(open.check(&node), Err(RpcArgsError::Plaintext(_))));
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
