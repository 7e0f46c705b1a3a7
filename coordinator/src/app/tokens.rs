//! The token file: who may call the admin API.
//!
//! One token a line, `TOKEN` or `TOKEN expires 2027-01-31T00:00:00Z`; blank lines and lines that begin with `#` count
//! for nothing. The file is looked at on every call (one `stat`) and read again when it has changed, so a token that is
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
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("the token file is not usable")]
    File(#[from] SecretFileError),
    #[error("line {line} of the token file {} is neither `TOKEN` nor `TOKEN expires 2027-01-31T00:00:00Z`", path.display())]
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
type Tokens = HashMap<[u8; 32], Expiry>;

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
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        let tokens = self.current().ok_or(Refusal::FileUnusable)?;
        match tokens.get(&digest(token)) {
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
        let (token, expiry) =
            parse(line).ok_or_else(|| TokenFileError::Line { path: path.to_owned(), line: index + 1 })?;
        tokens.insert(digest(token), expiry);
    }
    if tokens.is_empty() {
        return Err(TokenFileError::Empty { path: path.to_owned() });
    }
    Ok(tokens)
}

fn parse(line: &str) -> Option<(&str, Expiry)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [token] => Some((token, None)),
        [token, "expires", at] => Some((token, Some(OffsetDateTime::parse(at, &Rfc3339).ok()?))),
        _ => None,
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
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

    #[test]
    fn a_token_of_the_file_is_accepted_until_it_lapses() {
        let (_dir, path) = file(
            "# ours\n\nforever\n  today expires 2026-11-21T12:00:01Z\ngone expires 2026-11-21T14:00:00+02:00\n",
        );
        let tokens = TokenFile::open(&path).unwrap();
        assert_eq!(tokens.check("forever", NOW), Ok(()));
        assert_eq!(tokens.check("today", NOW), Ok(()));
        assert_eq!(tokens.check("gone", NOW), Err(Refusal::Lapsed { at: NOW }));
        assert_eq!(tokens.check("expires", NOW), Err(Refusal::Unknown));
        assert_eq!(tokens.check("", NOW), Err(Refusal::Unknown));
    }

    #[test]
    fn a_changed_file_counts_from_the_next_check_on() {
        let (_dir, path) = file("old\n");
        let tokens = TokenFile::open(&path).unwrap();
        replace(&path, "new\n");
        assert_eq!(tokens.check("old", NOW), Err(Refusal::Unknown));
        assert_eq!(tokens.check("new", NOW), Ok(()));
    }

    #[test]
    fn a_file_that_becomes_unusable_admits_nobody_until_it_is_right_again() {
        let (_dir, path) = file("a\n");
        let tokens = TokenFile::open(&path).unwrap();
        replace(&path, "a\nb until tomorrow\n");
        assert_eq!(tokens.check("a", NOW), Err(Refusal::FileUnusable));
        fs::remove_file(&path).unwrap();
        assert_eq!(tokens.check("a", NOW), Err(Refusal::FileUnusable));
        replace(&path, "a\n");
        assert_eq!(tokens.check("a", NOW), Ok(()));
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
        assert_eq!(tokens.check("a", NOW), Err(Refusal::FileUnusable));
        assert!(matches!(TokenFile::open(&path).err().unwrap(), TokenFileError::File(_)));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(tokens.check("a", NOW), Ok(()));
    }
}
