//! The user that PostgreSQL runs as when this process is root, for PostgreSQL refuses to be root.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use super::error::{DevError, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SystemUser {
    uid: u32,
    gid: u32,
}

impl SystemUser {
    /// `None` when this process is not root: everything then runs as the user that it is.
    pub fn for_postgres() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd =
            fs::read_to_string("/etc/passwd").map_err(DevError::file("read", Path::new("/etc/passwd")))?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::in_passwd(&passwd, name));
        found.map(Some).ok_or(DevError::NoUnprivilegedUser)
    }

    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some(Self { uid: numbers.next()?.parse().ok()?, gid: numbers.next()?.parse().ok()? })
    }

    pub fn setpriv_args(&self) -> [String; 3] {
        [format!("--reuid={}", self.uid), format!("--regid={}", self.gid), "--clear-groups".into()]
    }

    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(DevError::file("give away", path))
    }

    /// A directory for this user that belongs to `dir`: `dir` itself where the user can get to it.
    ///
    /// Two kinds of parents keep it out. Temporary directories are made 0700: those are opened for passing through
    /// (`o+x`, which shows nobody their contents). Others, such as /root, are left as they are: the directory is placed
    /// under /var/lib/roost-dev instead, named after `dir`, and `dir` becomes a symbolic link to it.
    pub fn reachable(&self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir).map_err(DevError::file("create", dir))?;
        let dir = dir.canonicalize().map_err(DevError::file("resolve", dir))?;
        let parents = dir.ancestors().skip(1);
        let closed: Vec<&Path> = parents.filter(|parent| !self.may_enter(parent)).collect();
        if closed.iter().all(|parent| parent.starts_with(env::temp_dir())) {
            for parent in closed {
                open_for_passing(parent).map_err(DevError::file("open for the database's user", parent))?;
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

    fn may_enter(&self, dir: &Path) -> bool {
        fs::metadata(dir).is_ok_and(|meta| {
            let bit = match meta {
                ref m if m.uid() == self.uid => 0o100,
                ref m if m.gid() == self.gid => 0o010,
                _ => 0o001,
            };
            meta.mode() & bit != 0
        })
    }
}

fn open_for_passing(dir: &Path) -> io::Result<()> {
    let mode = fs::metadata(dir)?.permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o001))
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
        assert_eq!(SystemUser::in_passwd(passwd, "postgres"), Some(SystemUser { uid: 101, gid: 104 }));
        assert_eq!(SystemUser::in_passwd(passwd, "nobody"), None);
    }
}
