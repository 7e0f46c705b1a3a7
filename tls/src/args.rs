//! The way between coordinators and nodes: the same options in both programs.

use std::path::PathBuf;

use clap::Args;
use rustls::pki_types::ServerName;

use crate::{
    client::{ClientTls, Trust},
    material::{CertifiedFiles, TlsFileError},
    names,
    server::{Callers, ServerTls},
};

/// All three or none.
#[derive(Debug, Clone, Default, Args)]
pub struct RpcTlsArgs {
    /// File of this program's certificate (PEM) for the way between coordinators and nodes; its name (SAN DNS) is coordinator.roost of a
    /// coordinator, and NODE-ID.node.roost of a node
    #[arg(long, env = "ROOST_RPC_TLS_CERT_FILE", requires_all = ["rpc_tls_key_file", "rpc_tls_ca_file"])]
    pub rpc_tls_cert_file: Option<PathBuf>,
    /// File of its key (PEM), its owner's alone to read
    #[arg(long, env = "ROOST_RPC_TLS_KEY_FILE", requires = "rpc_tls_cert_file")]
    pub rpc_tls_key_file: Option<PathBuf>,
    /// File of the certificates (PEM) of those who sign for the cluster's coordinators and nodes, and for nobody else
    #[arg(long, env = "ROOST_RPC_TLS_CA_FILE", requires = "rpc_tls_cert_file")]
    pub rpc_tls_ca_file: Option<PathBuf>,
}

/// As they were given.
#[derive(Debug, Clone)]
pub struct RpcTlsFiles {
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl RpcTlsArgs {
    pub fn files(&self) -> Option<RpcTlsFiles> {
        let (cert, key) = (self.rpc_tls_cert_file.clone()?, self.rpc_tls_key_file.clone()?);
        Some(RpcTlsFiles { cert, key, ca: self.rpc_tls_ca_file.clone()? })
    }
}

impl RpcTlsFiles {
    /// A coordinator's: it calls nodes.
    pub fn coordinator(self) -> Result<ClientTls, TlsFileError> {
        let Self { cert, key, ca } = self;
        let own = CertifiedFiles { cert, key, own_name: Some(names::coordinator()) };
        ClientTls::open(Trust::Only(ca), Some(own))
    }

    /// A node's: it answers coordinators and nobody else.
    pub fn node(self, name: ServerName<'static>) -> Result<ServerTls, TlsFileError> {
        let Self { cert, key, ca } = self;
        let own = CertifiedFiles { cert, key, own_name: Some(name) };
        let callers = Callers { authorities: ca, only: Some(names::coordinator()) };
        ServerTls::open_for(own, Some(callers))
    }
}
