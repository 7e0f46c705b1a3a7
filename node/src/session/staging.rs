//! A copy of the session's files at one instant, made while the browser stands still.
//!
//! What LevelDB never changes once written (`.ldb`, `.sst`, and the files of IndexedDB's blob directory) is hard-linked ahead
//! of the freeze, or copied where there are no hard links; the rest, logs and manifests of a few megabytes at most, is copied
//! within it. So the browser is frozen for milliseconds, however large the session is; hashing and uploading happen after the thaw, from the staged files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, linkat, openat, statat};
use rustix::io::Errno;

use super::{STORES, SessionError, files};

/// A session of WhatsApp Web has tens to hundreds of megabytes. What has more is a fault of its page, or somebody's who has broken
/// out of it, and does not fill the object store.
pub(super) const FILE_AT_MOST: u64 = 1 << 30;
pub(super) const SESSION_AT_MOST: u64 = 2 << 30;

/// A file of the session, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SessionFile {
    /// Relative to the directory searched.
    pub path: PathBuf,
    pub size: u64,
    pub modified: SystemTime,
}

/// Every file of the session below this browser directory, sorted by path. Two equal answers mean that nothing has
/// changed; a browser that runs may change it meanwhile, which a file that is gone by the time it is looked at shows.
pub(super) fn find(browser_dir: &Path) -> Result<Vec<SessionFile>, SessionError> {
    let mut found = Vec::new();
    for store in STORES {
        let step = "listing the session's files";
        let failed = |error: io::Error| SessionError::disk(step, browser_dir.join(store))(error);
        if let Some(dir) = files::open_beneath(browser_dir, Path::new(store)).map_err(failed)? {
            search(&dir, Path::new(store), &mut found).map_err(|error| failed(error.into()))?;
        }
    }
    found.sort();
    Ok(found)
}

fn keep_within_limits(found: &[SessionFile]) -> Result<(), SessionError> {
    let too_large = |what: String, bytes, limit| Err(SessionError::TooLarge { what, bytes, limit });
    if let Some(file) = found.iter().find(|file| file.size > FILE_AT_MOST) {
        return too_large(format!("the session's file {}", file.path.display()), file.size, FILE_AT_MOST);
    }
    match found.iter().map(|file| file.size).sum() {
        bytes if bytes > SESSION_AT_MOST => too_large("the session".to_owned(), bytes, SESSION_AT_MOST),
        _ => Ok(()),
    }
}

/// Puts into `staging` what never changes and may take long to copy, while the browser still runs. Returns what is there now.
pub(super) fn stage_ahead(browser_dir: &Path, staging: &Path) -> Result<Vec<SessionFile>, SessionError> {
    let mut ahead = find(browser_dir)?;
    keep_within_limits(&ahead)?;
    ahead.retain(|file| is_immutable(&file.path));
    let mut staging = Staging { browser_dir, staging, open: None };
    let mut staged = Vec::new();
    for file in ahead {
        match staging.stage(&file) {
            // Not in use any more.
            Err(SessionError::Disk { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => done.map(|()| staged.push(file))?,
        }
    }
    Ok(staged)
}

/// Puts the session's files into `staging` but for those that are there, as they are now, already. To be called with the browser
/// frozen or closed.
pub(super) fn stage(
    browser_dir: &Path,
    staging: &Path,
    ahead: &[SessionFile],
) -> Result<Vec<SessionFile>, SessionError> {
    let found = find(browser_dir)?;
    keep_within_limits(&found)?;
    let mut staging = Staging { browser_dir, staging, open: None };
    for file in found.iter().filter(|file| ahead.binary_search(file).is_err()) {
        staging.stage(file)?;
    }
    Ok(found)
}

/// Files on their way, one directory after the other.
struct Staging<'a> {
    browser_dir: &'a Path,
    staging: &'a Path,
    open: Option<(PathBuf, OwnedFd)>,
}

impl Staging<'_> {
    fn stage(&mut self, file: &SessionFile) -> Result<(), SessionError> {
        let failed = |error| SessionError::disk("staging", self.browser_dir.join(&file.path))(error);
        let parent = file.path.parent().unwrap_or(Path::new("."));
        if self.open.as_ref().is_none_or(|(path, _)| path != parent) {
            let dir = files::open_beneath(self.browser_dir, parent).map_err(failed)?;
            let dir = dir.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
            files::make_private_dir(self.staging, parent).map_err(failed)?;
            self.open = Some((parent.to_owned(), dir));
        }
        match &self.open {
            Some((_, dir)) => stage_file(dir, file, &self.staging.join(&file.path)).map_err(failed),
            None => Ok(()),
        }
    }
}

/// An empty staging directory. Before the freeze: an old one takes time to remove.
pub(super) fn prepare(staging: &Path) -> Result<(), SessionError> {
    files::remove_dir(staging)?;
    let made = files::make_private_dir(staging, Path::new(""));
    made.map_err(SessionError::disk("making the staging directory", staging))
}

/// Links or copies a file of an open directory; something else than a file by that name is refused.
fn stage_file(dir: &OwnedFd, file: &SessionFile, to: &Path) -> io::Result<()> {
    let name = file.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // It was staged ahead, and was still being written.
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if is_immutable(&file.path) && link(dir, name, to)? {
        return Ok(());
    }
    // Without NONBLOCK a pipe of that name would be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut from = File::from(openat(dir, name, flags, Mode::empty())?);
    if !from.metadata()?.is_file() {
        return Err(no_file());
    }
    io::copy(&mut from, &mut files::create_private_file(to)?).map(drop)
}

/// `false` where there are no hard links, or none from there to here.
fn link(dir: &OwnedFd, name: &OsStr, to: &Path) -> io::Result<bool> {
    match linkat(dir, name, rustix::fs::CWD, to, AtFlags::empty()).map_err(io::Error::from) {
        Err(error) if files::is_for_want_of_links(&error) => return Ok(false),
        linked => linked?,
    }
    // Of a symbolic link this has made another link, which is seen and goes.
    if fs::symlink_metadata(to)?.is_file() { Ok(true) } else { fs::remove_file(to).and(Err(no_file())) }
}

fn no_file() -> io::Error {
    io::Error::other("it is no plain file")
}

/// LevelDB writes tables once, and Chromium the files of `*.indexeddb.blob` likewise.
pub(super) fn is_immutable(path: &Path) -> bool {
    let table = path.extension().is_some_and(|extension| extension == "ldb" || extension == "sst");
    let blob =
        path.components().any(|part| part.as_os_str().as_encoded_bytes().ends_with(b".indexeddb.blob"));
    table || blob
}

/// Locks and LevelDB's own diary are of no use elsewhere.
fn is_left_out(name: &OsStr) -> bool {
    name == "LOCK" || name == "LOG" || name == "LOG.old"
}

/// Links are not followed, and like everything else that is neither file nor directory they are no part of a session.
fn search(dir: &OwnedFd, below: &Path, found: &mut Vec<SessionFile>) -> Result<(), Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        let path = below.join(name);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match openat(dir, name, flags, Mode::empty()) {
                    Err(Errno::NOENT) => {}
                    inner => search(&inner?, &path, found)?,
                }
            }
            FileType::RegularFile if !is_left_out(name) => {
                found.push(SessionFile {
                    path,
                    size: stat.st_size.cast_unsigned(),
                    modified: modified(&stat),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn modified(stat: &Stat) -> SystemTime {
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    UNIX_EPOCH + Duration::new(u64::try_from(stat.st_mtime).unwrap_or_default(), nanos)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn the_stores_are_staged_without_locks_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/000005.ldb", "table");
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/000006.log", "log");
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/LOCK", "");
        write(&browser, "Default/IndexedDB/x.indexeddb.blob/1/00/3", "blob");
        write(&browser, "Default/Local Storage/leveldb/CURRENT", "MANIFEST-000001");
        write(&browser, "Default/Cache/data", "no");
        prepare(&staging).unwrap();
        let staged = stage(&browser, &staging, &[]).unwrap();
        let names: Vec<_> = staged.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "Default/IndexedDB/x.indexeddb.blob/1/00/3",
                "Default/IndexedDB/x.indexeddb.leveldb/000005.ldb",
                "Default/IndexedDB/x.indexeddb.leveldb/000006.log",
                "Default/Local Storage/leveldb/CURRENT",
            ]
        );
        assert_eq!(fs::read_to_string(staging.join(&staged[2].path)).unwrap(), "log");
        // A link has the mode of the browser's own file, in directories that are closed.
        let copy = staging.join(&staged[2].path);
        for (closed, mode) in [(copy.as_path(), 0o600), (copy.parent().unwrap(), 0o700), (&staging, 0o700)] {
            assert_eq!(fs::metadata(closed).unwrap().permissions().mode() & 0o7777, mode, "{closed:?}");
        }
    }

    #[test]
    fn what_is_larger_than_is_saved_is_refused_by_name_and_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        // Holes.
        let file = |path: &str, size| {
            write(&browser, path, "");
            File::options().write(true).open(browser.join(path)).unwrap().set_len(size).unwrap();
        };
        prepare(&staging).unwrap();
        file(TABLE, FILE_AT_MOST);
        stage_ahead(&browser, &staging).unwrap();
        file("Default/IndexedDB/b", FILE_AT_MOST);
        file("Default/IndexedDB/c", 1);
        let refused = stage(&browser, &staging, &[]).unwrap_err();
        assert!(refused.to_string().starts_with("the session has 2147483649 bytes"), "{refused}");
        file("Default/IndexedDB/b", FILE_AT_MOST + 1);
        let refused = stage_ahead(&browser, &staging).unwrap_err();
        assert!(refused.to_string().contains("Default/IndexedDB/b has 1073741825 bytes"), "{refused}");
        assert!(!staging.join("Default/IndexedDB/b").exists());
    }

    #[test]
    fn what_a_browser_links_to_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        let secret = dir.path().join("secret");
        fs::create_dir_all(secret.join("leveldb")).unwrap();
        fs::write(secret.join("leveldb/000003.log"), "the node's").unwrap();
        write(&browser, "Default/IndexedDB/x.indexeddb.leveldb/000001.log", "the browser's");
        let database = browser.join("Default/IndexedDB/x.indexeddb.leveldb");
        std::os::unix::fs::symlink(secret.join("leveldb/000003.log"), database.join("000002.log")).unwrap();
        std::os::unix::fs::symlink(secret.join("leveldb/000003.log"), database.join("000003.ldb")).unwrap();
        std::os::unix::fs::symlink(secret.join("leveldb"), database.join("deeper")).unwrap();
        prepare(&staging).unwrap();
        let staged = stage(&browser, &staging, &[]).unwrap();
        assert_eq!(staged.len(), 1, "{staged:?}");

        // One that is put in the place of a file after it was found.
        let dir_of_it = files::open_beneath(&browser, Path::new("Default/IndexedDB/x.indexeddb.leveldb"));
        let dir_of_it = dir_of_it.unwrap().unwrap();
        for name in ["000002.log", "000003.ldb"] {
            let found = SessionFile { path: name.into(), size: 1, modified: SystemTime::now() };
            assert!(stage_file(&dir_of_it, &found, &staging.join(name)).is_err(), "{name}");
            assert!(!staging.join(name).exists());
        }

        // A store that is a link as a whole, and one on the way to it.
        fs::rename(browser.join("Default/IndexedDB"), dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), browser.join("Default/IndexedDB")).unwrap();
        assert!(find(&browser).is_err(), "a store that is a link is refused");
        fs::rename(browser.join("Default"), dir.path().join("default")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("default"), browser.join("Default")).unwrap();
        assert!(find(&browser).is_err());
    }

    #[test]
    fn a_log_that_grows_after_the_thaw_leaves_the_staged_copy_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        let log = "Default/IndexedDB/x.indexeddb.leveldb/000006.log";
        write(&browser, log, "log");
        prepare(&staging).unwrap();
        stage(&browser, &staging, &[]).unwrap();
        write(&browser, log, "log and more");
        assert_eq!(fs::read_to_string(staging.join(log)).unwrap(), "log");
    }

    const TABLE: &str = "Default/IndexedDB/x.indexeddb.leveldb/000005.ldb";

    #[test]
    fn what_is_staged_ahead_is_not_staged_again_unless_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (browser, staging) = (dir.path().join("browser"), dir.path().join("staging"));
        let log = "Default/IndexedDB/x.indexeddb.leveldb/000006.log";
        let growing = "Default/IndexedDB/x.indexeddb.leveldb/000007.ldb";
        for (path, content) in [(TABLE, "table"), (log, "log"), (growing, "half")] {
            write(&browser, path, content);
        }
        prepare(&staging).unwrap();
        let ahead = stage_ahead(&browser, &staging).unwrap();
        assert_eq!(
            ahead.iter().map(|file| file.path.to_str().unwrap()).collect::<Vec<_>>(),
            [TABLE, growing]
        );
        // Anew, so that it is another file, as it is to a copy.
        fs::remove_file(browser.join(growing)).unwrap();
        write(&browser, growing, "half and half");
        // It would be made good if it were staged again.
        fs::remove_file(staging.join(TABLE)).unwrap();
        let staged = stage(&browser, &staging, &ahead).unwrap();
        assert_eq!(staged.len(), 3);
        assert!(!staging.join(TABLE).exists());
        assert_eq!(fs::read_to_string(staging.join(growing)).unwrap(), "half and half");
    }

    /// Between two file systems there are none, as on one that has none at all.
    #[test]
    fn without_hard_links_tables_are_copied() {
        use std::os::unix::fs::MetadataExt;
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let device = |dir: &Path| fs::metadata(dir).unwrap().dev();
        assert_ne!(device(here.path()), device(there.path()), "the test needs two file systems");
        let (browser, staging) = (here.path().join("browser"), there.path().join("staging"));
        write(&browser, TABLE, "table");
        prepare(&staging).unwrap();
        let ahead = stage_ahead(&browser, &staging).unwrap();
        stage(&browser, &staging, &ahead).unwrap();
        assert_eq!(fs::read_to_string(staging.join(TABLE)).unwrap(), "table");
        assert_eq!(fs::metadata(staging.join(TABLE)).unwrap().permissions().mode() & 0o7777, 0o600);
        // As everywhere, what is no plain file is refused.
        std::os::unix::fs::symlink(browser.join(TABLE), browser.join(TABLE).with_file_name("9.ldb")).unwrap();
        let parent = Path::new(TABLE).parent().unwrap();
        let dir = files::open_beneath(&browser, parent).unwrap().unwrap();
        let link = SessionFile { path: parent.join("9.ldb"), size: 1, modified: SystemTime::now() };
        assert!(stage_file(&dir, &link, &staging.join("9.ldb")).is_err());
    }
}
