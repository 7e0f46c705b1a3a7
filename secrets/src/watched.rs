//! Whether files have changed since they were read: certificates, keys, passwords, which somebody replaces while they are in use.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::{Duration, Instant},
};

/// However often it is asked, the files are looked at once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Make it before the files are read, so that a change meanwhile is seen.
#[derive(Debug)]
pub struct WatchedFiles {
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    looked_at: Instant,
}

/// Whatever is done to a file or its name changes it: a change of its mode too.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl WatchedFiles {
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { stamps: stamps(&files), files, looked_at: Instant::now() }
    }

    /// Once for each change.
    pub fn have_changed(&mut self) -> bool {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return false;
        }
        self.looked_at = Instant::now();
        let found = stamps(&self.files);
        let have_changed = found != self.stamps;
        self.stamps = found;
        have_changed
    }

    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Stamp { device: found.dev(), inode: found.ino(), size: found.size(), changed })
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn every_change_of_a_file_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mut watched = WatchedFiles::new(vec![path.clone()]);
        let mut looked = || {
            watched.looked_at -= LOOK_EVERY;
            watched.have_changed()
        };
        assert!(!looked());
        fs::write(&path, "one").unwrap();
        assert!(looked() && !looked());
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(looked() && !looked());
        fs::write(dir.path().join("aside"), "two").unwrap();
        fs::rename(dir.path().join("aside"), &path).unwrap();
        assert!(looked() && !looked());
        fs::remove_file(&path).unwrap();
        assert!(looked() && !looked());
    }
}
