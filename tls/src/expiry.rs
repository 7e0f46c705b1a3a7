//! When a certificate ends, and that somebody is told in time.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::parse_x509_certificate;

/// So long before its end it is told of.
const TOLD_BEFORE: Duration = Duration::days(14);

#[derive(Debug, thiserror::Error)]
#[error("it is not of the form that X.509 has")]
pub struct NotADate;

/// The end of a chain: that of whichever ends first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    file: PathBuf,
    at: OffsetDateTime,
}

impl Expiry {
    /// Of the certificates that are in a file, one at least.
    pub fn of(file: &Path, chain: &[CertificateDer<'_>]) -> Result<Self, NotADate> {
        let ends = chain.iter().map(|certificate| {
            let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| NotADate)?;
            OffsetDateTime::from_unix_timestamp(parsed.validity().not_after.timestamp()).map_err(|_| NotADate)
        });
        let ends = ends.collect::<Result<Vec<_>, _>>()?;
        let at = ends.into_iter().min().ok_or(NotADate)?;
        Ok(Self { file: file.to_owned(), at })
    }

    /// What there is to say of it.
    pub fn warning(&self, now: OffsetDateTime) -> Option<String> {
        let left = self.at - now;
        let (file, at) =
            (self.file.display(), self.at.format(&Rfc3339).unwrap_or_else(|_| self.at.to_string()));
        if left <= Duration::ZERO {
            Some(format!(
                "the certificate in {file} has ended at {at}: put a new one in its place, it is read by itself"
            ))
        } else if left <= TOLD_BEFORE {
            let days = left.whole_days();
            Some(format!(
                "the certificate in {file} ends in {days} days, at {at}: put a new one in its place, it is read by itself"
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_told_fourteen_days_before_and_from_then_on() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::days(1000);
        let expiry = Expiry { file: "/etc/roost/tls.crt".into(), at };
        assert_eq!(expiry.warning(at - Duration::days(15)), None);
        let soon = expiry.warning(at - Duration::days(14)).unwrap();
        assert!(soon.contains("/etc/roost/tls.crt ends in 14 days, at 1972-09-27T00:00:00Z"), "{soon}");
        let over = expiry.warning(at).unwrap();
        assert!(over.contains("has ended at 1972-09-27T00:00:00Z"), "{over}");
    }
}
