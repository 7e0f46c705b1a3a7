//! What a full Chromium keeps outside of its profile: a directory among the temporary ones, with the socket by which another one on
//! the same profile would speak to it. One that is killed leaves it behind, and a node kills many in its time.
//!
//! `SingletonSocket` in the profile says where it is. That link is the browser's to write, and the browser may have been taken over by
//! its page; so nothing is removed but a directory of that very name and place that is the browsers' user's own, and in it only the two
//! files that belong there.

use std::{env, fs, io, path::Path};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, unlinkat},
    io::Errno,
    process::geteuid,
};

use crate::run_as::RunAs;

const LINK: &str = "SingletonSocket";
const FILES: [&str; 2] = [LINK, "SingletonCookie"];
const DIR_PREFIX: &str = "org.chromium.Chromium.";

/// Removes the directory that a browser on this profile has left, if there is one. To be called while none runs on it.
pub fn remove_socket_dir(profile: &Path, run_as: RunAs) -> io::Result<()> {
    let link = profile.join(LINK);
    let Ok(socket) = fs::read_link(&link) else { return Ok(()) };
    let Some(dir) = socket.parent().filter(|dir| is_one(&socket, dir)) else { return Ok(()) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, dir, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => {
            let opened = opened?;
            let user = run_as.owner().map_or(geteuid().as_raw(), |user| user.uid);
            if fstat(&opened)?.st_uid != user {
                return Ok(());
            }
            for file in FILES {
                if_there(unlinkat(&opened, file, AtFlags::empty()))?;
            }
            if_there(unlinkat(CWD, dir, AtFlags::REMOVEDIR))?;
        }
    }
    if_there(unlinkat(CWD, &link, AtFlags::empty()))
}

fn is_one(socket: &Path, dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    socket.ends_with(LINK)
        && name.is_some_and(|name| name.starts_with(DIR_PREFIX))
        && dir.parent() == Some(&env::temp_dir())
}

fn if_there(done: Result<(), Errno>) -> io::Result<()> {
    match done {
        Err(Errno::NOENT) => Ok(()),
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::PathBuf};

    use super::*;

    /// As a browser makes it, linked from the profile.
    fn left_by_a_browser(profile: &Path) -> PathBuf {
        let dir = tempfile::Builder::new().prefix(DIR_PREFIX).tempdir().unwrap().keep();
        for file in FILES {
            fs::write(dir.join(file), "").unwrap();
        }
        fs::remove_file(profile.join(LINK)).ok();
        symlink(dir.join(LINK), profile.join(LINK)).unwrap();
        dir
    }

    #[test]
    fn what_a_killed_browser_has_left_is_removed_with_its_link_and_repeating_it_is_fine() {
        let profile = tempfile::tempdir().unwrap();
        let dir = left_by_a_browser(profile.path());
        for _ in 0..2 {
            remove_socket_dir(profile.path(), RunAs::Caller).unwrap();
            assert!(!dir.exists() && profile.path().join(LINK).symlink_metadata().is_err());
        }
        let dir = left_by_a_browser(profile.path());
        fs::remove_dir_all(&dir).unwrap();
        remove_socket_dir(profile.path(), RunAs::Caller).unwrap();
        assert!(profile.path().join(LINK).symlink_metadata().is_err(), "a link to what is gone");
    }

    #[test]
    fn a_link_to_anything_else_removes_nothing() {
        let (profile, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = elsewhere.path().join(LINK);
        fs::write(&file, "somebody's").unwrap();
        symlink(&file, profile.path().join(LINK)).unwrap();
        remove_socket_dir(profile.path(), RunAs::Caller).unwrap();
        assert!(file.exists(), "of another name");

        let deeper = elsewhere.path().join(format!("{DIR_PREFIX}x"));
        fs::create_dir(&deeper).unwrap();
        fs::write(deeper.join(LINK), "").unwrap();
        fs::remove_file(profile.path().join(LINK)).unwrap();
        symlink(deeper.join(LINK), profile.path().join(LINK)).unwrap();
        remove_socket_dir(profile.path(), RunAs::Caller).unwrap();
        assert!(deeper.join(LINK).exists(), "in another place");

        // Beside the two files there is a third: it stays, and so does the directory.
        let dir = left_by_a_browser(profile.path());
        fs::write(dir.join("more"), "").unwrap();
        assert!(remove_socket_dir(profile.path(), RunAs::Caller).is_err());
        assert!(dir.join("more").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
