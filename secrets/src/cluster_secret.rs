//! The cluster's secret: what one program of a cluster shows another to be let in, the same in all of them.

use std::{fmt, io, path::Path};

use subtle::ConstantTimeEq;

use crate::{SecretFileError, read};

/// Nobody guesses so many.
pub const MIN_SECRET_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum ClusterSecretError {
    #[error(
        "there is none: make one with `openssl rand -hex 32`, in a file that is its owner's alone (chmod 600), and give it to \
         every node and coordinator"
    )]
    Missing(#[source] SecretFileError),
    #[error(transparent)]
    File(SecretFileError),
    #[error(
        "it has {bytes} bytes and needs {MIN_SECRET_BYTES} or more: make one with `openssl rand -hex 32`, the same for every \
         node and coordinator"
    )]
    Short { bytes: usize },
    #[error(
        "it has characters that no header can carry: make one with `openssl rand -hex 32`, the same for every node and \
         coordinator"
    )]
    NotText,
}

/// It is shown by nothing that prints it.
#[derive(Clone)]
pub struct ClusterSecret(String);

impl ClusterSecret {
    /// Blanks and line ends around it count for nothing.
    pub fn from_file(path: &Path) -> Result<Self, ClusterSecretError> {
        let text = read(path).map_err(|error| match error {
            SecretFileError::Unreadable { ref source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ClusterSecretError::Missing(error)
            }
            other => ClusterSecretError::File(other),
        })?;
        Self::new(text.trim())
    }

    fn new(text: &str) -> Result<Self, ClusterSecretError> {
        if text.len() < MIN_SECRET_BYTES {
            return Err(ClusterSecretError::Short { bytes: text.len() });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClusterSecretError::NotText);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it is this one. How long that takes to say tells nothing of it but its length.
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// For whoever shows it to another program.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    fn from_file(text: &str, mode: u32) -> Result<ClusterSecret, ClusterSecretError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        ClusterSecret::from_file(&path)
    }

    #[test]
    fn only_the_same_secret_is_the_same() {
        let text = "ab".repeat(32);
        let secret = from_file(&format!("{text}\n"), 0o600).unwrap();
        assert!(secret.is(&text) && secret.expose() == text);
        for wrong in ["", "ab", &text[1..], &format!("{text}a"), &format!("c{}", &text[1..])] {
            assert!(!secret.is(wrong), "{wrong}");
        }
        assert!(!format!("{secret:?}").contains("abab"));
    }

    #[test]
    fn one_that_is_no_secret_is_refused_with_what_to_do() {
        assert!(matches!(from_file(&"a".repeat(31), 0o600), Err(ClusterSecretError::Short { bytes: 31 })));
        assert!(matches!(from_file(&"a b".repeat(20), 0o600), Err(ClusterSecretError::NotText)));
        assert!(matches!(from_file(&"ä".repeat(40), 0o600), Err(ClusterSecretError::NotText)));
        let missing = ClusterSecret::from_file(Path::new("/nowhere/secret")).unwrap_err();
        assert!(missing.to_string().contains("openssl rand -hex 32"), "{missing}");
        let open = from_file(&"a".repeat(32), 0o640).unwrap_err();
        assert!(open.to_string().contains("chmod 600"), "{open}");
    }
}
