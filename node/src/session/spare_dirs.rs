//! Directories of browsers that run for nobody yet:
//!
//! ```text
//! <state dir>/profiles/.spares/
//!   lock       held by flock by the process whose spares these are
//!   <n>/
//!     browser/ the browser's user data directory; once it is a tenant's, a link to where it is (`adoption`)
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{SessionError, files};
use roost_engine::run_as::RunAs;

/// Beside the profiles, so that a directory can be moved from the one to the other: no tenant's name begins like this.
const SPARES: &str = ".spares";
const LOCK: &str = "lock";
const BROWSER: &str = "browser";

/// Where the spare browsers of this process are.
#[derive(Debug)]
pub struct SpareDirs {
    dir: PathBuf,
    run_as: RunAs,
    made: AtomicU64,
    _lock: File,
}

/// The directory of one browser. Dropping it removes what is there, which is a link by then if it has become a tenant's.
#[derive(Debug)]
pub struct SpareDir {
    dir: PathBuf,
}

impl SpareDirs {
    /// Takes the place of the spares beside the profiles in `profiles` for this process, and removes what one before it has left
    /// there: its browsers died with it.
    pub(super) fn take(profiles: &Path, run_as: RunAs) -> Result<Self, SessionError> {
        let dir = profiles.join(SPARES);
        files::make_passage(&dir, run_as)?;
        let path = dir.join(LOCK);
        let lock = files::create_private_file(&path)
            .map_err(SessionError::disk("opening the spares' lock", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SessionError::InUse { path: dir, holder: None }),
            Err(TryLockError::Error(error)) => {
                return Err(SessionError::disk("locking the spares", path)(error));
            }
        }
        let listing = fs::read_dir(&dir).map_err(SessionError::disk("listing the spares", &dir))?;
        for left in listing.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()) {
            files::remove_dir(&left)?;
        }
        Ok(Self { dir, run_as, made: AtomicU64::new(0), _lock: lock })
    }

    /// Removes what a process before this one has left.
    pub(super) fn discard(profiles: &Path) -> Result<(), SessionError> {
        files::remove_dir(&profiles.join(SPARES))
    }

    /// An empty directory for one more browser.
    pub fn make(&self) -> Result<SpareDir, SessionError> {
        let dir = self.dir.join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        files::make_passage(&dir, self.run_as)?;
        let made = SpareDir { dir };
        files::make_owned(&made.browser_dir(), self.run_as)?;
        Ok(made)
    }
}

impl SpareDir {
    /// Where its browser is started.
    pub fn browser_dir(&self) -> PathBuf {
        self.dir.join(BROWSER)
    }
}

impl Drop for SpareDir {
    fn drop(&mut self) {
        // What stays goes with the next process.
        let _left = files::remove_dir(&self.dir);
    }
}
