//! The directories of a node's tenants, and one tenant's:
//!
//! ```text
//! <state dir>/profiles/<tenant>-<first 8 digits of uid>/
//!   lock                 held by flock while anything uses the profile
//!   local-storage.json   the page's localStorage at the last snapshot
//!   current/
//!     stamp.json         what `browser/` holds; it comes and goes with it
//!     browser/           the browser's user data directory
//!   incoming/            a restore under way, laid out like `current/`
//!   staging/             a snapshot under way
//!   discarded/           what a restore has replaced
//!   aside/               the `current/` that was here before a warm browser was; see `standby`, `spare_dirs`
//!   damaged/             the last `current/` that was found to be damaged; for people, see `fallback`
//! ```
//!
//! `browser/` alone belongs to the browsers' user; everything else is the node's, and closed to all others. So whatever
//! a browser does to its files, it cannot make the node read or write anywhere else: see `files`.
//!
//! The shell build of Chromium does not lock its profile, so this does. The full build does, by `SingletonLock`, a link
//! to `<host>-<pid>` that a killed browser leaves behind: with the flock held, it is removed when its process is dead.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use roost_engine::LocalStorage;
use roost_model::{
    causes,
    ids::{Generation, SessionNumber, TenantId},
};
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use uuid::Uuid;

use super::SessionError;
use super::beginning::Beginning;
use super::files::{self, read_json, remove_dir, remove_file, write_json};
use super::spare_dirs::SpareDir;
use crate::blocking::run_blocking;
use roost_engine::run_as::{RunAs, impassable};
use roost_engine::web::remove_socket_dir;

/// The profiles of a node, and who its browsers run as.
#[derive(Debug, Clone)]
pub struct Profiles {
    dir: PathBuf,
    run_as: RunAs,
}

impl Profiles {
    /// Those below a state directory, which is closed to others; see [`Profiles::open`].
    pub fn in_state_dir(state_dir: &Path, run_as: RunAs) -> Result<Self, SessionError> {
        files::tighten(state_dir, run_as)?;
        Self::open(&state_dir.join(PROFILES), run_as)
    }

    /// Makes the directory, if need be, and sees that a browser can get to what will be its own below it.
    pub fn open(dir: &Path, run_as: RunAs) -> Result<Self, SessionError> {
        files::make_passage(dir, run_as)?;
        // A browser is started in another directory, and a link may lead through one that is closed to it.
        let dir = dir.canonicalize().map_err(SessionError::disk("finding the profiles", dir))?;
        if let Some(user) = run_as.owner()
            && let Some(closed) = impassable(&dir, user)
        {
            return Err(SessionError::Closed { path: closed.to_owned(), user: user.to_string() });
        }
        Ok(Self { dir, run_as })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn run_as(&self) -> RunAs {
        self.run_as
    }

    /// The profile of this tenant.
    pub fn of(&self, tenant: &TenantId, uid: Uuid) -> Profile {
        let digits = uid.simple().to_string();
        Profile { root: self.dir.join(format!("{tenant}-{}", &digits[..DIGITS])), uid, run_as: self.run_as }
    }

    /// Shows that a file can be written here, and reaches the disk. Blocking.
    pub fn prove(&self) -> Result<(), SessionError> {
        let path = self.dir.join(PROOF);
        let written = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(&[0; PROOF_BYTES])?;
            file.sync_all()
        };
        let written = written().map_err(SessionError::disk("writing a file", &path));
        // Also what was written in part, on a disk that is full.
        written.and(remove_file(&path))
    }

    /// Every profile on this node that has a browser directory, in place or not, with the uid in its stamp: for the sweep of
    /// what removed tenants left. A crash between two renames leaves none in place. Directories without a readable stamp are
    /// not listed.
    pub fn list(&self) -> Result<Vec<(Uuid, Profile)>, SessionError> {
        Ok(self
            .roots()?
            .filter_map(|root| {
                let stamp = PLACES.iter().find_map(|place| read_stamp(&root.join(place)).ok()?)?;
                Some((stamp.uid, Profile { root, uid: stamp.uid, run_as: self.run_as }))
            })
            .collect())
    }

    /// Whose profiles are on this node by the names of the directories, whatever is in them.
    pub fn tenants(&self) -> Result<BTreeSet<TenantId>, SessionError> {
        let of_root = |root: PathBuf| {
            let (tenant, digits) = root.file_name()?.to_str()?.rsplit_once('-')?;
            (digits.len() == DIGITS).then(|| TenantId::new(tenant).ok())?
        };
        Ok(self.roots()?.filter_map(of_root).collect())
    }

    fn roots(&self) -> Result<impl Iterator<Item = PathBuf>, SessionError> {
        let listing = fs::read_dir(&self.dir);
        let listing = listing.map_err(SessionError::disk("listing the profiles", &self.dir))?;
        Ok(listing.filter_map(Result::ok).map(|entry| entry.path()))
    }
}

/// A tenant's profile, whether it exists or not.
#[derive(Debug, Clone)]
pub struct Profile {
    root: PathBuf,
    uid: Uuid,
    run_as: RunAs,
}

/// The generation of a directory that holds no session.
pub(super) const UNOWNED: Generation = Generation(0);

/// What the browser directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileStamp {
    pub uid: Uuid,
    /// The generation that used it last.
    pub generation: Generation,
    /// The last snapshot taken from it or restored into it, of that generation; 0 for none.
    pub sequence: i64,
    /// The browser closed by itself, so that localStorage is on disk too.
    pub clean: bool,
    /// Of which session of the tenant; those of before sessions had numbers are of the first.
    #[serde(default = "SessionNumber::first")]
    pub session: SessionNumber,
    /// A session was saved from it or restored into it.
    #[serde(default)]
    pub has_session: bool,
    /// It does not hold what it should, and counts for nothing.
    #[serde(default)]
    pub is_damaged: bool,
}

impl Profile {
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// The last generation that used any of what is here, in place or not; 0, which is nobody, where nothing is that
    /// could be used, such as directories without a readable stamp.
    pub fn last_generation(&self) -> Result<Generation, SessionError> {
        let mut last = UNOWNED;
        for place in PLACES {
            match read_stamp(&self.root.join(place)) {
                Ok(Some(stamp)) if stamp.uid == self.uid => last = last.max(stamp.generation),
                Ok(_) | Err(SessionError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    /// Takes the profile for this process; it is created if need be. Held until the value is dropped, by the kernel:
    /// a dead process holds nothing.
    pub fn lock(&self) -> Result<LockedProfile, SessionError> {
        files::make_passage(&self.root, self.run_as)?;
        let path = self.root.join(LOCK);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(SessionError::disk("opening the profile's lock", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).ok().and_then(|pid| pid.trim().parse().ok());
                return Err(SessionError::InUse { path: self.root.clone(), holder });
            }
            Err(TryLockError::Error(error)) => {
                return Err(SessionError::disk("locking the profile", path)(error));
            }
        }
        files::make_private_file(&path).map_err(SessionError::disk("closing the profile's lock", &path))?;
        // For people and for the error above only: the lock itself is the kernel's.
        let note = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        note.map_err(SessionError::disk("signing the profile's lock", &path))?;
        let locked = LockedProfile {
            root: self.root.clone(),
            uid: self.uid,
            run_as: self.run_as,
            session: AtomicI64::new(SessionNumber::first().0),
            lock: Arc::new(RwLock::new(file)),
            beginning: Beginning::default(),
            spare: Mutex::default(),
        };
        // A preparation that a crash has ended is undone.
        locked.discard_unused()?;
        Ok(locked)
    }
}

/// A profile that this process alone uses.
#[derive(Debug)]
pub struct LockedProfile {
    root: PathBuf,
    uid: Uuid,
    run_as: RunAs,
    /// The number of the session; see `session_number`.
    pub(super) session: AtomicI64,
    /// The file that is held by flock. It is read-locked by all work on the profile's files that goes on when its future
    /// is dropped, so that the profile stays taken until that has ended.
    lock: Arc<RwLock<File>>,
    /// See `beginning`.
    pub(super) beginning: Beginning,
    /// Where its browser was started, if that was as a spare one.
    spare: Mutex<Option<SpareDir>>,
}

/// In the state directory.
const PROFILES: &str = "profiles";
/// Beside the profiles, for a moment.
const PROOF: &str = ".proof";
/// As much as a browser writes at once.
const PROOF_BYTES: usize = 65_536;
/// Of the uid, in the name of a profile.
const DIGITS: usize = 8;
/// In a profile.
const LOCK: &str = "lock";
const CURRENT: &str = "current";
const INCOMING: &str = "incoming";
const STAGING: &str = "staging";
const DISCARDED: &str = "discarded";
const ASIDE: &str = "aside";
const DAMAGED: &str = "damaged";
const LOCAL_STORAGE: &str = "local-storage.json";
/// Where in a profile a browser directory with its stamp may be.
const PLACES: [&str; 5] = [CURRENT, INCOMING, DISCARDED, ASIDE, DAMAGED];
/// In each of them.
const BROWSER: &str = "browser";
const STAMP: &str = "stamp.json";
/// In the browser directory, by a full Chromium.
const SINGLETON_LOCK: &str = "SingletonLock";

impl LockedProfile {
    /// The browser's user data directory, for [`roost_engine::Launch`].
    pub fn browser_dir(&self) -> PathBuf {
        self.current().join(BROWSER)
    }

    /// Whose profile it is.
    pub fn uid(&self) -> Uuid {
        self.uid
    }

    /// What the browser directory holds; `None` when there is none, or it is another tenant's of the same name, or damaged, or
    /// its stamp cannot be read: then nothing is known of it and it counts for nothing.
    pub fn stamp(&self) -> Option<ProfileStamp> {
        self.stamp_of(&self.current()).filter(|stamp| !stamp.is_damaged)
    }

    fn stamp_of(&self, dir: &Path) -> Option<ProfileStamp> {
        read_stamp(dir).ok().flatten().filter(|stamp| stamp.uid == self.uid)
    }

    /// Whether what was restored into it is older than something that is in the store: somebody may be removing it.
    pub fn has_gone_back(&self) -> bool {
        self.beginning.has_gone_back()
    }

    /// Does blocking work on the profile's files. When the future is dropped the work goes on, and the profile is held
    /// until it has ended.
    pub(super) async fn work_on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let held = self.lock.clone().read_owned().await;
        run_blocking(move || {
            let _held = held;
            work()
        })
        .await
    }

    /// Waits until the work of futures that were dropped has ended: it would make anew what is about to be removed.
    pub(super) async fn settle(&self) {
        drop(self.lock.write().await);
    }

    /// Forgets the session: the browser directory and everything saved beside it.
    pub async fn wipe(&self) -> Result<(), SessionError> {
        self.settle().await;
        self.beginning.with_nothing();
        self.remove_socket_dir();
        let root = self.root.clone();
        let wiped = move || {
            for name in [CURRENT, INCOMING, STAGING, DISCARDED, ASIDE, DAMAGED] {
                remove_dir(&root.join(name))?;
            }
            remove_file(&root.join(LOCAL_STORAGE))
        };
        self.work_on_files(wiped).await
    }

    /// Removes the whole profile: the tenant is gone. To be dropped afterwards, for the lock is removed with it.
    pub async fn remove(&self) -> Result<(), SessionError> {
        self.settle().await;
        self.remove_socket_dir();
        let root = self.root.clone();
        self.work_on_files(move || remove_dir(&root)).await
    }

    pub(super) fn write_stamp(&self, stamp: &ProfileStamp) -> Result<(), SessionError> {
        write_stamp(&self.current(), stamp)
    }

    pub(super) fn current(&self) -> PathBuf {
        self.root.join(CURRENT)
    }

    pub(super) fn incoming(&self) -> PathBuf {
        self.root.join(INCOMING)
    }

    /// What is to become the browser directory.
    pub(super) fn incoming_browser_dir(&self) -> PathBuf {
        self.incoming().join(BROWSER)
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn aside(&self) -> PathBuf {
        self.root.join(ASIDE)
    }

    /// What the directory that was set aside holds, in the terms of [`LockedProfile::stamp`].
    pub(super) fn stamp_aside(&self) -> Option<ProfileStamp> {
        self.stamp_of(&self.aside()).filter(|stamp| !stamp.is_damaged)
    }

    /// Makes the browser directory, if need be, and gives it to the browsers' user: it may be as another one left it.
    pub(super) fn make_browser_dir(&self) -> Result<(), SessionError> {
        self.make_current_dir()?;
        files::make_owned(&self.browser_dir(), self.run_as)
    }

    /// Makes what the browser directory and its stamp are in.
    pub(super) fn make_current_dir(&self) -> Result<(), SessionError> {
        files::make_passage(&self.current(), self.run_as)
    }

    /// Of two spares the later one's is kept: the browser of the one before is gone.
    pub(super) fn keep_link(&self, spare: SpareDir) {
        drop(self.spare.lock().replace(spare));
    }

    /// Gives what was fetched to the browsers' user.
    pub(super) fn give_incoming(&self) -> Result<(), SessionError> {
        files::make_passage(&self.incoming(), self.run_as)?;
        files::make_owned(&self.incoming_browser_dir(), self.run_as)
    }

    /// Puts what is in `incoming` in the place of the present browser directory. A crash between the two renames leaves
    /// none, which the next start sees as "nothing here": never half of one.
    pub(super) fn move_incoming_in(&self) -> Result<(), SessionError> {
        let (at, old) = (self.current(), self.root.join(DISCARDED));
        self.set_damaged_aside()?;
        remove_dir(&old)?;
        files::rename_if_there(&at, &old)?;
        let step = "moving the restored profile into place";
        fs::rename(self.incoming(), &at).map_err(SessionError::disk(step, &at))?;
        files::sync_dir(&self.root)?;
        remove_dir(&old)
    }

    /// Makes room for another browser directory if the present one is damaged, which is kept until the next one is.
    pub(super) fn set_damaged_aside(&self) -> Result<(), SessionError> {
        let (at, damaged) = (self.current(), self.root.join(DAMAGED));
        if self.stamp_of(&at).is_none_or(|stamp| !stamp.is_damaged) {
            return Ok(());
        }
        remove_dir(&damaged)?;
        files::rename_if_there(&at, &damaged)
    }

    /// Gives what was fetched of one directory to a browser that is running on the present directory and has not opened it.
    pub(super) fn move_into_browser_dir(&self, below: &str) -> Result<(), SessionError> {
        let from = self.incoming_browser_dir().join(below);
        files::make_owned(&from, self.run_as)?;
        files::replace_beneath(&from, &self.browser_dir(), Path::new(below), self.run_as)
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

    /// Removes what a full Chromium whose process is dead has left: its temporary directory, and the link by which it locked the profile.
    pub(super) fn remove_stale_singleton(&self) -> Result<(), SessionError> {
        let link = self.browser_dir().join(SINGLETON_LOCK);
        let Ok(target) = fs::read_link(&link) else { return Ok(()) };
        let holder = target
            .to_str()
            .and_then(|text| text.rsplit_once('-'))
            .and_then(|(_, pid)| pid.parse::<u32>().ok());
        match holder {
            // The flock says that no node of this machine uses the profile; a living process of that pid is either a
            // browser that escaped its node or a stranger, and only the former has our directory in its command line, or files
            // in it open, if it was a spare one's.
            Some(pid) if uses_dir(pid, &self.browser_dir()) => {
                Err(SessionError::InUse { path: self.root.clone(), holder })
            }
            _ => {
                self.remove_socket_dir();
                remove_file(&link)
            }
        }
    }

    /// Of a browser that was killed with its node; other ones have theirs removed as they end. One that holds more than it should
    /// is nothing that a session waits for.
    fn remove_socket_dir(&self) {
        if let Err(error) = remove_socket_dir(&self.browser_dir(), self.run_as) {
            tracing::warn!(error = %causes(&error), profile = %self.root.display(), "a temporary directory of a browser is left");
        }
    }
}

fn uses_dir(pid: u32, dir: &Path) -> bool {
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let name = dir.as_os_str().as_encoded_bytes();
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    command.windows(name.len()).any(|window| window == name)
        || open.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.starts_with(dir))
}

/// Of any of the directories that hold a browser directory.
fn read_stamp(dir: &Path) -> Result<Option<ProfileStamp>, SessionError> {
    read_json(&dir.join(STAMP))
}

/// Also of one that is not in place yet.
pub(super) fn write_stamp(dir: &Path, stamp: &ProfileStamp) -> Result<(), SessionError> {
    write_json(&dir.join(STAMP), stamp)
}
