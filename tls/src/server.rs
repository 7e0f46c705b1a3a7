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

/// What is spoken over it. A caller that names protocols, and not this one, is refused in the handshake.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    Http2,
    Http1,
}

/// What the files make, for each of them.
struct Configs {
    http2: Arc<ServerConfig>,
    http1: Arc<ServerConfig>,
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
pub struct ServerTls {
    files: Arc<Reloaded<Configs>>,
    protocol: Protocol,
}

impl ServerTls {
    /// For gRPC. With `client_ca` a caller has to show a certificate that one of those in the file has signed.
    pub fn open(own: CertifiedFiles, client_ca: Option<PathBuf>) -> Result<Self, TlsFileError> {
        Self::open_for(own, client_ca.map(|authorities| Callers { authorities, only: None }))
    }

    pub(crate) fn open_for(own: CertifiedFiles, callers: Option<Callers>) -> Result<Self, TlsFileError> {
        let mut files = vec![own.cert.clone(), own.key.clone()];
        files.extend(callers.as_ref().map(|callers| callers.authorities.clone()));
        let make = move || make(&own, callers.as_ref());
        Ok(Self { files: Arc::new(Reloaded::open(files, Box::new(make))?), protocol: Protocol::Http2 })
    }

    /// The same for a listener that speaks HTTP/1.1.
    pub fn http1(&self) -> Self {
        Self { files: self.files.clone(), protocol: Protocol::Http1 }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let configs = self.files.current();
        match self.protocol {
            Protocol::Http2 => configs.http2.clone(),
            Protocol::Http1 => configs.http1.clone(),
        }
    }

    /// What a person should know: that the certificate ends soon, that a changed file cannot be used.
    pub fn warnings(&self) -> Vec<String> {
        self.files.warnings()
    }
}

fn make(own: &CertifiedFiles, callers: Option<&Callers>) -> Result<Made<Configs>, TlsFileError> {
    let certified = own.read()?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Setup)?;
    let builder = match callers {
        Some(callers) => builder.with_client_cert_verifier(verifier(callers)?),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(certified.chain, certified.key);
    let config = config.map_err(|error| own.mismatch(error))?;
    let speaking = |name: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![name.to_vec()];
        Arc::new(config)
    };
    let configs = Configs { http2: speaking(b"h2"), http1: speaking(b"http/1.1") };
    Ok(Made { value: Arc::new(configs), expiry: Some(certified.expiry) })
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
