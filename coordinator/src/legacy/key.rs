//! The key of a front end that signs its users in itself.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;
use http::HeaderMap;
use ipnet::IpNet;
use time::OffsetDateTime;

use crate::app::access::{
    secret,
    token_file::{TokenFile, TokenFileError},
};

/// Holds the key.
const KEY: &str = "x-portal-key";

#[derive(Debug, Clone, Default, Args)]
pub struct LegacyArgs {
    /// File of the keys with which a front end of its own asks for its users beneath /portal, as --token-file has tokens; without one those paths are closed
    #[arg(long, env = "ROOST_COORDINATOR_PORTAL_KEY_FILE", requires = "portal_key_from")]
    pub portal_key_file: Option<PathBuf>,
    /// Addresses from which such a key counts, separated by commas: 10.0.0.7,10.1.0.0/16
    #[arg(long, env = "ROOST_COORDINATOR_PORTAL_KEY_FROM", value_delimiter = ',', value_parser = parse_network)]
    pub portal_key_from: Vec<IpNet>,
}

/// An address stands for itself alone.
fn parse_network(given: &str) -> Result<IpNet, String> {
    let address = given.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| given.parse())
        .map_err(|_| "has to be an address or a network, as 10.1.0.0/16".to_owned())
}

#[derive(Debug, thiserror::Error)]
#[error("--portal-key-file cannot be used")]
pub struct PortalKeyError(#[from] TokenFileError);

pub struct PortalKey {
    file: TokenFile,
    from: Vec<IpNet>,
}

impl PortalKey {
    /// None unless there is a file.
    pub fn open(args: &LegacyArgs) -> Result<Option<Self>, PortalKeyError> {
        let Some(path) = &args.portal_key_file else { return Ok(None) };
        Ok(Some(Self { file: TokenFile::open(path)?, from: args.portal_key_from.clone() }))
    }

    /// The first digits of its digest, for the log; None when it is not shown, is wrong, or comes from elsewhere.
    pub fn shown(&self, headers: &HeaderMap, from: IpAddr) -> Option<String> {
        let given = headers.get(KEY)?.to_str().ok()?;
        let digest = secret::digest(given);
        let from = from.to_canonical();
        let counts = self.file.check(&digest, OffsetDateTime::now_utc()).is_ok()
            && self.from.iter().any(|network| network.contains(&from));
        counts.then(|| hex::encode(&digest[..4]))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_counts_from_the_named_addresses_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "a-key-of-the-tests\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let from = ["10.0.0.7", "10.1.0.0/16", "fd00::/8"].map(|given| parse_network(given).unwrap());
        let args = LegacyArgs { portal_key_file: Some(path), portal_key_from: from.to_vec() };
        let key = PortalKey::open(&args).unwrap().unwrap();
        let with = |value: &'static str| {
            HeaderMap::from_iter([("x-portal-key".parse().unwrap(), HeaderValue::from_static(value))])
        };
        let counts = |value, from: &str| key.shown(&with(value), from.parse().unwrap()).is_some();
        for from in ["10.0.0.7", "10.1.200.3", "::ffff:10.0.0.7", "fd00::1"] {
            assert!(counts("a-key-of-the-tests", from), "{from}");
            assert!(!counts("another-key", from), "{from}");
        }
        for from in ["10.0.0.8", "127.0.0.1", "::1"] {
            assert!(!counts("a-key-of-the-tests", from), "{from}");
        }
        assert!(key.shown(&HeaderMap::new(), "10.0.0.7".parse().unwrap()).is_none());
        assert!(parse_network("10.0.0").is_err());
    }
}
