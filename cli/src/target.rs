//! Which coordinator to speak to, with which token, and whose certificate is to be believed.
//!
//! An option wins over every variable: `--token-file` over ROOST_TOKEN, `--state-dir` over ROOST_ADDR. And a token goes
//! only where it belongs: the one that `roost dev` made is used with the address that `roost dev` recorded, never with an
//! address from an option or the environment; ROOST_TOKEN is not sent to a cluster that `--state-dir` chose.

use std::path::{Path, PathBuf};
#[cfg(feature = "dev")]
use std::{fs, io};

#[cfg(feature = "dev")]
use roost_devcluster::DevRecord;
use roost_proto::client::{Admin, AdminError};
use roost_secrets::SecretFileError;
use roost_tls::{CertifiedFiles, ClientTls, TlsFileError, Trust};
use secrecy::{ExposeSecret, SecretString};

use crate::globals::{Environment, Globals};

#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[cfg(feature = "dev")]
    #[error(
        "no cluster to speak to: there is no {record}; start one with `roost dev`, or give --addr and --token \
         (ROOST_ADDR, ROOST_TOKEN)",
        record = .record.display()
    )]
    Nowhere { record: PathBuf },
    #[cfg(not(feature = "dev"))]
    #[error("no cluster to speak to: give --addr and --token (ROOST_ADDR, ROOST_TOKEN)")]
    NoAddress,
    #[error("no token for {addr}; give --token or --token-file, or set ROOST_TOKEN")]
    NoToken { addr: String },
    #[error(transparent)]
    TokenFile(#[from] SecretFileError),
    #[cfg(feature = "dev")]
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} holds no token", path = .path.display())]
    EmptyTokenFile { path: PathBuf },
    #[cfg(feature = "dev")]
    #[error("{path} is not a record of `roost dev`", path = .path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("--cert-file and --key-file belong together: give both (ROOST_CERT_FILE, ROOST_KEY_FILE)")]
    HalfCertificate,
    #[error(
        "{addr} is not for TLS, and a file of certificates is given: give https:// in the place of http://, or leave out \
         --ca-file and --cert-file (ROOST_CA_FILE, ROOST_CERT_FILE)"
    )]
    PlainAddress { addr: String },
    #[error("TLS cannot be set up with --ca-file, --cert-file and --key-file")]
    Tls(#[from] TlsFileError),
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// A coordinator, and what is shown to it.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    addr: String,
    token: String,
    files: Files,
}

/// What was given of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
struct Files {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Files {
    fn of_options(globals: &Globals) -> Self {
        let Globals { ca_file, cert_file, key_file, .. } = globals.clone();
        Self { ca: ca_file, cert: cert_file, key: key_file }
    }

    fn or(self, other: Self) -> Self {
        let Self { ca, cert, key } = self;
        // A certificate and its key are from one place.
        let (cert, key) = if cert.is_some() || key.is_some() { (cert, key) } else { (other.cert, other.key) };
        Self { ca: ca.or(other.ca), cert, key }
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn open(self) -> Result<ClientTls, TargetError> {
        let own = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some(CertifiedFiles { cert, key, own_name: None }),
            (None, None) => None,
            _ => return Err(TargetError::HalfCertificate),
        };
        let trust = self.ca.map_or(Trust::System, Trust::Only);
        Ok(ClientTls::open(trust, own)?)
    }
}

/// The client for what the options, the environment and the state directory say.
pub fn resolve(globals: &Globals, environment: &Environment) -> Result<Admin, TargetError> {
    let Target { addr, token, files } = choose(globals, environment)?;
    if files.is_none() && !addr.starts_with("https://") {
        return Ok(Admin::new(&addr, &token)?);
    }
    if addr.starts_with("http://") {
        return Err(TargetError::PlainAddress { addr });
    }
    Ok(Admin::secured(&addr, &token, files.open()?)?)
}

fn choose(globals: &Globals, environment: &Environment) -> Result<Target, TargetError> {
    let shown = |token: &SecretString| token.expose_secret().trim().to_owned();
    let option = match (&globals.token, &globals.token_file) {
        (Some(token), _) => Some(shown(token)),
        (None, Some(file)) => Some(read_token(file)?),
        (None, None) => None,
    };
    if globals.addr.is_none() && globals.chooses_state_dir() {
        return recorded(globals, option);
    }
    let token = option.or_else(|| environment.token.as_ref().map(shown));
    match globals.addr.as_ref().or(environment.addr.as_ref()) {
        Some(addr) => {
            let addr = addr.clone();
            let token = token.ok_or_else(|| TargetError::NoToken { addr: addr.clone() })?;
            let Environment { ca_file: ca, cert_file: cert, key_file: key, .. } = environment.clone();
            Ok(Target { addr, token, files: Files::of_options(globals).or(Files { ca, cert, key }) })
        }
        None => recorded(globals, token),
    }
}

/// The address of the cluster that `roost dev` runs, with its token and its CA unless others were given.
#[cfg(feature = "dev")]
fn recorded(globals: &Globals, given: Option<String>) -> Result<Target, TargetError> {
    let record = read_record(&globals.state_dir())?;
    let token = given.map_or_else(|| read_token(&record.token_file), Ok)?;
    let own = Files { ca: record.ca_file, ..Files::default() };
    Ok(Target { addr: record.admin_addr, token, files: Files::of_options(globals).or(own) })
}

#[cfg(not(feature = "dev"))]
fn recorded(_: &Globals, _: Option<String>) -> Result<Target, TargetError> {
    Err(TargetError::NoAddress)
}

#[cfg(feature = "dev")]
fn read_record(state_dir: &Path) -> Result<DevRecord, TargetError> {
    let path = DevRecord::path(state_dir);
    let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TargetError::Nowhere { record: path.clone() },
        _ => TargetError::Unreadable { path: path.clone(), source },
    })?;
    serde_json::from_str(&text).map_err(|source| TargetError::Malformed { path, source })
}

/// The first word of the first line that is neither empty nor a comment, as the coordinator reads the file.
fn read_token(path: &Path) -> Result<String, TargetError> {
    let text = roost_secrets::read(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut words = lines.filter_map(|line| line.split_whitespace().next());
    words.next().map(str::to_owned).ok_or_else(|| TargetError::EmptyTokenFile { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::globals::Format;

    fn globals(state_dir: &Path) -> Globals {
        Globals {
            addr: None,
            token: None,
            token_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            state_dir: Some(state_dir.into()),
            output: Format::Table,
        }
    }

    #[tokio::test]
    async fn without_anything_the_error_says_how_to_get_a_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let error = resolve(&globals(dir.path()), &Environment::default()).unwrap_err().to_string();
        assert!(
            error.contains("dev.json") && error.contains("roost dev") && error.contains("--addr"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_address_without_a_token_never_borrows_the_one_of_roost_dev() {
        let dir = tempfile::tempdir().unwrap();
        let globals = Globals { addr: Some("10.0.0.1:7000".into()), ..globals(dir.path()) };
        assert!(matches!(resolve(&globals, &Environment::default()), Err(TargetError::NoToken { .. })));
    }

    #[test]
    fn an_option_wins_over_every_variable() {
        let dir = tempfile::tempdir().unwrap();
        let (dev_token, token_file) = (dir.path().join("dev"), dir.path().join("token"));
        write_token(&dev_token, "of-dev\n");
        write_token(&token_file, "of-file\n");
        write_record(dir.path(), &dev_token);
        let environment = Environment {
            addr: Some("10.0.0.1:7000".into()),
            token: Some("of-environment".into()),
            ca_file: Some("/ca".into()),
            cert_file: Some("/cert".into()),
            key_file: Some("/key".into()),
        };
        let target = |globals| {
            let Target { addr, token, files } = choose(&globals, &environment).unwrap();
            assert_eq!(
                files.is_none(),
                token == "of-dev",
                "the environment's are for the environment's address"
            );
            (addr, token)
        };
        let none = Globals { state_dir: None, ..globals(Path::new(".")) };
        assert_eq!(target(none.clone()), ("10.0.0.1:7000".into(), "of-environment".into()));
        let by_file = Globals { token_file: Some(token_file), ..none.clone() };
        assert_eq!(target(by_file), ("10.0.0.1:7000".into(), "of-file".into()));
        let by_token = Globals { token: Some("of-option".into()), ..none };
        assert_eq!(target(by_token), ("10.0.0.1:7000".into(), "of-option".into()));
        assert_eq!(target(globals(dir.path())), ("127.0.0.1:7117".into(), "of-dev".into()));
    }

    #[tokio::test]
    async fn files_of_certificates_mean_tls_and_contradict_an_address_without() {
        let dir = tempfile::tempdir().unwrap();
        let given = |addr: &str, ca: Option<&str>, cert: Option<&str>| Globals {
            addr: Some(addr.into()),
            token: Some("t".into()),
            ca_file: ca.map(Into::into),
            cert_file: cert.map(Into::into),
            ..globals(dir.path())
        };
        let resolved = |globals: Globals| resolve(&globals, &Environment::default());
        assert!(resolved(given("https://127.0.0.1:1", None, None)).is_ok(), "the system's authorities");
        assert!(resolved(given("127.0.0.1:1", None, None)).is_ok());
        let plain = resolved(given("http://127.0.0.1:1", Some("/ca"), None));
        assert!(matches!(plain, Err(TargetError::PlainAddress { .. })));
        let missing = resolved(given("127.0.0.1:1", Some("/nowhere/ca"), None)).unwrap_err();
        assert!(matches!(missing, TargetError::Tls(TlsFileError::Unreadable { .. })), "{missing:?}");
        let half = resolved(given("https://127.0.0.1:1", None, Some("/cert")));
        assert!(matches!(half, Err(TargetError::HalfCertificate)));
    }

    fn write_token(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn write_record(state_dir: &Path, token_file: &Path) {
        let record = serde_json::json!({
            "etcd": {"endpoint": "http://127.0.0.1:1", "pid": 1},
            "postgres": {"url": "postgres://127.0.0.1:2/postgres", "pid": 2},
            "admin_addr": "127.0.0.1:7117",
            "token_file": token_file,
            "simulator_url": null,
            "simulator_tls_addr": null,
            "coordinators": [], "nodes": [], "tenants": [],
        });
        fs::write(DevRecord::path(state_dir), record.to_string()).unwrap();
    }

    #[test]
    fn settings_that_are_printed_hold_no_secret() {
        let globals = Globals { token: Some("sesame".into()), ..globals(Path::new(".")) };
        assert!(!format!("{globals:?}").contains("sesame"));
    }

    #[test]
    fn the_token_is_the_first_word_of_the_first_line_that_is_no_comment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        write_token(&file, "# operators\n\nsesame expires 2030-01-01T00:00:00Z\nother\n");
        assert_eq!(read_token(&file).unwrap(), "sesame");
        write_token(&file, "# none\n");
        assert!(matches!(read_token(&file), Err(TargetError::EmptyTokenFile { .. })));
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        write_token(&file, "sesame\n");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_token(&file), Err(TargetError::TokenFile(_))));
    }
}
