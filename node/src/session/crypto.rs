//! Sealing what leaves the machine: compressed, then encrypted with AES-256-GCM under a key derived for that one object.
//!
//! - The name of the object is authenticated with it, so that no object can be put in another's place.
//! - A key per object name keeps the number of nonces drawn under one key small; under a single key a large cluster that
//!   saves each second would come near the 2^32 messages for which random nonces are safe.
//! - Blobs are named by a keyed hash of their content: equal content is stored once, and the names tell nothing to a
//!   reader of the store.
//!
//! Form of an object: `RST1`, 12 bytes of nonce, ciphertext with its tag.

use std::fmt;
use std::path::Path;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::SessionError;

const MAGIC: &[u8; 4] = b"RST1";
const NONCE: usize = 12;
/// Fast, and within a few percent of the higher levels on LevelDB files, whose blocks are compressed already.
const ZSTD_LEVEL: i32 = 3;

/// The cluster's snapshot key. Shows nothing of itself.
#[derive(Clone)]
pub struct SnapshotKey([u8; 32]);

impl SnapshotKey {
    /// Reads a file of 64 hexadecimal digits.
    pub fn from_file(path: &Path) -> Result<Self, SessionError> {
        Self::from_hex(roost_secrets::read(path)?.trim())
    }

    /// 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, SessionError> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|error| SessionError::Key {
            reason: format!("is not 64 hexadecimal digits: {error}"),
        })?;
        Ok(Self(key))
    }

    /// Names content.
    pub(super) fn content_name(&self, content: &[u8]) -> String {
        hex::encode(self.derive(b"roost content", content))
    }

    /// Compresses and encrypts for this object name.
    pub(super) fn seal(&self, object: &str, content: &[u8]) -> Result<Vec<u8>, SessionError> {
        let sealed = || SessionError::Sealed { object: object.to_owned() };
        let packed = zstd::bulk::compress(content, ZSTD_LEVEL).map_err(|_| sealed())?;
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let payload = Payload { msg: &packed, aad: object.as_bytes() };
        let hidden = self.cipher(object).encrypt(&Nonce::from(nonce), payload).map_err(|_| sealed())?;
        Ok([MAGIC.as_slice(), &nonce, &hidden].concat())
    }

    /// The reverse; refuses what was altered, cut, renamed, or sealed with another key.
    pub(super) fn unseal(&self, object: &str, sealed: &[u8]) -> Result<Vec<u8>, SessionError> {
        let damaged = || SessionError::Sealed { object: object.to_owned() };
        let rest = sealed.strip_prefix(MAGIC).ok_or_else(damaged)?;
        let (nonce, hidden) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let payload = Payload { msg: hidden, aad: object.as_bytes() };
        let packed = self.cipher(object).decrypt(&Nonce::from(*nonce), payload).map_err(|_| damaged())?;
        // Authentic from here on: only a fault of this program makes it fail to unpack.
        zstd::stream::decode_all(packed.as_slice()).map_err(|_| damaged())
    }

    fn cipher(&self, object: &str) -> Aes256Gcm {
        Aes256Gcm::new(&self.derive(b"roost object", object.as_bytes()).into())
    }

    fn derive(&self, purpose: &[u8], input: &[u8]) -> [u8; 32] {
        // HMAC pads a short key with zeros to its block of 64 bytes; given the whole block it cannot fail.
        let mut block = [0; 64];
        block[..self.0.len()].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(purpose);
        mac.update(&[0]);
        mac.update(input);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey(..)")
    }
}

/// What a manifest records of a file, checked after a restore.
pub(super) fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn key(fill: &str) -> SnapshotKey {
        SnapshotKey::from_hex(&fill.repeat(32)).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_under_its_own_name_and_key_only() {
        let sealed = key("07").seal("a/b", b"the session").unwrap();
        assert_eq!(key("07").unseal("a/b", &sealed).unwrap(), b"the session");
        assert!(matches!(key("08").unseal("a/b", &sealed), Err(SessionError::Sealed { .. })));
        assert!(matches!(key("07").unseal("a/c", &sealed), Err(SessionError::Sealed { .. })));
    }

    #[test]
    fn no_cut_and_no_flipped_bit_is_accepted() {
        let sealed = key("07").seal("a", b"the session").unwrap();
        for length in 0..sealed.len() {
            assert!(key("07").unseal("a", &sealed[..length]).is_err(), "cut to {length}");
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key("07").unseal("a", &altered).is_err(), "bit flipped at {at}");
        }
    }

    #[test]
    fn a_name_of_content_depends_on_the_key() {
        assert_eq!(key("07").content_name(b"x"), key("07").content_name(b"x"));
        assert_ne!(key("07").content_name(b"x"), key("08").content_name(b"x"));
        assert_ne!(key("07").content_name(b"x"), key("07").content_name(b"y"));
    }

    #[test]
    fn a_key_file_is_64_hexadecimal_digits_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{}\n", "ab".repeat(32))).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(SnapshotKey::from_file(&path).is_ok());
        for wrong in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(SnapshotKey::from_file(&path), Err(SessionError::Key { .. })), "{wrong:?}");
        }
        assert!(matches!(SnapshotKey::from_file(&dir.path().join("none")), Err(SessionError::KeyFile(_))));
    }
}
