//! Who a program of a cluster is, as its certificate says: a name (SAN DNS) that nobody else's has. They are names in no
//! zone of the DNS: what a machine is called does not matter to who it is.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{danger::HandshakeSignatureValid, verify_server_name},
    pki_types::{CertificateDer, DnsName, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// Every coordinator's.
pub const COORDINATOR: &str = "coordinator.roost";

pub fn coordinator() -> ServerName<'static> {
    ServerName::DnsName(
        DnsName::try_from(COORDINATOR).unwrap_or_else(|_| unreachable!("it has the form of a name")),
    )
}

/// A node's, by its id: `NODE.node.roost`.
pub fn node_text(id: &str) -> String {
    format!("{id}.node.roost")
}

/// None of an id that no label of a name can be.
pub fn node(id: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(node_text(id)).ok()
}

/// Callers whose certificate is signed, and has one name.
#[derive(Debug)]
pub(crate) struct NamedClients {
    signed: Arc<dyn ClientCertVerifier>,
    name: ServerName<'static>,
}

impl NamedClients {
    pub fn new(signed: Arc<dyn ClientCertVerifier>, name: ServerName<'static>) -> Self {
        Self { signed, name }
    }
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.signed.verify_client_cert(own, between, now)?;
        verify_server_name(&ParsedCertificate::try_from(own)?, &self.name)
            .map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_of_a_node_has_a_name() {
        assert_eq!(coordinator().to_str(), COORDINATOR);
        for id in ["n1", "7", &"a".repeat(63)] {
            assert!(node(id).is_some(), "{id}");
        }
        assert!(node("a b").is_none());
    }
}
