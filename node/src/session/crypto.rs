//! Sealing what leaves the machine: compressed, then encrypted with AES-256-GCM under a key derived for that one object.
//!
//! - The name of the object is authenticated with it, so that no object can be put in another's place.
//! - A key per object name keeps the number of nonces drawn under one key small; under a single key a large cluster that
//!   saves each second would come near the 2^32 messages for which random nonces are safe.
//! - Blobs are named by a keyed hash of their content: equal content is stored once, and the names tell nothing to a
//!   reader of the store.
//!
//! Form of an object: `RST2`, 8 bytes that name its key, the CRC-32C of these twelve, 12 bytes of nonce, ciphertext with its
//! tag. So an object that is damaged is told from one whose key is not here, and a flipped bit in the key's name is damage too.
//! `RST1` was without the key's name and its checksum; of what has that form and is opened by no key nothing can be told.

use std::fmt;
use std::path::Path;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, Nonce};
use crc::{CRC_32_ISCSI, Crc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::SessionError;

const MAGIC: &[u8; 4] = b"RST2";
const MAGIC_WITHOUT_KEY: &[u8; 4] = b"RST1";
const KEY_ID: usize = 8;
const CHECKSUM: usize = 4;
const NONCE: usize = 12;
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// Fast, and within a few percent of the higher levels on LevelDB files, whose blocks are compressed already.
const ZSTD_LEVEL: i32 = 3;

/// The cluster's snapshot keys: what is sealed now is sealed under the first, and all of them open. Shows nothing of itself.
#[derive(Clone)]
pub struct SnapshotKeys {
    current: Key,
    old: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    secret: [u8; 32],
    /// Tells nothing of the secret.
    id: [u8; KEY_ID],
}

impl SnapshotKeys {
    /// Reads a file of keys, one a line: the current one, then those that were current before.
    pub fn from_file(path: &Path) -> Result<Self, SessionError> {
        Self::from_hex(&roost_secrets::read(path)?)
    }

    /// Keys of 64 hexadecimal digits each, one a line. Lines that are empty count for nothing.
    pub fn from_hex(text: &str) -> Result<Self, SessionError> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys = lines.map(|(at, line)| Key::from_hex(line).map_err(|reason| wrong(at + 1, &reason)));
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = keys.next().ok_or_else(|| wrong(1, "there is none"))?;
        Ok(Self { current, old: keys.collect() })
    }

    /// Names content.
    pub(super) fn content_name(&self, content: &[u8]) -> String {
        let mut namer = self.namer();
        namer.update(content);
        namer.name()
    }

    /// Names content that comes piece by piece.
    pub(super) fn namer(&self) -> Namer {
        Namer(self.current.mac(b"roost content"))
    }

    /// Compresses and encrypts for this object name.
    pub(super) fn seal(&self, object: &str, content: &[u8]) -> Result<Vec<u8>, SessionError> {
        let sealed = || SessionError::Sealed { object: object.to_owned() };
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let id = &self.current.id;
        let mut object_bytes = [MAGIC.as_slice(), id, &header_checksum(id), &nonce].concat();
        let header = object_bytes.len();
        // In place, for a piece of a large file is in memory twice then and not four times.
        object_bytes.resize(header + zstd::zstd_safe::compress_bound(content.len()), 0);
        let packed = zstd::bulk::compress_to_buffer(content, &mut object_bytes[header..], ZSTD_LEVEL);
        object_bytes.truncate(header + packed.map_err(|_| sealed())?);
        let (cipher, aad) = (self.current.cipher(object), object.as_bytes());
        let hidden = (&mut object_bytes[header..]).into();
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), aad, hidden).map_err(|_| sealed())?;
        object_bytes.extend_from_slice(&tag);
        Ok(object_bytes)
    }

    /// The reverse; refuses what was altered, cut or renamed, and tells it from what was sealed with a key that is not here.
    pub(super) fn unseal(&self, object: &str, sealed: &[u8]) -> Result<Vec<u8>, SessionError> {
        let damaged = || SessionError::Sealed { object: object.to_owned() };
        let packed = match sealed.strip_prefix(MAGIC) {
            Some(rest) => {
                let (id, rest) = rest.split_first_chunk::<KEY_ID>().ok_or_else(damaged)?;
                let (checksum, rest) = rest.split_first_chunk::<CHECKSUM>().ok_or_else(damaged)?;
                if *checksum != header_checksum(id) {
                    return Err(damaged());
                }
                let key = self.all().find(|key| key.id == *id).ok_or_else(|| SessionError::UnknownKey {
                    object: object.to_owned(),
                    key: format!("the key {}", hex::encode(id)),
                })?;
                key.open(object, rest).ok_or_else(damaged)?
            }
            None => {
                let rest = sealed.strip_prefix(MAGIC_WITHOUT_KEY).ok_or_else(damaged)?;
                let opened = self.all().find_map(|key| key.open(object, rest));
                opened.ok_or_else(|| SessionError::UnknownKey {
                    object: object.to_owned(),
                    key: "a key that it does not name".to_owned(),
                })?
            }
        };
        // Authentic from here on: only a fault of this program makes it fail to unpack.
        let size = zstd::zstd_safe::get_frame_content_size(&packed).ok().flatten();
        let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(damaged)?;
        zstd::bulk::decompress(&packed, size).map_err(|_| damaged())
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.old)
    }
}

impl Key {
    fn from_hex(text: &str) -> Result<Self, String> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text, &mut secret)
            .map_err(|error| format!("is not 64 hexadecimal digits: {error}"))?;
        let nameless = Self { secret, id: [0; KEY_ID] };
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&nameless.derive(b"roost key", b"")[..KEY_ID]);
        Ok(Self { id, ..nameless })
    }

    /// What follows the header, with its nonce first. None if it is not as it was sealed under this key.
    fn open(&self, object: &str, rest: &[u8]) -> Option<Vec<u8>> {
        let (nonce, hidden) = rest.split_first_chunk::<NONCE>()?;
        let mut open = hidden.to_vec();
        self.cipher(object).decrypt_in_place(&Nonce::from(*nonce), object.as_bytes(), &mut open).ok()?;
        Some(open)
    }

    fn cipher(&self, object: &str) -> Aes256Gcm {
        Aes256Gcm::new(&self.derive(b"roost object", object.as_bytes()).into())
    }

    fn derive(&self, purpose: &[u8], input: &[u8]) -> [u8; 32] {
        let mut mac = self.mac(purpose);
        mac.update(input);
        mac.finalize().into_bytes().into()
    }

    fn mac(&self, purpose: &[u8]) -> Hmac<Sha256> {
        // HMAC pads a short key with zeros to its block of 64 bytes; given the whole block it cannot fail.
        let mut block = [0; 64];
        block[..self.secret.len()].copy_from_slice(&self.secret);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(purpose);
        mac.update(&[0]);
        mac
    }
}

/// See [`SnapshotKeys::namer`].
pub(super) struct Namer(Hmac<Sha256>);

impl Namer {
    pub(super) fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    pub(super) fn name(self) -> String {
        hex::encode(self.0.finalize().into_bytes())
    }
}

/// What a manifest records of a file, of content that comes piece by piece.
#[derive(Debug, Clone, Default)]
pub(super) struct Checksum {
    hasher: Sha256,
    size: u64,
}

impl Checksum {
    pub(super) fn update(&mut self, content: &[u8]) {
        self.hasher.update(content);
        self.size += content.len() as u64;
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn sha256(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }
}

fn header_checksum(id: &[u8; KEY_ID]) -> [u8; CHECKSUM] {
    let mut digest = CRC32C.digest();
    digest.update(MAGIC);
    digest.update(id);
    digest.finalize().to_le_bytes()
}

fn wrong(line: usize, reason: &str) -> SessionError {
    SessionError::Key { reason: format!("in line {line} {reason}") }
}

impl fmt::Debug for SnapshotKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKeys(..)")
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

    fn keys(fills: &[&str]) -> SnapshotKeys {
        let lines: Vec<_> = fills.iter().map(|fill| fill.repeat(32)).collect();
        SnapshotKeys::from_hex(&lines.join("\n")).unwrap()
    }

    /// In the form of before objects named their key.
    fn sealed_without_key(keys: &SnapshotKeys, object: &str, content: &[u8]) -> Vec<u8> {
        let sealed = keys.seal(object, content).unwrap();
        [MAGIC_WITHOUT_KEY, &sealed[MAGIC.len() + KEY_ID + CHECKSUM..]].concat()
    }

    #[test]
    fn what_was_sealed_is_opened_under_its_own_name_and_key_only() {
        let sealed = keys(&["07"]).seal("a/b", b"the session").unwrap();
        assert_eq!(keys(&["07"]).unseal("a/b", &sealed).unwrap(), b"the session");
        assert!(matches!(keys(&["08"]).unseal("a/b", &sealed), Err(SessionError::UnknownKey { .. })));
        assert!(matches!(keys(&["07"]).unseal("a/c", &sealed), Err(SessionError::Sealed { .. })));
    }

    #[test]
    fn after_a_change_of_keys_what_was_sealed_before_is_opened_and_the_current_one_seals() {
        let (before, between) = (keys(&["07"]), keys(&["08", "07"]));
        let old = before.seal("a", b"old").unwrap();
        assert_eq!(between.unseal("a", &old).unwrap(), b"old");
        let new = between.seal("a", b"new").unwrap();
        assert_eq!(keys(&["08"]).unseal("a", &new).unwrap(), b"new");
        assert!(matches!(before.unseal("a", &new), Err(SessionError::UnknownKey { .. })));
    }

    #[test]
    fn an_object_that_names_no_key_is_opened_by_any_and_is_not_known_to_be_damaged() {
        let old = sealed_without_key(&keys(&["07"]), "a", b"old");
        assert_eq!(keys(&["08", "07"]).unseal("a", &old).unwrap(), b"old");
        assert!(matches!(keys(&["08"]).unseal("a", &old), Err(SessionError::UnknownKey { .. })));
        let cut = &old[..old.len() - 1];
        assert!(matches!(keys(&["07"]).unseal("a", cut), Err(SessionError::UnknownKey { .. })));
    }

    #[test]
    fn a_cut_and_a_flipped_bit_are_damage_wherever_they_are() {
        let sealed = keys(&["07"]).seal("a", b"the session").unwrap();
        let is_damaged =
            |altered: &[u8]| matches!(keys(&["07"]).unseal("a", altered), Err(SessionError::Sealed { .. }));
        for length in 0..sealed.len() {
            assert!(is_damaged(&sealed[..length]), "cut to {length}");
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 4;
            assert!(is_damaged(&altered), "bit flipped at {at}");
        }
    }

    #[test]
    fn a_name_of_content_depends_on_the_key() {
        let name = |fill, content| keys(&[fill]).content_name(content);
        assert_eq!(name("07", b"x"), name("07", b"x"));
        assert_ne!(name("07", b"x"), name("08", b"x"));
        assert_ne!(name("07", b"x"), name("07", b"y"));
    }

    #[test]
    fn a_key_file_is_lines_of_64_hexadecimal_digits_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("{}\n\n{}\n", "ab".repeat(32), "cd".repeat(32))).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(SnapshotKeys::from_file(&path).unwrap().old.len(), 1);
        for wrong in ["", "ab", &"zz".repeat(32), &"ab".repeat(33), &format!("{}\nab", "ab".repeat(32))] {
            std::fs::write(&path, wrong).unwrap();
            assert!(matches!(SnapshotKeys::from_file(&path), Err(SessionError::Key { .. })), "{wrong:?}");
        }
        assert!(matches!(SnapshotKeys::from_file(&dir.path().join("none")), Err(SessionError::KeyFile(_))));
    }
}
