//! The disk below a profile. What is beneath a browser directory belongs to the browser, which may be another user and may
//! have been taken over by what it loaded: a node that is root and follows a link there could be made to read or write any
//! file of the machine. So the node opens what is in there beneath the directory only, and follows no link.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use roost_engine::run_as::RunAs;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::process::geteuid;
use serde::{Serialize, de::DeserializeOwned};

use super::SessionError;

/// For the node alone, and for browsers' users to pass through: they may know a name in there but not list any.
const PASSAGE: u32 = 0o710;
const PRIVATE: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;
/// Of a directory that many users write to, such as /tmp.
const STICKY: u32 = 0o1000;

/// Closes the node's own directory to others, as it would have been made. One that is somebody else's, or everybody's, is left
/// as it is: others have their things there, and what is the node's in it is closed by itself.
pub(super) fn tighten(dir: &Path, run_as: RunAs) -> Result<(), SessionError> {
    let failed = SessionError::disk("closing a directory to others", dir);
    let meta = match fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(failed)?,
    };
    if meta.mode() & 0o777 & !passage_mode(run_as) == 0 {
        return Ok(());
    }
    if meta.uid() != geteuid().as_raw() || meta.mode() & STICKY != 0 {
        tracing::warn!(dir = %dir.display(), "the state directory is open to others and not this node's own; it is left as it is");
        return Ok(());
    }
    tracing::info!(dir = %dir.display(), mode = format!("{:o}", meta.mode() & 0o7777), "the state directory was open to others and is closed");
    make_one_passage(dir, run_as).map_err(SessionError::disk("closing a directory to others", dir))
}

/// Makes a directory of the node's alone, with what is missing on the way to it, and closes to others what is there from below
/// `root` on.
pub(super) fn make_private_dir(root: &Path, below: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE).create(root)?;
    let mut dir = root.to_owned();
    for name in below {
        dir.push(name);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        if fs::metadata(&dir)?.mode() & 0o7777 != PRIVATE {
            fs::set_permissions(&dir, Permissions::from_mode(PRIVATE))?;
        }
    }
    Ok(())
}

/// An empty file of the node's alone, whatever the umask.
pub(super) fn create_private_file(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(true).mode(PRIVATE_FILE).open(path)?;
    file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    Ok(file)
}

/// Closes a file that somebody else's code has made.
pub(super) fn make_private_file(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(PRIVATE_FILE))
}

/// Makes a directory of the node's, with its parents, on the way to one of the browser's. Parents that are there already
/// are left as they are.
pub(super) fn make_passage(dir: &Path, run_as: RunAs) -> Result<(), SessionError> {
    let missing =
        dir.ancestors().skip(1).take_while(|parent| !parent.as_os_str().is_empty() && !parent.exists());
    let missing: Vec<&Path> = missing.collect();
    let made = missing.into_iter().rev().chain([dir]).try_for_each(|dir| make_one_passage(dir, run_as));
    made.map_err(SessionError::disk("making a directory", dir))
}

fn make_one_passage(dir: &Path, run_as: RunAs) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
        made => made?,
    }
    if let Some(user) = run_as.owner() {
        chown(dir, None, Some(user.gid))?;
    }
    fs::set_permissions(dir, Permissions::from_mode(passage_mode(run_as)))
}

fn passage_mode(run_as: RunAs) -> u32 {
    if run_as.owner().is_some() { PASSAGE } else { PRIVATE }
}

/// Makes a directory of the browser's in one of the node's, and gives it with all that is in it to the browsers' user.
pub(super) fn make_owned(dir: &Path, run_as: RunAs) -> Result<(), SessionError> {
    let made = DirBuilder::new().recursive(true).mode(PRIVATE).create(dir);
    made.and_then(|()| fs::set_permissions(dir, Permissions::from_mode(PRIVATE)))
        .and_then(|()| give(dir, run_as))
        .map_err(SessionError::disk("making a directory of the browser's", dir))
}

/// Where everything belongs to the user already this is one look at each directory's own owner.
fn give(path: &Path, run_as: RunAs) -> io::Result<()> {
    let Some(user) = run_as.owner() else { return Ok(()) };
    let meta = fs::symlink_metadata(path)?;
    if (meta.uid(), meta.gid()) == (user.uid, user.gid) {
        return Ok(());
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), run_as)?;
        }
    }
    // After what is in it, so that a directory that has its owner has it all the way down, also after a crash.
    lchown(path, Some(user.uid), Some(user.gid))
}

/// A directory beneath another one, reached without a link; none when there is no such directory.
pub(super) fn open_beneath(dir: &Path, below: &Path) -> io::Result<Option<OwnedFd>> {
    let dir = File::open(dir)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(&dir, below, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        Ok(opened) => Ok(Some(opened)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is in a file beneath another directory, reached without a link, as far as these bytes.
pub(super) fn read_beneath(dir: &Path, file: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let dir = File::open(dir)?;
    // Without NONBLOCK a pipe of that name would be waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = File::from(openat2(&dir, file, flags, Mode::empty(), resolve)?);
    let mut content = Vec::new();
    file.take(most_bytes).read_to_end(&mut content)?;
    Ok(content)
}

/// A path that leads to this very directory, wherever a path to it would lead by now.
pub(super) fn path_of(dir: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()))
}

/// Moves a directory to `below`, one name in one directory, beneath the browser's directory; what was there goes.
pub(super) fn replace_beneath(
    from: &Path,
    browser_dir: &Path,
    below: &Path,
    run_as: RunAs,
) -> Result<(), SessionError> {
    let replaced = || -> io::Result<()> {
        let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let parent = match open_beneath(browser_dir, parent)? {
            Some(parent) => parent,
            None => {
                // In the browser's directory itself, which is in one of the node's.
                let new = browser_dir.join(parent);
                fs::create_dir(&new)?;
                give(&new, run_as)?;
                open_beneath(browser_dir, parent)?.ok_or(io::ErrorKind::NotFound)?
            }
        };
        let to = path_of(&parent).join(name);
        match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(from, &to)?,
        }
        File::from(parent).sync_all()
    };
    replaced().map_err(SessionError::disk("giving a session to its browser", browser_dir.join(below)))
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, SessionError> {
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
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), SessionError> {
    let written = || -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        file.write_all(&text)?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    };
    written().map_err(SessionError::disk("writing", path))
}

/// Whether a hard link was not made because the file system has none (SMB, FUSE, some volumes of containers), not between
/// these two places, or not of this file.
pub(super) fn is_for_want_of_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let reasons = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::XDEV, Errno::MLINK, Errno::NOSYS];
    error.raw_os_error().is_some_and(|found| reasons.iter().any(|reason| reason.raw_os_error() == found))
}

/// Moves a directory, if it is there.
pub(super) fn rename_if_there(from: &Path, to: &Path) -> Result<(), SessionError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(SessionError::disk("moving a directory of the profile", from)),
    }
}

/// Follows no link, neither at the path nor below it.
pub(super) fn remove_dir(path: &Path) -> Result<(), SessionError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(SessionError::disk("removing", path)),
    }
}

pub(super) fn remove_file(path: &Path) -> Result<(), SessionError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(SessionError::disk("removing", path)),
    }
}

/// How long ago a file was written. A clock that was set back since only lengthens it.
pub(super) fn age(file: &Metadata, now: SystemTime) -> io::Result<Duration> {
    Ok(now.duration_since(file.modified()?).unwrap_or_default())
}

/// Makes renames in a directory survive a power cut.
pub(super) fn sync_dir(path: &Path) -> Result<(), SessionError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(SessionError::disk("syncing", path))
}
