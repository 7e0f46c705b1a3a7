//! What binds a browser that comes back from the provider to the one that was sent there.
//!
//! The browser keeps one secret in a cookie. State, nonce and PKCE verifier are made from it, each for itself, so nothing has to be kept here but
//! that the secret is on its way, under its digest. Of the three the provider sees state and nonce, and the verifier when the code is exchanged;
//! from none follows another, nor the secret.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub struct Handshake {
    state: String,
    nonce: String,
    verifier: String,
}

impl Handshake {
    /// Of a secret with 32 random bytes.
    pub fn of(secret: &str) -> Self {
        let part = |name: &str| {
            let digest = Sha256::new().chain_update(name).chain_update(b"\0").chain_update(secret).finalize();
            URL_SAFE_NO_PAD.encode(digest)
        };
        Self { state: part("oidc state"), nonce: part("oidc nonce"), verifier: part("oidc verifier") }
    }

    /// Whether the browser that brings this back is the one that was sent.
    pub fn is_state(&self, given: &str) -> bool {
        self.state.as_bytes().ct_eq(given.as_bytes()).into()
    }

    pub(super) fn state(&self) -> CsrfToken {
        CsrfToken::new(self.state.clone())
    }

    pub(super) fn nonce(&self) -> Nonce {
        Nonce::new(self.nonce.clone())
    }

    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.verifier.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_parts_are_each_its_own_and_of_one_secret_alone() {
        let (one, other) = (Handshake::of("one"), Handshake::of("other"));
        assert!(one.is_state(&one.state) && !one.is_state(&other.state) && !one.is_state(""));
        let parts = [&one.state, &one.nonce, &one.verifier, &other.state, &other.nonce, &other.verifier];
        for (at, part) in parts.iter().enumerate() {
            assert_eq!(part.len(), 43, "as long as RFC 7636 wants of a verifier");
            assert!(!parts[at + 1..].contains(part));
        }
    }
}
