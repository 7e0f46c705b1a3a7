//! The key under which the secrets of people are kept in the database: whoever has a copy of the database alone makes no codes.
//!
//! AES-256-GCM with a random nonce, under the name of what is sealed, so that nothing can be put in another's place. Some thousands are
//! ever sealed under one key, far from where random nonces may meet. Form: 8 bytes that name the key, 12 of nonce, ciphertext with its tag.

use std::{fmt, path::Path};

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use roost_secrets::SecretFileError;
use sha2::{Digest, Sha256};

const KEY_ID: usize = 8;
const NONCE: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum SecretsKeyError {
    #[error("--secrets-key-file is not usable")]
    File(#[from] SecretFileError),
    #[error(
        "line {line} of --secrets-key-file is not 64 hexadecimal digits: make a key with `openssl rand -hex 32`"
    )]
    Line { line: usize },
    #[error("--secrets-key-file holds no key: make one with `openssl rand -hex 32`")]
    Empty,
}

/// Why something that was sealed is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    #[error("it was sealed under another key than those of --secrets-key-file")]
    OtherKey,
    #[error("it is damaged, or another's")]
    Damaged,
}

/// What is sealed now is sealed under the first, and all of them open. Shows nothing of itself.
#[derive(Clone)]
pub struct SecretsKey {
    current: Key,
    old: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    cipher: Aes256Gcm,
    /// Tells nothing of the key.
    id: [u8; KEY_ID],
}

impl SecretsKey {
    /// Reads a file of keys of 64 hexadecimal digits, one a line: the current one, then those that were current before.
    pub fn from_file(path: &Path) -> Result<Self, SecretsKeyError> {
        Self::from_hex(&roost_secrets::read(path)?)
    }

    pub(super) fn from_hex(text: &str) -> Result<Self, SecretsKeyError> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys = lines.map(|(at, line)| Key::from_hex(line).ok_or(SecretsKeyError::Line { line: at + 1 }));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = keys.next().ok_or(SecretsKeyError::Empty)?;
        Ok(Self { current, old: keys.collect() })
    }

    /// None when the cipher refuses, which it does of what is too long alone.
    pub fn seal(&self, name: &str, secret: &[u8]) -> Option<Vec<u8>> {
        let nonce = rand::random::<[u8; NONCE]>();
        let payload = Payload { msg: secret, aad: name.as_bytes() };
        let hidden = self.current.cipher.encrypt(&Nonce::from(nonce), payload).ok()?;
        Some([&self.current.id[..], &nonce, &hidden].concat())
    }

    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID>().ok_or(Unopened::Damaged)?;
        let (nonce, hidden) = rest.split_first_chunk::<NONCE>().ok_or(Unopened::Damaged)?;
        let mut keys = std::iter::once(&self.current).chain(&self.old);
        let key = keys.find(|key| key.id == *id).ok_or(Unopened::OtherKey)?;
        let payload = Payload { msg: hidden, aad: name.as_bytes() };
        key.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| Unopened::Damaged)
    }
}

impl Key {
    fn from_hex(text: &str) -> Option<Self> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text, &mut secret).ok()?;
        let digest = Sha256::new().chain_update(b"roost secrets key\0").chain_update(secret).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        Some(Self { cipher: Aes256Gcm::new(&secret.into()), id })
    }
}

impl fmt::Debug for SecretsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretsKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fills: &[&str]) -> SecretsKey {
        SecretsKey::from_hex(&fills.iter().map(|fill| fill.repeat(32)).collect::<Vec<_>>().join("\n"))
            .unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_its_own_name_and_key_alone() {
        let sealed = keys(&["07"]).seal("user 1", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(keys(&["07"]).open("user 1", &sealed).unwrap(), b"secret");
        assert_eq!(keys(&["08", "07"]).open("user 1", &sealed).unwrap(), b"secret");
        assert_eq!(keys(&["07"]).open("user 2", &sealed), Err(Unopened::Damaged));
        assert_eq!(keys(&["08"]).open("user 1", &sealed), Err(Unopened::OtherKey));
        for at in KEY_ID..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(keys(&["07"]).open("user 1", &altered), Err(Unopened::Damaged), "bit flipped at {at}");
        }
        assert_eq!(keys(&["07"]).open("user 1", &sealed[..10]), Err(Unopened::Damaged));
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        assert!(SecretsKey::from_hex(&format!("\n{}\n", "ab".repeat(32))).is_ok());
        for wrong in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(SecretsKey::from_hex(wrong).is_err(), "{wrong}");
        }
    }
}
