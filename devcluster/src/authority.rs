//! A certificate authority of one's own, in a directory: for a cluster on this machine, and for tests.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::{
    error::{DevError, Result},
    files,
};

const NAME: &str = "Roost on this machine";
const AUTHORITY_LASTS: Duration = Duration::days(3650);
const CERTIFICATE_LASTS: Duration = Duration::days(365);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUse {
    /// To be called.
    Server,
    /// To call.
    Client,
    /// Both, as etcd needs of its own.
    Both,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    /// Its owner's alone to read.
    pub key: PathBuf,
}

/// It signs for whomever it is asked to.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The one of this directory, which is made on the first use: `ca.crt` and `ca.key`.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(DevError::file("create", dir))?;
        let (cert, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        let pair = match fs::read_to_string(&key) {
            Ok(pem) if cert.exists() => KeyPair::from_pem(&pem)?,
            Ok(_) | Err(_) => {
                let pair = KeyPair::generate()?;
                files::write_private(&key, &pair.serialize_pem())?;
                files::write_private(&cert, &authority_params().self_signed(&pair)?.pem())?;
                pair
            }
        };
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(authority_params(), pair) })
    }

    /// Whom its certificates are believed by.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// A new certificate in `FILE.crt` and `FILE.key`, for names and addresses.
    pub fn issue(&self, file: &str, names: &[&str], usage: CertificateUse) -> Result<CertificateFiles> {
        self.issue_until(file, names, usage, OffsetDateTime::now_utc() + CERTIFICATE_LASTS)
    }

    /// The same with an end.
    pub fn issue_until(
        &self,
        file: &str,
        names: &[&str],
        usage: CertificateUse,
        end: OffsetDateTime,
    ) -> Result<CertificateFiles> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| subject(name)).collect::<Result<_>>()?;
        params.distinguished_name.push(DnType::CommonName, file);
        params.not_before = end.min(OffsetDateTime::now_utc()) - Duration::days(1);
        params.not_after = end;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes(usage);
        let pair = KeyPair::generate()?;
        let signed = params.signed_by(&pair, &self.issuer)?;
        let files = CertificateFiles {
            cert: self.dir.join(format!("{file}.crt")),
            key: self.dir.join(format!("{file}.key")),
        };
        files::write_private(&files.key, &pair.serialize_pem())?;
        files::write_private(&files.cert, &signed.pem())?;
        Ok(files)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The same each time: who issues a certificate is known by its name and its key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = OffsetDateTime::now_utc() - Duration::days(1);
    params.not_after = OffsetDateTime::now_utc() + AUTHORITY_LASTS;
    params
}

fn subject(name: &str) -> Result<SanType> {
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

fn purposes(usage: CertificateUse) -> Vec<ExtendedKeyUsagePurpose> {
    match usage {
        CertificateUse::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        CertificateUse::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        CertificateUse::Both => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
    }
}
