//! The user of what refuses to be root: PostgreSQL. A node has its browsers run as such a user by itself, but its state
//! must be where they can get to.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::error::{DevError, Result};

/// Another user than this process, which is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemUser {
    /// A user of this machine.
    Of { uid: u32, gid: u32 },
    /// Only root exists here, as in some containers: in a user namespace of its own, root is called so.
    Namespace { uid: u32, gid: u32 },
}

impl SystemUser {
    /// `None` when this process is not root: everything then runs as the user that it is.
    pub fn for_postgres() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let read = |path: &str| fs::read_to_string(path).map_err(DevError::file("read", Path::new(path)));
        let passwd = read("/etc/passwd")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| in_passwd(&passwd, name));
        let (uid, gid) = found.ok_or(DevError::NoUnprivilegedUser)?;
        let root_alone = is_root_alone(&read("/proc/self/uid_map")?);
        Ok(Some(if root_alone { Self::Namespace { uid, gid } } else { Self::Of { uid, gid } }))
    }

    pub fn own(&self, path: &Path) -> Result<()> {
        match self {
            Self::Of { uid, gid } => {
                chown(path, Some(*uid), Some(*gid)).map_err(DevError::file("give away", path))
            }
            Self::Namespace { .. } => Ok(()),
        }
    }

    /// A directory that this user can get to and that belongs to `dir`; see [`reachable`].
    pub fn place(&self, dir: &Path) -> Result<PathBuf> {
        match self {
            Self::Of { .. } => reachable(dir),
            Self::Namespace { .. } => Ok(dir.to_owned()),
        }
    }
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What becomes the program that is given to it, as that user and tied to this process: the kernel kills it when this
/// one dies. In this order, for a change of user or of user namespace clears the tie.
pub(super) fn command_as(user: Option<SystemUser>) -> Command {
    let mut command = match user {
        Some(SystemUser::Namespace { uid, gid }) => {
            let mut command = Command::new("unshare");
            command.args([
                "--user",
                &format!("--map-user={uid}"),
                &format!("--map-group={gid}"),
                "--",
                "setpriv",
            ]);
            command
        }
        _ => Command::new("setpriv"),
    };
    if let Some(SystemUser::Of { uid, gid }) = user {
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL", "--"]);
    command
}

/// A directory that other users can get to and that belongs to `dir`: `dir` itself where they can.
///
/// Two kinds of parents keep them out. Temporary directories are made 0700: those are opened for passing through (`o+x`,
/// which shows nobody their contents). Others, such as /root, are left as they are: the directory is placed under
/// /var/lib/roost-dev instead, named after `dir`, and `dir` becomes a symbolic link to it.
pub(super) fn reachable(dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir).map_err(DevError::file("create", dir))?;
    let dir = dir.canonicalize().map_err(DevError::file("resolve", dir))?;
    let closed: Vec<&Path> = dir.ancestors().skip(1).filter(|parent| !others_may_pass(parent)).collect();
    if closed.iter().all(|parent| parent.starts_with(env::temp_dir())) {
        for parent in closed {
            open_for_passing(parent).map_err(DevError::file("open for other users", parent))?;
        }
        return Ok(dir);
    }
    let elsewhere = Path::new("/var/lib/roost-dev").join(flattened(&dir));
    // `dir` is no link yet: what lies there belongs to a `dir` that was removed since.
    fs::remove_dir_all(&elsewhere)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(DevError::file("remove", &elsewhere))?;
    fs::create_dir_all(&elsewhere).map_err(DevError::file("create", &elsewhere))?;
    fs::remove_dir(&dir)
        .and_then(|()| symlink(&elsewhere, &dir))
        .map_err(DevError::file("make a link of", &dir))?;
    Ok(elsewhere)
}

fn others_may_pass(dir: &Path) -> bool {
    fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o001 != 0)
}

fn open_for_passing(dir: &Path) -> io::Result<()> {
    let mode = fs::metadata(dir)?.permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o001))
}

fn in_passwd(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `uid_map` has lines of `first-inside first-outside count`.
fn is_root_alone(uid_map: &str) -> bool {
    let numbers: Vec<&str> = uid_map.split_whitespace().collect();
    matches!(numbers[..], ["0", _, "1"])
}

/// `/root/shop/.roost/postgres` as `root-shop-.roost-postgres`.
fn flattened(dir: &Path) -> String {
    dir.to_string_lossy().trim_start_matches('/').replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\n";
        assert_eq!(in_passwd(passwd, "postgres"), Some((101, 104)));
        assert_eq!(in_passwd(passwd, "nobody"), None);
    }

    #[test]
    fn a_map_of_one_user_has_no_other() {
        assert!(is_root_alone("         0       1000          1\n"));
        assert!(!is_root_alone("         0          0 4294967295\n"));
        assert!(!is_root_alone("0 1000 1\n1 100000 65536\n"));
    }
}
