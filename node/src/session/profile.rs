//! The directory of one tenant on this node:
//!
//! ```text
//! <profiles>/<tenant>-<first 8 digits of uid>/
//!   lock                 held by flock while anything uses the profile
//!   local-storage.json   the page's localStorage at the last snapshot
//!   browser/             the browser's user data directory
//!     roost-stamp.json   what the directory holds; it comes and goes with the directory
//!   incoming/            a restore under way
//!   staging/             a snapshot under way
//!   discarded/           what a restore has replaced
//!   aside/               the browser directory that was here before a warm browser was started; see `warm`
//! ```
//!
//! The shell build of Chromium does not lock its profile, so this does. The full build does, by `SingletonLock`, a link
//! to `<host>-<pid>` that a killed browser leaves behind: with the flock held, it is removed when its process is dead.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use roost_engine::LocalStorage;
use roost_model::ids::{Generation, TenantId};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SessionError;

/// A tenant's profile, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Profile {
    root: PathBuf,
    uid: Uuid,
}

/// What the browser directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    pub uid: Uuid,
    /// The generation that used it last.
    pub generation: Generation,
    /// The last snapshot taken from it or restored into it, of that generation; 0 for none.
    pub sequence: i64,
    /// The browser closed by itself, so that localStorage is on disk too.
    pub clean: bool,
}

impl Profile {
    /// The profile of this tenant among the node's profiles.
    pub fn new(profiles: &Path, tenant: &TenantId, uid: Uuid) -> Self {
        let digits = uid.simple().to_string();
        Self { root: profiles.join(format!("{tenant}-{}", &digits[..8])), uid }
    }

    /// Every profile on this node that has a browser directory, with the uid in its stamp: for the sweep of what
    /// removed tenants left. Directories without a readable stamp are not listed.
    pub fn list(profiles: &Path) -> Result<Vec<(Uuid, Self)>, SessionError> {
        let listing = match fs::read_dir(profiles) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(SessionError::disk("listing the profiles", profiles))?,
        };
        let roots = listing.filter_map(Result::ok).map(|entry| entry.path());
        Ok(roots
            .filter_map(|root| {
                let stamp = read_stamp(&root.join(BROWSER)).ok()??;
                Some((stamp.uid, Self { root, uid: stamp.uid }))
            })
            .collect())
    }

    /// Takes the profile for this process; it is created if need be. Held until the value is dropped, by the kernel:
    /// a dead process holds nothing.
    pub fn lock(&self) -> Result<LockedProfile, SessionError> {
        fs::create_dir_all(&self.root).map_err(SessionError::disk("making the profile", &self.root))?;
        let path = self.root.join("lock");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(SessionError::disk("opening the profile's lock", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = fs::read_to_string(&path).ok().and_then(|pid| pid.trim().parse().ok());
                return Err(SessionError::InUse { path: self.root.clone(), holder });
            }
            Err(error) => return Err(SessionError::disk("locking the profile", path)(error.into())),
        }
        // For people and for the error above only: the lock itself is the kernel's.
        let note = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        note.map_err(SessionError::disk("signing the profile's lock", &path))?;
        let locked = LockedProfile { root: self.root.clone(), uid: self.uid, _lock: file };
        // A preparation that a crash has ended is undone.
        locked.cool_down()?;
        Ok(locked)
    }
}

/// A profile that this process alone uses.
#[derive(Debug)]
pub struct LockedProfile {
    root: PathBuf,
    uid: Uuid,
    _lock: File,
}

const BROWSER: &str = "browser";
const STAMP: &str = "roost-stamp.json";

impl LockedProfile {
    /// The browser's user data directory, for [`roost_engine::Launch`].
    pub fn browser_dir(&self) -> PathBuf {
        self.root.join(BROWSER)
    }

    /// Whose profile it is.
    pub fn uid(&self) -> Uuid {
        self.uid
    }

    /// What the browser directory holds; `None` when there is none, or it is another tenant's of the same name, or its
    /// stamp cannot be read: then nothing is known of it and it counts for nothing.
    pub fn stamp(&self) -> Option<Stamp> {
        read_stamp(&self.browser_dir()).ok().flatten().filter(|stamp| stamp.uid == self.uid)
    }

    /// Forgets the session: the browser directory and everything saved beside it.
    pub fn wipe(&self) -> Result<(), SessionError> {
        for name in [BROWSER, INCOMING, STAGING, DISCARDED, ASIDE] {
            remove_dir(&self.root.join(name))?;
        }
        remove_file(&self.root.join(LOCAL_STORAGE))
    }

    /// Removes the whole profile: the tenant is gone.
    pub fn remove(self) -> Result<(), SessionError> {
        remove_dir(&self.root)
    }

    pub(super) fn write_stamp(&self, stamp: &Stamp) -> Result<(), SessionError> {
        write_stamp(&self.browser_dir(), stamp)
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING)
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn aside(&self) -> PathBuf {
        self.root.join(ASIDE)
    }

    /// What the directory that was set aside holds, in the terms of [`LockedProfile::stamp`].
    pub(super) fn stamp_aside(&self) -> Option<Stamp> {
        read_stamp(&self.aside()).ok().flatten().filter(|stamp| stamp.uid == self.uid)
    }

    /// Puts a whole browser directory in the place of the present one. A crash between the two renames leaves none,
    /// which the next start sees as "nothing here": never half of one.
    pub(super) fn replace_browser_dir(&self, with: &Path) -> Result<(), SessionError> {
        let at = self.browser_dir();
        let old = self.root.join(DISCARDED);
        remove_dir(&old)?;
        rename_if_there(&at, &old)?;
        fs::rename(with, &at).map_err(SessionError::disk("moving the restored profile into place", &at))?;
        sync_dir(&self.root)?;
        remove_dir(&old)
    }

    pub(super) fn save_local_storage(&self, values: &LocalStorage) -> Result<(), SessionError> {
        write_json(&self.root.join(LOCAL_STORAGE), values)
    }

    pub(super) fn saved_local_storage(&self) -> Result<Option<LocalStorage>, SessionError> {
        read_json(&self.root.join(LOCAL_STORAGE))
    }

    pub(super) fn forget_local_storage(&self) -> Result<(), SessionError> {
        remove_file(&self.root.join(LOCAL_STORAGE))
    }

    /// Removes the lock link of a full Chromium whose process is dead.
    pub(super) fn remove_stale_singleton(&self) -> Result<(), SessionError> {
        let link = self.browser_dir().join("SingletonLock");
        let Ok(target) = fs::read_link(&link) else { return Ok(()) };
        let holder = target
            .to_str()
            .and_then(|text| text.rsplit_once('-'))
            .and_then(|(_, pid)| pid.parse::<u32>().ok());
        match holder {
            // The flock says that no node of this machine uses the profile; a living process of that pid is either a
            // browser that escaped its node or a stranger, and only the former has our directory in its command line.
            Some(pid) if uses_dir(pid, &self.browser_dir()) => {
                Err(SessionError::InUse { path: self.root.clone(), holder })
            }
            _ => remove_file(&link),
        }
    }
}

const INCOMING: &str = "incoming";
const STAGING: &str = "staging";
const DISCARDED: &str = "discarded";
const ASIDE: &str = "aside";
const LOCAL_STORAGE: &str = "local-storage.json";

fn uses_dir(pid: u32, dir: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let dir = dir.as_os_str().as_encoded_bytes();
    command.windows(dir.len()).any(|window| window == dir)
}

fn read_stamp(browser_dir: &Path) -> Result<Option<Stamp>, SessionError> {
    read_json(&browser_dir.join(STAMP))
}

/// Into any browser directory, also one that is not in place yet.
pub(super) fn write_stamp(browser_dir: &Path, stamp: &Stamp) -> Result<(), SessionError> {
    write_json(&browser_dir.join(STAMP), stamp)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, SessionError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(SessionError::disk("reading", path))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| SessionError::Corrupt {
        object: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// Whole or not at all, also across a power cut.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), SessionError> {
    let new = path.with_extension("json.new");
    let written = serde_json::to_vec(value).map_err(io::Error::from).and_then(|text| {
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        fs::rename(&new, path)
    });
    written.map_err(SessionError::disk("writing", path))
}

/// Moves a directory, if it is there.
pub(super) fn rename_if_there(from: &Path, to: &Path) -> Result<(), SessionError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(SessionError::disk("moving a directory of the profile", from)),
    }
}

pub(super) fn remove_dir(path: &Path) -> Result<(), SessionError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(SessionError::disk("removing", path)),
    }
}

fn remove_file(path: &Path) -> Result<(), SessionError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(SessionError::disk("removing", path)),
    }
}

/// Makes renames in a directory survive a power cut.
pub(super) fn sync_dir(path: &Path) -> Result<(), SessionError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(SessionError::disk("syncing", path))
}
