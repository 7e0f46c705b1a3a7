//! The certificates of a cluster on this machine that speaks TLS everywhere: one authority, and one certificate for each part that
//! is known by one. They are made anew at every start; the authority stays.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use roost_tls::{ClientTls, Trust, names};

use super::{
    authority::{Authority, CertificateFiles, CertificateUse},
    error::Result,
};

const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

#[derive(Debug)]
pub(super) struct Certificates {
    authority: Authority,
    coordinator: CertificateFiles,
    coordinator_rpc: CertificateFiles,
    etcd: CertificateFiles,
    postgres: CertificateFiles,
    /// What etcd and PostgreSQL are shown.
    client: CertificateFiles,
}

/// What a server needs of them.
#[derive(Debug, Clone)]
pub(super) struct ServerFiles {
    pub own: CertificateFiles,
    /// Who signs for those that may call it.
    pub client_ca: PathBuf,
}

impl Certificates {
    /// In this directory.
    pub fn make(dir: &Path) -> Result<Self> {
        let authority = Authority::open(dir)?;
        Ok(Self {
            coordinator: authority.issue("coordinator", &HERE, CertificateUse::Server)?,
            coordinator_rpc: authority.issue(
                "coordinator-rpc",
                &[names::COORDINATOR],
                CertificateUse::Client,
            )?,
            etcd: authority.issue("etcd", &HERE, CertificateUse::Both)?,
            postgres: authority.issue("postgres", &HERE, CertificateUse::Server)?,
            client: authority.issue("client", &["client"], CertificateUse::Client)?,
            authority,
        })
    }

    pub fn ca_file(&self) -> PathBuf {
        self.authority.ca_file()
    }

    /// For those who ask coordinators.
    pub fn admin(&self) -> Result<ClientTls> {
        Ok(ClientTls::open(Trust::Only(self.ca_file()), None)?)
    }

    pub fn etcd(&self) -> ServerFiles {
        ServerFiles { own: self.etcd.clone(), client_ca: self.ca_file() }
    }

    pub fn postgres(&self) -> ServerFiles {
        ServerFiles { own: self.postgres.clone(), client_ca: self.ca_file() }
    }

    /// What makes a URL of PostgreSQL one that asks for TLS, and shows a certificate.
    pub fn database_settings(&self) -> String {
        let [ca, cert, key] =
            [&self.ca_file(), &self.client.cert, &self.client.key].map(|path| encoded(path));
        format!("?sslmode=verify-full&sslrootcert={ca}&sslcert={cert}&sslkey={key}")
    }

    pub fn of_coordinator(&self) -> Vec<OsString> {
        let admin = [("--tls-cert-file", &self.coordinator.cert), ("--tls-key-file", &self.coordinator.key)];
        [args(&admin), self.rpc(&self.coordinator_rpc), self.stores()].concat()
    }

    pub fn of_node(&self, id: &str) -> Result<Vec<OsString>> {
        let own = self.authority.issue(id, &[&names::node_text(id)], CertificateUse::Server)?;
        Ok([self.rpc(&own), self.stores()].concat())
    }

    fn rpc(&self, own: &CertificateFiles) -> Vec<OsString> {
        args(&[
            ("--rpc-tls-cert-file", &own.cert),
            ("--rpc-tls-key-file", &own.key),
            ("--rpc-tls-ca-file", &self.ca_file()),
        ])
    }

    fn stores(&self) -> Vec<OsString> {
        args(&[
            ("--etcd-ca-file", &self.ca_file()),
            ("--etcd-cert-file", &self.client.cert),
            ("--etcd-key-file", &self.client.key),
        ])
    }
}

fn args(given: &[(&str, &PathBuf)]) -> Vec<OsString> {
    given.iter().flat_map(|(flag, path)| [OsString::from(flag), path.as_os_str().to_owned()]).collect()
}

/// As a part of a URL's query; the directory's name is text.
fn encoded(path: &Path) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte);
    let text = path.to_string_lossy();
    let parts = text.bytes().map(|byte| match byte {
        plain if is_plain(&plain) => char::from(plain).to_string(),
        other => format!("%{other:02X}"),
    });
    parts.collect()
}
