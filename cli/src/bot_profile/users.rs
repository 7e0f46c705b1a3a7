//! Whether a browser uses a profile. Every Chromium keeps a lock on each LevelDB that it has open, which the kernel ends with it; a
//! full one also has `SingletonLock`, a link to `<host>-<pid>`, which a browser that was killed leaves behind.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::{
    ProfileError,
    stores::{INDEXED_DB, LOCAL_STORAGE},
};

const SINGLETON_LOCK: &str = "SingletonLock";

/// Refuses a profile that is in use. Otherwise, whether its last browser was killed.
pub fn check(profile: &Path) -> Result<bool, ProfileError> {
    for lock in locks(profile) {
        if let Some(pid) = holder(&lock).map_err(ProfileError::unreadable(&lock))? {
            return Err(ProfileError::InUse { dir: profile.to_owned(), pid });
        }
    }
    let lock = profile.join(SINGLETON_LOCK);
    let Ok(target) = fs::read_link(&lock) else { return Ok(false) };
    let target = target.to_string_lossy().into_owned();
    let Some((host, pid)) = target.rsplit_once('-') else { return Ok(true) };
    let (host, pid) = (host.to_owned(), pid.to_owned());
    let ours = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host != ours.trim() {
        return Err(ProfileError::InUseElsewhere { lock, host, pid });
    }
    match pid.parse::<u32>() {
        Ok(number) if Path::new(&format!("/proc/{number}")).exists() => {
            Err(ProfileError::InUse { dir: profile.to_owned(), pid })
        }
        _ => Ok(true),
    }
}

fn locks(profile: &Path) -> Vec<PathBuf> {
    let databases = fs::read_dir(profile.join(INDEXED_DB)).into_iter().flatten().filter_map(Result::ok);
    let databases = databases.map(|entry| entry.path()).chain([profile.join(LOCAL_STORAGE)]);
    databases.map(|database| database.join("LOCK")).filter(|lock| lock.is_file()).collect()
}

/// Who has the lock; one of another container has no number here.
fn holder(lock: &Path) -> io::Result<Option<String>> {
    let file = File::open(lock)?;
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
    Ok(held.map(|held| {
        held.pid.map_or_else(|| "of another container".to_owned(), |pid| pid.as_raw_nonzero().to_string())
    }))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        process::{Command, Stdio},
    };

    use rustix::fs::{FlockOperation, fcntl_lock};

    use super::{super::fixture::make, *};

    /// The lock that this process is to hold, which is another one for the test.
    const HOLD: &str = "HOLD_LOCK";

    fn hold(lock: &Path) {
        let file = File::options().write(true).open(lock).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        writeln!(io::stdout(), "held").unwrap();
        io::stdin().lines().for_each(drop);
    }

    #[test]
    fn a_database_that_a_process_has_locked_is_in_use_by_it() {
        if let Some(lock) = std::env::var_os(HOLD) {
            return hold(Path::new(&lock));
        }
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        assert!(!check(dir.path()).unwrap());
        let lock = dir.path().join(LOCAL_STORAGE).join("LOCK");
        // Another process: nobody's own lock is in his way.
        let this_test = "bot_profile::users::tests::a_database_that_a_process_has_locked_is_in_use_by_it";
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args([this_test, "--exact", "--nocapture"])
            .env(HOLD, &lock)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("held")), "it holds the lock");
        let used = check(dir.path()).unwrap_err().to_string();
        assert!(used.contains(&format!("in use by process {}: stop the bot first", holder.id())), "{used}");
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert!(!check(dir.path()).unwrap());
    }

    #[test]
    fn the_lock_of_a_full_browser_is_believed_while_its_process_lives_or_is_not_of_this_host() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let link = |target: String| {
            let lock = dir.path().join(SINGLETON_LOCK);
            fs::remove_file(&lock).ok();
            std::os::unix::fs::symlink(target, lock).unwrap();
            check(dir.path()).map_err(|error| error.to_string())
        };
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let host = host.trim();
        let used = link(format!("{host}-{}", std::process::id())).unwrap_err();
        assert!(used.contains(&format!("in use by process {}", std::process::id())), "{used}");
        assert_eq!(link(format!("{host}-999999999")), Ok(true), "one that was killed");
        let elsewhere = link("old-box-17".to_owned()).unwrap_err();
        assert!(
            elsewhere.contains("process 17 on old-box") && elsewhere.contains("remove that link"),
            "{elsewhere}"
        );
    }
}
