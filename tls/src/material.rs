//! What lies in the files: certificates, keys, authorities.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use roost_secrets::SecretFileError;
use rustls::{
    RootCertStore,
    client::verify_server_name,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    server::ParsedCertificate,
};

use crate::expiry::{Expiry, NotADate};

/// A certificate, those that were signed between it and its authority, and its key.
#[derive(Debug, Clone)]
pub struct CertifiedFiles {
    /// PEM: the certificate first.
    pub cert: PathBuf,
    /// PEM; closed to all but its owner.
    pub key: PathBuf,
    /// Whose certificate it has to be.
    pub own_name: Option<ServerName<'static>>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Key(#[from] SecretFileError),
    #[error("{} is no PEM of {what}", path.display())]
    Pem { path: PathBuf, what: &'static str, source: pem::Error },
    #[error("{} holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("a certificate in {} cannot be used", path.display())]
    Certificate { path: PathBuf, source: rustls::Error },
    #[error("{} and {} do not belong together", cert.display(), key.display())]
    Mismatch { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("the certificate in {} has no date of its end", path.display())]
    Date { path: PathBuf, source: NotADate },
    #[error("the certificate in {} is not that of {name}: it needs this name (SAN DNS)", path.display())]
    NotOurs { path: PathBuf, name: String },
    #[error("the system's authorities cannot be read")]
    System(#[source] rustls_native_certs::Error),
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// As they were read.
pub(crate) struct Certified {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub expiry: Expiry,
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl CertifiedFiles {
    pub(crate) fn read(&self) -> Result<Certified, TlsFileError> {
        let chain = certificates(&self.cert)?;
        let text = roost_secrets::read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|source| TlsFileError::Pem {
            path: self.key.clone(),
            what: "a private key",
            source,
        })?;
        let date = |source| TlsFileError::Date { path: self.cert.clone(), source };
        let expiry = Expiry::of(&self.cert, &chain).map_err(date)?;
        if let Some(name) = &self.own_name {
            self.check_name(&chain[0], name)?;
        }
        Ok(Certified { chain, key, expiry })
    }

    fn check_name(&self, own: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), TlsFileError> {
        let path = self.cert.clone();
        let parsed = ParsedCertificate::try_from(own)
            .map_err(|source| TlsFileError::Certificate { path: path.clone(), source })?;
        verify_server_name(&parsed, name)
            .map_err(|_| TlsFileError::NotOurs { path, name: name.to_str().into_owned() })
    }

    /// What rustls says when it puts the two together.
    pub(crate) fn mismatch(&self, source: rustls::Error) -> TlsFileError {
        TlsFileError::Mismatch { cert: self.cert.clone(), key: self.key.clone(), source }
    }
}

/// Those in a file, of which there is one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = fs::read(path).map_err(|source| TlsFileError::Unreadable { path: path.to_owned(), source })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found =
        found.map_err(|source| TlsFileError::Pem { path: path.to_owned(), what: "certificates", source })?;
    if found.is_empty() { Err(TlsFileError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

/// Adds those in a file to whom is believed.
pub(crate) fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsFileError> {
    for certificate in certificates(path)? {
        let path = path.to_owned();
        roots.add(certificate).map_err(|source| TlsFileError::Certificate { path, source })?;
    }
    Ok(())
}

/// Adds the system's. Some of them may be of a kind that is not known; that there is none at all is no error where others are
/// added.
pub(crate) fn add_system(roots: &mut RootCertStore) -> Result<(), TlsFileError> {
    let mut found = rustls_native_certs::load_native_certs();
    let (added, _unknown) = roots.add_parsable_certificates(found.certs);
    match found.errors.pop() {
        Some(error) if added == 0 => Err(TlsFileError::System(error)),
        _ => Ok(()),
    }
}
