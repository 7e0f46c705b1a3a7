//! What a connection that failed by its certificates says, in words that lead to what mends it.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError};

/// Why there was no TLS, as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Advice {
    /// Nobody who is believed has signed for it.
    #[error("its certificate is signed by nobody whom this program believes")]
    NotTrusted,
    #[error("its certificate has ended")]
    Ended,
    #[error("its certificate is not valid yet: is a clock wrong?")]
    NotYet,
    #[error("its certificate is for another name than {expected}; it has {presented}")]
    OtherName { expected: String, presented: String },
    #[error("its certificate is not accepted ({0})")]
    Certificate(String),
    /// It answers something else.
    #[error("it does not speak TLS there")]
    NotTls,
    #[error("it takes nobody without a client certificate")]
    WantsCertificate,
    #[error("it does not accept the client certificate that it was shown ({0})")]
    Refused(String),
    #[error("TLS failed ({0})")]
    Other(String),
}

/// None where it was not TLS that failed.
pub fn advice(error: &(dyn Error + 'static)) -> Option<Advice> {
    let mut cause = Some(error);
    while let Some(found) = cause {
        if let Some(tls) = of_rustls(found) {
            return Some(of_error(tls));
        }
        if let Some(alert) = of_text(&found.to_string()) {
            return Some(alert);
        }
        cause = found.source();
    }
    None
}

/// An I/O error's source is what lies below what it holds, which may be one again.
fn of_rustls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => of_rustls(held),
        None => error.downcast_ref(),
    }
}

fn of_error(error: &rustls::Error) -> Advice {
    match error {
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
        rustls::Error::InvalidMessage(_) => Advice::NotTls,
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        other => Advice::Other(other.to_string()),
    }
}

fn of_certificate(error: &CertificateError) -> Advice {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Advice::NotTrusted,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Advice::Ended,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Advice::NotYet,
        CertificateError::NotValidForNameContext { expected, presented } => Advice::OtherName {
            expected: expected.to_str().into_owned(),
            presented: if presented.is_empty() { "none".to_owned() } else { presented.join(", ") },
        },
        other => Advice::Certificate(other.to_string()),
    }
}

fn of_alert(alert: AlertDescription) -> Advice {
    match alert {
        AlertDescription::CertificateRequired => Advice::WantsCertificate,
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRevoked
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => Advice::Refused(format!("{alert:?}")),
        other => Advice::Other(format!("{other:?}")),
    }
}

/// Of a connection that the other side ended after the handshake, which is when TLS 1.3 judges a client: HTTP/2 keeps of such an
/// error its words alone, which are those of rustls.
fn of_text(said: &str) -> Option<Advice> {
    let (_, alert) = said.rsplit_once("received fatal alert: ")?;
    let known = [
        AlertDescription::CertificateRequired,
        AlertDescription::AccessDenied,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::CertificateRevoked,
        AlertDescription::DecryptError,
        AlertDescription::UnknownCA,
        AlertDescription::UnsupportedCertificate,
    ];
    let named = known.into_iter().find(|known| alert.starts_with(&format!("{known:?}")));
    Some(named.map_or_else(|| Advice::Other(alert.to_owned()), of_alert))
}
