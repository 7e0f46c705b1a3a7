//! Where the store is and who we are there, checked before anything is asked of it.

use std::{
    fmt, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use object_store::path::Path as ObjectPath;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::{
    args::{BucketIn, S3Args},
    credentials_file,
    error::S3ConfigError,
};

const SCHEME: &str = "s3://";
/// What Amazon takes for it where none is named, and what other servers are used to.
const DEFAULT_REGION: &str = "us-east-1";

/// Shows nothing of who we are.
#[derive(Clone)]
pub struct S3Location {
    pub(super) bucket: String,
    pub(super) prefix: ObjectPath,
    /// None for Amazon's own.
    pub(super) endpoint: Option<Url>,
    pub(super) region: String,
    pub(super) identity: Identity,
    pub(super) bucket_in: BucketIn,
    pub(super) ca: Option<(PathBuf, Vec<u8>)>,
    pub(super) proxy: Option<SecretString>,
}

/// Who we are to the server.
#[derive(Clone)]
pub(super) enum Identity {
    File(PathBuf),
    Keys {
        id: String,
        secret: SecretString,
        token: Option<SecretString>,
    },
    /// That of the machine, the container or the pod, as Amazon gives it.
    Role,
}

impl S3Location {
    pub fn is_meant_by(given: &str) -> bool {
        given.starts_with(SCHEME)
    }

    /// `variable` is one of the environment.
    pub fn check(
        given: &str,
        args: &S3Args,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, S3ConfigError> {
        let (bucket, prefix) = bucket_and_prefix(given)?;
        let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
        let endpoint = args.object_store_endpoint.clone();
        let endpoint = endpoint.or_else(|| first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        let endpoint =
            endpoint.map(|given| parse_endpoint(&given, args.object_store_allow_http)).transpose()?;
        let region = args.object_store_region.clone();
        let region = region.or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let usual = match &endpoint {
            // A certificate for all buckets is for names without a dot.
            None if !bucket.contains('.') => BucketIn::Host,
            _ => BucketIn::Path,
        };
        let ca = args.object_store_ca_file.clone().map(|path| match fs::read(&path) {
            Ok(pem) => Ok((path, pem)),
            Err(source) => Err(S3ConfigError::CaFile { path, source }),
        });
        let proxy = args.object_store_proxy.clone();
        if proxy.as_ref().is_some_and(|proxy| !is_http(proxy.expose_secret())) {
            return Err(S3ConfigError::Proxy);
        }
        let file = args.object_store_credentials_file.as_deref();
        Ok(Self {
            identity: identity(file, endpoint.as_ref(), &variable)?,
            bucket,
            prefix,
            endpoint,
            region: region.unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            bucket_in: args.object_store_bucket_in.unwrap_or(usual),
            ca: ca.transpose()?,
            proxy,
        })
    }
}

impl fmt::Debug for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Location({}/{})", self.bucket, self.prefix)
    }
}

fn bucket_and_prefix(given: &str) -> Result<(String, ObjectPath), S3ConfigError> {
    let wrong = || S3ConfigError::Bucket { given: given.to_owned() };
    let rest = given.strip_prefix(SCHEME).ok_or_else(wrong)?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_name) {
        return Err(wrong());
    }
    let prefix = ObjectPath::parse(prefix.trim_end_matches('/')).map_err(|_| wrong())?;
    Ok((bucket.to_owned(), prefix))
}

fn parse_endpoint(given: &str, may_be_plain: bool) -> Result<Url, S3ConfigError> {
    let url = is_http(given).then(|| given.trim_end_matches('/').parse::<Url>().ok()).flatten();
    let is_bare = |url: &Url| {
        url.has_host() && url.username().is_empty() && url.password().is_none() && url.query().is_none()
    };
    let url = url.filter(is_bare).ok_or_else(|| S3ConfigError::Endpoint { given: given.to_owned() })?;
    if url.scheme() == "http" && !may_be_plain && !is_loopback(&url) {
        return Err(S3ConfigError::PlainHttp { given: given.to_owned() });
    }
    Ok(url)
}

fn is_http(given: &str) -> bool {
    given.starts_with("http://") || given.starts_with("https://")
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn identity(
    file: Option<&Path>,
    endpoint: Option<&Url>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Identity, S3ConfigError> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    if let Some(file) = file {
        credentials_file::read(file)?;
        return Ok(Identity::File(file.to_owned()));
    }
    match (variable(ID), variable(SECRET), endpoint) {
        (Some(id), Some(secret), _) => {
            let token = variable("AWS_SESSION_TOKEN").map(Into::into);
            Ok(Identity::Keys { id, secret: secret.into(), token })
        }
        (Some(_), None, _) => Err(S3ConfigError::HalfCredentials { present: ID, missing: SECRET }),
        (None, Some(_), _) => Err(S3ConfigError::HalfCredentials { present: SECRET, missing: ID }),
        (None, None, Some(endpoint)) => Err(S3ConfigError::NoCredentials { endpoint: endpoint.to_string() }),
        (None, None, None) => Ok(Identity::Role),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "us"), ("AWS_SECRET_ACCESS_KEY", "sesame")];

    fn checked(given: &str, args: &S3Args, set: &[(&str, &str)]) -> Result<S3Location, S3ConfigError> {
        S3Location::check(given, args, |name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn at(endpoint: &str) -> S3Args {
        S3Args { object_store_endpoint: Some(endpoint.to_owned()), ..S3Args::default() }
    }

    #[test]
    fn a_location_names_a_bucket_and_may_name_a_prefix() {
        for (given, bucket, prefix) in
            [("s3://abc", "abc", ""), ("s3://a.b-c/", "a.b-c", ""), ("s3://abc/x/y/", "abc", "x/y")]
        {
            let location = checked(given, &S3Args::default(), &KEYS).unwrap();
            assert_eq!((location.bucket.as_str(), location.prefix.as_ref()), (bucket, prefix));
        }
        for given in ["s3://", "s3://ab", "s3://ABC", "s3://abc/x//y", "s3:///abc", "s3://abc/../x"] {
            let refused = checked(given, &S3Args::default(), &KEYS).unwrap_err().to_string();
            assert!(refused.contains("s3://BUCKET/PREFIX"), "{given}: {refused}");
        }
    }

    #[test]
    fn plain_http_goes_to_this_machine_alone_unless_it_is_permitted() {
        for given in
            ["http://127.0.0.1:9000", "http://localhost:9000/", "http://[::1]:1", "https://store.example"]
        {
            checked("s3://abc", &at(given), &KEYS).unwrap();
        }
        let refused = checked("s3://abc", &at("http://10.0.0.1:9000"), &KEYS).unwrap_err().to_string();
        assert!(refused.contains("--object-store-allow-http"), "{refused}");
        let permitted = S3Args { object_store_allow_http: true, ..at("http://10.0.0.1:9000") };
        checked("s3://abc", &permitted, &KEYS).unwrap();
        for given in ["store.example", "ftp://store.example", "https://", "https://us:sesame@store.example"] {
            assert!(
                matches!(checked("s3://abc", &at(given), &KEYS), Err(S3ConfigError::Endpoint { .. })),
                "{given}"
            );
        }
    }

    #[test]
    fn the_usual_variables_are_taken_where_no_option_is_given() {
        let named = [("AWS_ENDPOINT_URL", "https://a.example"), ("AWS_REGION", "af-south-1")];
        let location = checked("s3://abc", &S3Args::default(), &[KEYS.as_slice(), &named].concat()).unwrap();
        assert_eq!(location.endpoint.as_ref().map(Url::as_str), Some("https://a.example/"));
        assert_eq!((location.region.as_str(), location.bucket_in), ("af-south-1", BucketIn::Path));
        let amazon = checked("s3://abc", &S3Args::default(), &[]).unwrap();
        assert!(matches!(amazon.identity, Identity::Role) && amazon.bucket_in == BucketIn::Host);
        assert_eq!(checked("s3://a.bc", &S3Args::default(), &[]).unwrap().bucket_in, BucketIn::Path);
    }

    #[test]
    fn who_we_are_is_known_before_the_server_is_asked_and_is_shown_to_nobody() {
        let server = at("https://store.example");
        let refused = checked("s3://abc", &server, &[]).unwrap_err().to_string();
        assert!(refused.contains("AWS_ACCESS_KEY_ID") && refused.contains("credentials-file"), "{refused}");
        for half in KEYS {
            let refused = checked("s3://abc", &server, &[half]).unwrap_err();
            assert!(matches!(refused, S3ConfigError::HalfCredentials { .. }), "{refused}");
        }
        let known = checked("s3://abc", &server, &KEYS).unwrap();
        assert!(!format!("{known:?}").contains("sesame"));
    }

    #[test]
    fn a_credentials_file_is_closed_to_others_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let server =
            S3Args { object_store_credentials_file: Some(path.clone()), ..at("https://store.example") };
        fs::write(&path, "[default]\naws_access_key_id = us\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(checked("s3://abc", &server, &[]), Err(S3ConfigError::CredentialsFile(_))));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let refused = checked("s3://abc", &server, &[]).unwrap_err().to_string();
        assert!(refused.contains("no aws_secret_access_key"), "{refused}");
    }
}
