//! The side that is called.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::ServerName,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{
    material::{CertifiedFiles, TlsFileError, add_authorities, provider},
    names::NamedClients,
    reloaded::{Made, Reloaded},
};

/// What is spoken over it, the preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// gRPC.
    Http2,
    /// Pages and JSON.
    Http,
}

impl Protocols {
    fn alpn(self) -> Vec<Vec<u8>> {
        let names: &[&str] = match self {
            Self::Http2 => &["h2"],
            Self::Http => &["h2", "http/1.1"],
        };
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }
}

/// Whose certificates a caller must show one of.
#[derive(Debug, Clone)]
pub(crate) struct Callers {
    pub authorities: PathBuf,
    /// Of all that the authorities sign for, only whoever has this name.
    pub only: Option<ServerName<'static>>,
}

/// TLS 1.2 and 1.3 with a certificate from files. Cheap to clone; all clones share one look at them.
#[derive(Clone)]
pub struct ServerTls(Arc<Reloaded<ServerConfig>>);

impl ServerTls {
    /// With `client_ca` a caller has to show a certificate that one of those in the file has signed.
    pub fn open(
        own: CertifiedFiles,
        client_ca: Option<PathBuf>,
        protocols: Protocols,
    ) -> Result<Self, TlsFileError> {
        let callers = client_ca.map(|authorities| Callers { authorities, only: None });
        Self::open_for(own, callers, protocols)
    }

    pub(crate) fn open_for(
        own: CertifiedFiles,
        callers: Option<Callers>,
        protocols: Protocols,
    ) -> Result<Self, TlsFileError> {
        let mut files = vec![own.cert.clone(), own.key.clone()];
        files.extend(callers.as_ref().map(|callers| callers.authorities.clone()));
        let make = move || make(&own, callers.as_ref(), protocols);
        Ok(Self(Arc::new(Reloaded::open(files, Box::new(make))?)))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.current()
    }

    /// What a person should know: that the certificate ends soon, that a changed file cannot be used.
    pub fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }
}

fn make(
    own: &CertifiedFiles,
    callers: Option<&Callers>,
    protocols: Protocols,
) -> Result<Made<ServerConfig>, TlsFileError> {
    let certified = own.read()?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Setup)?;
    let builder = match callers {
        Some(callers) => builder.with_client_cert_verifier(verifier(callers)?),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(certified.chain, certified.key);
    let mut config = config.map_err(|error| own.mismatch(error))?;
    config.alpn_protocols = protocols.alpn();
    Ok(Made { value: Arc::new(config), expiry: Some(certified.expiry) })
}

fn verifier(callers: &Callers) -> Result<Arc<dyn ClientCertVerifier>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    add_authorities(&mut roots, &callers.authorities)?;
    let signed = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let signed =
        signed.build().map_err(|error| TlsFileError::Setup(rustls::Error::General(error.to_string())))?;
    Ok(match &callers.only {
        Some(name) => Arc::new(NamedClients::new(signed, name.clone())),
        None => signed,
    })
}
