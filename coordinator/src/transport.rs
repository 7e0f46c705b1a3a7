//! Who reaches a coordinator, and whom it reaches, by what: certificates, or the cluster's secret.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use roost_proto::client::AdminError;
use roost_secrets::{ClusterSecret, ClusterSecretError};
use roost_tls::{
    CertifiedFiles, ClientTls, PlaintextListen, RpcTlsArgs, ServerTls, TlsFileError, check_listen,
};

use crate::node_rpc::NodeRpc;

#[derive(Debug, Clone, Default, Args)]
pub struct TransportArgs {
    /// File of the certificate (PEM) that the admin API is served with, in gRPC and in JSON, and of those between it and its authority;
    /// read again when it changes
    #[arg(long, env = "ROOST_COORDINATOR_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// File of its key (PEM), its owner's alone to read
    #[arg(long, env = "ROOST_COORDINATOR_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// File of the certificates (PEM) of those who sign for callers: then each has to show a certificate, beside its token
    #[arg(long, env = "ROOST_COORDINATOR_TLS_CLIENT_CA_FILE", requires = "tls_cert_file")]
    pub tls_client_ca_file: Option<PathBuf>,
    /// Serve other machines without TLS: tokens and messages can be read by whoever is on the way
    #[arg(long, env = "ROOST_ALLOW_PLAINTEXT_LISTEN")]
    pub allow_plaintext_listen: bool,
    /// File of the secret that the nodes and coordinators of a cluster know each other by where they have no certificates
    /// (--rpc-tls-cert-file), 32 bytes or more, the same in all
    #[arg(long, env = "ROOST_CLUSTER_SECRET_FILE", required_unless_present = "rpc_tls_cert_file")]
    pub cluster_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub rpc_tls: RpcTlsArgs,
}

#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error(transparent)]
    Plaintext(#[from] PlaintextListen),
    #[error("the admin API cannot be served with --tls-cert-file")]
    Admin(#[source] TlsFileError),
    #[error("nodes cannot be reached with --rpc-tls-cert-file")]
    Rpc(#[source] TlsFileError),
    #[error("--cluster-secret-file {} is not usable", path.display())]
    ClusterSecret { path: PathBuf, source: ClusterSecretError },
    #[error("the cluster's secret cannot be shown to nodes")]
    NodeRpc(#[from] AdminError),
}

/// What of it is by TLS.
#[derive(Clone)]
pub struct Certificates {
    /// The admin API's; see [`ServerTls::http1`] for that in JSON.
    pub admin: Option<ServerTls>,
    /// What nodes are shown.
    pub rpc: Option<ClientTls>,
}

impl Certificates {
    /// `listen` is where the admin API is served, and `http_listen` where it is in JSON.
    pub fn open(
        args: &TransportArgs,
        listen: SocketAddr,
        http_listen: Option<SocketAddr>,
    ) -> Result<Self, TransportError> {
        let (has_tls, is_allowed) = (args.tls_cert_file.is_some(), args.allow_plaintext_listen);
        for (flag, addr) in [("--listen", Some(listen)), ("--http-listen", http_listen)] {
            if let Some(addr) = addr {
                check_listen(flag, addr, "--tls-cert-file", has_tls, is_allowed)?;
            }
        }
        let rpc = args.rpc_tls.files().map(|files| files.coordinator()).transpose();
        Ok(Self {
            admin: admin(args).map_err(TransportError::Admin)?,
            rpc: rpc.map_err(TransportError::Rpc)?,
        })
    }

    /// What a person should know of them.
    pub fn warnings(&self) -> Vec<String> {
        let admin = self.admin.as_ref().map(ServerTls::warnings);
        let rpc = self.rpc.as_ref().map(ClientTls::warnings);
        admin.into_iter().chain(rpc).flatten().collect()
    }
}

fn admin(args: &TransportArgs) -> Result<Option<ServerTls>, TlsFileError> {
    let (Some(cert), Some(key)) = (args.tls_cert_file.clone(), args.tls_key_file.clone()) else {
        return Ok(None);
    };
    let own = CertifiedFiles { cert, key, own_name: None };
    ServerTls::open(own, args.tls_client_ca_file.clone()).map(Some)
}

/// Nodes are shown the certificate, or the secret by those that have none.
pub(crate) fn node_rpc(args: &TransportArgs, tls: Option<ClientTls>) -> Result<NodeRpc, TransportError> {
    let secret = args.cluster_secret_file.as_ref().map(|path| {
        ClusterSecret::from_file(path)
            .map_err(|source| TransportError::ClusterSecret { path: path.clone(), source })
    });
    Ok(NodeRpc::new(secret.transpose()?.as_ref(), tls)?)
}
