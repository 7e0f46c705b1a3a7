//! What may be wrong with what is said of the provider.

use std::{io, path::PathBuf};

use roost_secrets::SecretFileError;

#[derive(Debug, thiserror::Error)]
pub enum OidcSettingsError {
    #[error("--oidc-issuer has to be https:// with a host and perhaps a path, or http:// on loopback")]
    Issuer,
    #[error("--oidc-client-secret-file is not usable")]
    Secret(#[from] SecretFileError),
    #[error("--oidc-client-secret-file holds no secret")]
    NoSecret,
    #[error("cannot read --oidc-ca-file {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("--oidc-ca-file {} holds no certificate that can be read", path.display())]
    Authorities { path: PathBuf },
    #[error("nobody can be sent back to --public-url from a provider")]
    PublicUrl,
    #[error("cannot make a client for the provider")]
    Client(#[source] reqwest::Error),
}
