//! The side that calls.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    material::{CertifiedFiles, TlsFileError, add_authorities, add_system, provider},
    reloaded::{Made, Reloaded},
};

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those that the system's authorities have signed.
    System,
    /// Those that the authorities in a file (PEM) have signed, and no others.
    Only(PathBuf),
    /// Both.
    Beside(PathBuf),
}

/// TLS 1.2 and 1.3 with HTTP/2 over it. Cheap to clone; all clones share one look at the files.
#[derive(Clone)]
pub struct ClientTls(Arc<Reloaded<ClientConfig>>);

impl ClientTls {
    /// `own` is shown to whoever asks for a certificate.
    pub fn open(trust: Trust, own: Option<CertifiedFiles>) -> Result<Self, TlsFileError> {
        let mut files = Vec::new();
        if let Trust::Only(path) | Trust::Beside(path) = &trust {
            files.push(path.clone());
        }
        files.extend(own.iter().flat_map(|own| [own.cert.clone(), own.key.clone()]));
        let make = move || make(&trust, own.as_ref());
        Ok(Self(Arc::new(Reloaded::open(files, Box::new(make))?)))
    }

    /// As [`crate::ServerTls::warnings`].
    pub fn warnings(&self) -> Vec<String> {
        self.0.warnings()
    }

    /// A connection to `address`, whose certificate has to be for `name`.
    pub async fn connect(
        &self,
        address: impl ToSocketAddrs,
        name: ServerName<'static>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(self.0.current()).connect(name, stream).await
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn make(trust: &Trust, own: Option<&CertifiedFiles>) -> Result<Made<ClientConfig>, TlsFileError> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => add_system(&mut roots)?,
        Trust::Only(path) => add_authorities(&mut roots, path)?,
        Trust::Beside(path) => {
            add_authorities(&mut roots, path)?;
            // The file's are enough where the system has none.
            add_system(&mut roots).ok();
        }
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Setup)?
        .with_root_certificates(roots);
    let (mut config, expiry) = match own {
        Some(own) => {
            let certified = own.read()?;
            let config = builder.with_client_auth_cert(certified.chain, certified.key);
            (config.map_err(|error| own.mismatch(error))?, Some(certified.expiry))
        }
        None => (builder.with_no_client_auth(), None),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Made { value: Arc::new(config), expiry })
}
