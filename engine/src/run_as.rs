//! As whom browsers run: found by name, told to `launch`, and looked at from outside.

use std::{fmt, fs, io, path::Path};

use rustix::process::geteuid;

/// A user by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIds {
    pub uid: u32,
    pub gid: u32,
}

/// As whom browsers run. Never as root: Chromium refuses its sandbox to root, and a page that breaks out of a browser would
/// own the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// As whoever starts them, who is not root.
    Caller,
    /// As this user: root gives up being root.
    User(UserIds),
    /// As this user of a user namespace of the browser's own, in which the number stands for the caller: root is the only
    /// user that exists here, as in some containers. Outside, the files belong to the caller.
    Namespace(UserIds),
}

/// Why no user could be found for the browsers.
#[derive(Debug, thiserror::Error)]
pub enum UnknownUser {
    #[error("there is no user {name:?}; give the name of one, or its number")]
    NoSuchUser { name: String },
    #[error("browsers cannot run as root; give another user")]
    Root,
    #[error("the users could not be read")]
    Users(#[source] io::Error),
}

impl RunAs {
    /// For the browsers of this process; `user`, a name or a number, counts only when this process is root.
    pub fn for_browsers(user: &str) -> Result<Self, UnknownUser> {
        if !geteuid().is_root() {
            return Ok(Self::Caller);
        }
        let ids = UserIds::find(user)?;
        if ids.uid == 0 || ids.gid == 0 {
            return Err(UnknownUser::Root);
        }
        let is_mapped =
            |map: &str, id| fs::read_to_string(map).map(|map| maps(&map, id)).map_err(UnknownUser::Users);
        let exists = is_mapped("/proc/self/uid_map", ids.uid)? && is_mapped("/proc/self/gid_map", ids.gid)?;
        Ok(if exists { Self::User(ids) } else { Self::Namespace(ids) })
    }

    /// Who the browser's files have to belong to, where that is another user than this process.
    pub fn owner(&self) -> Option<UserIds> {
        match self {
            Self::Caller | Self::Namespace(_) => None,
            Self::User(ids) => Some(*ids),
        }
    }

    /// For the command line of `launch`.
    pub fn to_args(self) -> Vec<String> {
        let ids = |ids: UserIds| ["--uid".into(), ids.uid.to_string(), "--gid".into(), ids.gid.to_string()];
        match self {
            Self::Caller => Vec::new(),
            Self::User(user) => ids(user).into(),
            Self::Namespace(user) => {
                ids(user).into_iter().chain(["--new-user-namespace".to_owned()]).collect()
            }
        }
    }
}

impl UserIds {
    fn find(user: &str) -> Result<Self, UnknownUser> {
        if let Ok(uid) = user.parse::<u32>() {
            let named = nix::unistd::User::from_uid(uid.into()).map_err(|e| UnknownUser::Users(e.into()))?;
            return Ok(Self { uid, gid: named.map_or(uid, |user| user.gid.as_raw()) });
        }
        let named = nix::unistd::User::from_name(user).map_err(|error| UnknownUser::Users(error.into()))?;
        let named = named.ok_or_else(|| UnknownUser::NoSuchUser { name: user.to_owned() })?;
        Ok(Self { uid: named.uid.as_raw(), gid: named.gid.as_raw() })
    }
}

impl fmt::Display for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::unistd::User::from_uid(self.uid.into()) {
            Ok(Some(user)) => f.write_str(&user.name),
            _ => write!(f, "{}", self.uid),
        }
    }
}

/// Lines of `first-inside first-outside count`.
fn maps(id_map: &str, id: u32) -> bool {
    id_map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_outside)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first + count).contains(&u64::from(id))
    })
}

/// The first directory on the way to `path`, itself included, that the user may not pass through.
pub fn impassable(path: &Path, user: UserIds) -> Option<&Path> {
    use std::os::unix::fs::MetadataExt;
    let may_pass = |dir: &&Path| {
        fs::metadata(dir).is_ok_and(|meta| {
            let bit = match &meta {
                meta if meta.uid() == user.uid => 0o100,
                meta if meta.gid() == user.gid => 0o010,
                _ => 0o001,
            };
            !meta.is_dir() || meta.mode() & bit != 0
        })
    };
    path.ancestors().filter(|dir| !dir.as_os_str().is_empty()).filter(|dir| !may_pass(dir)).last()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_map_of_ids_says_who_exists() {
        let all = "         0          0 4294967295\n";
        assert!(maps(all, 0) && maps(all, 65_534));
        let root_alone = "         0       1000          1\n";
        assert!(maps(root_alone, 0) && !maps(root_alone, 65_534));
        let two_ranges = "0 1000 1\n1 100000 65536\n";
        assert!(maps(two_ranges, 65_536) && !maps(two_ranges, 65_537));
        assert!(!maps("nonsense", 0));
    }

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let nobody = UserIds::find("nobody").unwrap();
        assert_eq!(UserIds::find(&nobody.uid.to_string()).unwrap(), nobody);
        assert_eq!(nobody.to_string(), "nobody");
        assert_eq!(UserIds::find("4242").unwrap(), UserIds { uid: 4242, gid: 4242 });
        assert!(matches!(UserIds::find("no such user"), Err(UnknownUser::NoSuchUser { .. })));
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let stranger = UserIds { uid: 4242, gid: 4242 };
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(dir.path(), 0o711);
        mode(&inner, 0o711);
        assert_eq!(impassable(&inner, stranger), None);
        mode(&inner, 0o700);
        assert_eq!(impassable(&inner, stranger), Some(inner.as_path()));
        mode(dir.path(), 0o700);
        assert_eq!(impassable(&inner, stranger), Some(dir.path()), "the outermost is the one to begin with");
    }
}
