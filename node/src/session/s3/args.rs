//! What an operator says of the server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::SecretString;

/// For an object store at `s3://bucket/prefix`.
#[derive(Debug, Clone, Default, Args)]
pub struct S3Args {
    /// The https or http URL of an S3-compatible server, with its host and port; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL unless it is
    /// given, and Amazon's own without these
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_ENDPOINT")]
    pub object_store_endpoint: Option<String>,
    /// The bucket's region; AWS_REGION or AWS_DEFAULT_REGION unless it is given, and us-east-1 without these
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_REGION")]
    pub object_store_region: Option<String>,
    /// A file with aws_access_key_id and aws_secret_access_key in its section "default", closed to others; AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY unless it is given, and the machine's role without these
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_CREDENTIALS_FILE")]
    pub object_store_credentials_file: Option<PathBuf>,
    /// Where the bucket's name stands in an address; in the path at an endpoint that was given, and in the host at Amazon's
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_BUCKET_IN", value_enum)]
    pub object_store_bucket_in: Option<BucketIn>,
    /// A file of the certificates (PEM) of those who may sign for the server, beside the system's
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_CA_FILE")]
    pub object_store_ca_file: Option<PathBuf>,
    /// The URL of a proxy on the way to the server; none unless it is given, whatever http_proxy says
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_PROXY", hide_env_values = true)]
    pub object_store_proxy: Option<SecretString>,
    /// Permit an endpoint at plain http on another machine: who is a customer, and how much is said, is then open to the network
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE_ALLOW_HTTP")]
    pub object_store_allow_http: bool,
}

/// Where a bucket's name stands in the address of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BucketIn {
    Path,
    Host,
}
