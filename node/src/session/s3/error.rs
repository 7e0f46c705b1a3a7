//! What is wrong with what an operator says of the server.

use std::{io, path::PathBuf};

use roost_secrets::SecretFileError;

/// Why an object store at `s3://` cannot be used as it was given.
#[derive(Debug, thiserror::Error)]
pub enum S3ConfigError {
    #[error(
        "{given:?} is not s3://BUCKET or s3://BUCKET/PREFIX, with a bucket of 3 to 63 of a-z, 0-9, '.' and '-'"
    )]
    Bucket { given: String },
    #[error("--object-store-endpoint {given:?} is not an address like https://objects.example:9000")]
    Endpoint { given: String },
    #[error(
        "--object-store-endpoint {given} is plain http to another machine: give https://, or permit it with \
         --object-store-allow-http"
    )]
    PlainHttp { given: String },
    #[error(
        "there are no credentials for {endpoint}: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
         --object-store-credentials-file"
    )]
    NoCredentials { endpoint: String },
    #[error("{present} is set and {missing} is not: give both, or --object-store-credentials-file")]
    HalfCredentials { present: &'static str, missing: &'static str },
    #[error("--object-store-credentials-file is not usable")]
    CredentialsFile(#[from] SecretFileError),
    #[error(
        "--object-store-credentials-file {path} has no {key} in its section [default]",
        path = path.display()
    )]
    IncompleteFile { path: PathBuf, key: &'static str },
    #[error("--object-store-ca-file {path} cannot be read", path = path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("--object-store-ca-file {path} is no list of certificates in PEM", path = path.display())]
    Ca { path: PathBuf, source: reqwest::Error },
    /// It may hold a password, and therefore nothing of it is shown.
    #[error("--object-store-proxy takes the form http://proxy.example:3128")]
    Proxy,
    #[error("no client of the object store can be made")]
    Client(#[source] object_store::Error),
}
