//! What etcd believes a program by, and whom the program believes: files, which are read again when they change.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use roost_secrets::SecretFileError;
use roost_tls::{CertifiedFiles, ClientTls, TlsFileError, Trust};

#[derive(Debug, Clone, Default, Args)]
pub struct EtcdAccessArgs {
    /// File of the certificates (PEM) of those who may sign for etcd at https://, beside the system's
    #[arg(long, env = "ROOST_ETCD_CA_FILE")]
    pub etcd_ca_file: Option<PathBuf>,
    /// File of the certificate (PEM) that an etcd at https:// is shown
    #[arg(long, env = "ROOST_ETCD_CERT_FILE", requires = "etcd_key_file")]
    pub etcd_cert_file: Option<PathBuf>,
    /// File of its key (PEM), its owner's alone to read
    #[arg(long, env = "ROOST_ETCD_KEY_FILE", requires = "etcd_cert_file")]
    pub etcd_key_file: Option<PathBuf>,
    /// The user of an etcd with authentication
    #[arg(long, env = "ROOST_ETCD_USER", requires = "etcd_password_file")]
    pub etcd_user: Option<String>,
    /// File of its password, its owner's alone to read
    #[arg(long, env = "ROOST_ETCD_PASSWORD_FILE", requires = "etcd_user")]
    pub etcd_password_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum EtcdAccessError {
    #[error("TLS to etcd cannot be set up with --etcd-ca-file, --etcd-cert-file and --etcd-key-file")]
    Tls(#[from] TlsFileError),
    #[error("--etcd-password-file is not usable")]
    Password(#[from] SecretFileError),
}

/// See [`EtcdAccessArgs`].
#[derive(Debug, Clone, Default)]
pub struct EtcdAccess {
    /// None where no endpoint is at https://.
    pub(super) tls: Option<ClientTls>,
    pub(super) user: Option<EtcdUser>,
}

/// A user of etcd's, whose password is read when it is asked for.
#[derive(Debug, Clone)]
pub(super) struct EtcdUser {
    pub name: String,
    password_file: PathBuf,
}

impl EtcdUser {
    pub fn password(&self) -> Result<String, SecretFileError> {
        // A line end is an editor's.
        roost_secrets::read(&self.password_file).map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

impl EtcdAccessArgs {
    /// Of these endpoints.
    pub fn open(&self, endpoints: &[String]) -> Result<EtcdAccess, EtcdAccessError> {
        let is_secured = endpoints.iter().any(|endpoint| endpoint.starts_with(super::connect::HTTPS));
        let tls = is_secured.then(|| self.tls()).transpose()?;
        let user = match (&self.etcd_user, &self.etcd_password_file) {
            (Some(name), Some(file)) => Some(EtcdUser { name: name.clone(), password_file: file.clone() }),
            _ => None,
        };
        // So that a file that cannot be used is told at the start.
        if let Some(user) = &user {
            user.password()?;
        }
        Ok(EtcdAccess { tls, user })
    }

    fn tls(&self) -> Result<ClientTls, TlsFileError> {
        let trust = self.etcd_ca_file.clone().map_or(Trust::System, Trust::Beside);
        let own = match (self.etcd_cert_file.clone(), self.etcd_key_file.clone()) {
            (Some(cert), Some(key)) => Some(CertifiedFiles { cert, key, own_name: None }),
            _ => None,
        };
        ClientTls::open(trust, own)
    }

    /// The command line that says the same to another program.
    pub fn to_command_line(&self) -> Vec<OsString> {
        let user = self.etcd_user.clone().map(OsString::from);
        let file = |file: &Option<PathBuf>| file.clone().map(PathBuf::into_os_string);
        let given = [
            ("--etcd-ca-file", file(&self.etcd_ca_file)),
            ("--etcd-cert-file", file(&self.etcd_cert_file)),
            ("--etcd-key-file", file(&self.etcd_key_file)),
            ("--etcd-user", user),
            ("--etcd-password-file", file(&self.etcd_password_file)),
        ];
        given.into_iter().filter_map(|(flag, value)| Some([flag.into(), value?])).flatten().collect()
    }
}
