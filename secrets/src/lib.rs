//! Files that hold a secret: tokens, the snapshots' key, the cluster's secret.
//!
//! Such a file must be closed to all but its owner (0600 or less). One that is not is refused by whoever reads it: the
//! secret in it may be known to everybody on the machine, and no program that goes on with it says so.

mod cluster_secret;
mod watched;

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub use cluster_secret::{ClusterSecret, ClusterSecretError, MIN_SECRET_BYTES};
pub use watched::WatchedFiles;

/// What group and others may do.
const OPEN_TO_OTHERS: u32 = 0o077;

#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} holds a secret and is open to others (mode {mode:04o}): close it with chmod 600", path.display())]
    OpenToOthers { path: PathBuf, mode: u32 },
}

/// The text of a file that is closed to all but its owner.
pub fn read(path: &Path) -> Result<String, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    // Of what was opened, which a change of the path does not exchange.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & OPEN_TO_OTHERS != 0 {
        return Err(SecretFileError::OpenToOthers { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn only_a_file_that_is_closed_to_all_but_its_owner_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "sesame\n").unwrap();
        for (mode, is_read) in
            [(0o600, true), (0o400, true), (0o700, true), (0o640, false), (0o604, false), (0o620, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(text) => assert!(is_read && text == "sesame\n", "{mode:o}"),
                Err(error) => {
                    let told = error.to_string();
                    assert!(!is_read && told.contains(&format!("mode {mode:04o}")), "{mode:o}: {told}");
                    assert!(told.contains("chmod 600") && !told.contains("sesame"), "{told}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nowhere/token")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nowhere/token");
    }
}
