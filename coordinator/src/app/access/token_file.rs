//! The token file: who may call everything, also while Postgres is away.
//!
//! One token a line, `sha256:DIGEST` or `TOKEN`, each perhaps with `expires 2027-01-31T00:00:00Z`; blank lines and lines that begin with
//! `#` count for nothing. A digest (64 hexadecimal digits, as `roost token hash` prints it) gives the token to nobody who reads the
//! file. The file is looked at on every call (one `stat`) and read again when it has changed, so a token that is
//! taken out is refused from the next call on. Replace the file by rename: what is read in the middle of a write admits
//! fewer, never more. A file that is gone or wrong admits nobody until it is right again.
//!
//! Only digests of the tokens are kept: a dump of the memory gives none away, and the time that a look-up takes says
//! nothing about how much of a guess was right.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use roost_model::causes;
use roost_secrets::SecretFileError;
use roost_store::TokenDigest;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::secret;

/// Before the digest of a token.
const HASHED: &str = "sha256:";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("the token file is not usable")]
    File(#[from] SecretFileError),
    #[error(
        "line {line} of the token file {} is neither `sha256:DIGEST` nor `TOKEN`, each perhaps with `expires 2027-01-31T00:00:00Z`",
        path.display()
    )]
    Line { path: PathBuf, line: usize },
    #[error("the token file {} holds no token", path.display())]
    Empty { path: PathBuf },
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Unknown,
    Lapsed {
        at: OffsetDateTime,
    },
    /// Nobody is admitted while the file is wrong; the log says what is.
    FileUnusable,
}

type Expiry = Option<OffsetDateTime>;
type Tokens = HashMap<TokenDigest, Expiry>;

/// What tells one state of the file from the next; None when it cannot be looked at.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The file, and what was last read from it.
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    stamp: Stamp,
    /// None while the file is unusable.
    tokens: Option<Arc<Tokens>>,
}

impl TokenFile {
    /// Reads the file for the first time; one that is wrong already is an error of the operator's to see at once.
    pub fn open(path: &Path) -> Result<Self, TokenFileError> {
        let stamp = stamp(path);
        let tokens = Some(Arc::new(read(path)?));
        Ok(Self { path: path.to_owned(), read: Mutex::new(Read { stamp, tokens }) })
    }

    /// Whether the token is in the file as it is now and has not lapsed.
    pub fn check(&self, digest: &TokenDigest, now: OffsetDateTime) -> Result<(), Refusal> {
        let tokens = self.current().ok_or(Refusal::FileUnusable)?;
        match tokens.get(digest) {
            None => Err(Refusal::Unknown),
            Some(Some(at)) if *at <= now => Err(Refusal::Lapsed { at: *at }),
            Some(_) => Ok(()),
        }
    }

    fn current(&self) -> Option<Arc<Tokens>> {
        let seen = stamp(&self.path);
        let mut held = self.read.lock();
        if held.stamp != seen {
            // The stamp is from before the reading: a change in between is read again on the next call.
            held.stamp = seen;
            held.tokens = match read(&self.path) {
                Ok(tokens) => {
                    tracing::info!(file = %self.path.display(), tokens = tokens.len(), "token file read again");
                    Some(Arc::new(tokens))
                }
                Err(error) => {
                    tracing::error!(error = %causes(&error), "token file unusable, every call is refused until it is mended");
                    None
                }
            };
        }
        held.tokens.clone()
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    // By the time of the last change of any kind: a file that is closed to others now has the same content.
    Some((meta.ino(), meta.size(), meta.ctime(), meta.ctime_nsec()))
}

fn read(path: &Path) -> Result<Tokens, TokenFileError> {
    let text = roost_secrets::read(path)?;
    let mut tokens = Tokens::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (digest, expiry) =
            parse(line).ok_or_else(|| TokenFileError::Line { path: path.to_owned(), line: index + 1 })?;
        tokens.insert(digest, expiry);
    }
    if tokens.is_empty() {
        return Err(TokenFileError::Empty { path: path.to_owned() });
    }
    Ok(tokens)
}

fn parse(line: &str) -> Option<(TokenDigest, Expiry)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (token, expiry) = match words.as_slice() {
        [token] => (token, None),
        [token, "expires", at] => (token, Some(OffsetDateTime::parse(at, &Rfc3339).ok()?)),
        _ => return None,
    };
    let digest = match token.strip_prefix(HASHED) {
        Some(digits) => {
            let mut digest = TokenDigest::default();
            hex::decode_to_slice(digits, &mut digest).ok()?;
            digest
        }
        None => secret::digest(token),
    };
    Some((digest, expiry))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        write(&path, text);
        (dir, path)
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn replace(path: &Path, text: &str) {
        let new = path.with_extension("new");
        write(&new, text);
        fs::rename(new, path).unwrap();
    }

    fn check(tokens: &TokenFile, token: &str) -> Result<(), Refusal> {
        tokens.check(&secret::digest(token), NOW)
    }

    #[test]
    fn a_token_may_stand_there_as_its_digest_alone() {
        let digest: String = secret::digest("sesame").iter().map(|byte| format!("{byte:02X}")).collect();
        let (_dir, path) = file(&format!("sha256:{digest} expires 2027-01-31T00:00:00Z\n"));
        let tokens = TokenFile::open(&path).unwrap();
        assert_eq!(check(&tokens, "sesame"), Ok(()));
        assert_eq!(check(&tokens, &format!("sha256:{digest}")), Err(Refusal::Unknown));
        let (_dir, path) = file(&format!("sha256:{}\n", &digest[1..]));
        assert!(matches!(TokenFile::open(&path).err().unwrap(), TokenFileError::Line { line: 1, .. }));
    }

    #[test]
    fn a_token_of_the_file_is_accepted_until_it_lapses() {
        let (_dir, path) = file(
            "# ours\n\nforever\n  today expires 2026-11-21T12:00:01Z\ngone expires 2026-11-21T14:00:00+02:00\n",
        );
        let tokens = TokenFile::open(&path).unwrap();
        assert_eq!(check(&tokens, "forever"), Ok(()));
        assert_eq!(check(&tokens, "today"), Ok(()));
        assert_eq!(check(&tokens, "gone"), Err(Refusal::Lapsed { at: NOW }));
        assert_eq!(check(&tokens, "expires"), Err(Refusal::Unknown));
        assert_eq!(check(&tokens, ""), Err(Refusal::Unknown));
    }

    #[test]
    fn a_changed_file_counts_from_the_next_check_on() {
        let (_dir, path) = file("old\n");
        let tokens = TokenFile::open(&path).unwrap();
        replace(&path, "new\n");
        assert_eq!(check(&tokens, "old"), Err(Refusal::Unknown));
        assert_eq!(check(&tokens, "new"), Ok(()));
    }

    #[test]
    fn a_file_that_becomes_unusable_admits_nobody_until_it_is_right_again() {
        let (_dir, path) = file("a\n");
        let tokens = TokenFile::open(&path).unwrap();
        replace(&path, "a\nb until tomorrow\n");
        assert_eq!(check(&tokens, "a"), Err(Refusal::FileUnusable));
        fs::remove_file(&path).unwrap();
        assert_eq!(check(&tokens, "a"), Err(Refusal::FileUnusable));
        replace(&path, "a\n");
        assert_eq!(check(&tokens, "a"), Ok(()));
    }

    #[test]
    fn a_file_that_is_wrong_at_the_start_is_refused_with_its_line() {
        let (_dir, path) = file("good\nbad expires tomorrow\n");
        let error = TokenFile::open(&path).err().unwrap();
        assert!(matches!(error, TokenFileError::Line { line: 2, .. }), "{error}");
        let (_dir, path) = file("# nobody yet\n");
        assert!(matches!(TokenFile::open(&path).err().unwrap(), TokenFileError::Empty { .. }));
        assert!(matches!(TokenFile::open(Path::new("/nowhere")).err().unwrap(), TokenFileError::File(_)));
    }

    #[test]
    fn a_file_that_others_can_read_admits_nobody_until_it_is_closed() {
        let (_dir, path) = file("a\n");
        let tokens = TokenFile::open(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(check(&tokens, "a"), Err(Refusal::FileUnusable));
        assert!(matches!(TokenFile::open(&path).err().unwrap(), TokenFileError::File(_)));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(check(&tokens, "a"), Ok(()));
    }
}
