//! Whether this node may put each browser into a control group (v2) of its own, and the bounds of those.
//!
//! ```text
//!   roost-node.service        the node's own group, given to it whole (systemd: Delegate=)
//!    |- roost-node            the guard and its child: a group that is divided has no processes itself
//!    |- browser-4711-0        one browser, with memory.high, memory.max, cpu.max and pids.max
//!    '- browser-4711-1
//! ```
//!
//! A group that is not the node's to divide is left as it is, and its browsers are looked at alone, as they are in any case: a page that
//! is over its limit is restarted at a quiet moment, which no kernel knows. The kernel's bounds are those from where a browser
//! is not waited for any more, and hold between two looks.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use roost_engine::control_group::{ControlGroups, PREFIX};
use rustix::process::{geteuid, getppid};

use super::rules::{FAR_OVER_PERCENT, Limits};

/// Where guard and child are.
pub(super) const OWN: &str = "roost-node";
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// From here on a browser is slowed down: between where a quiet moment is waited for and where it is ended.
const SLOW_PERCENT: u64 = 125;
/// The kernel counts threads; a process of a browser has some fifteen.
const THREADS_OF_PROCESS: u64 = 32;
/// Of a processor's time, in microseconds.
const PERIOD: u64 = 100_000;

/// Whether browsers are put into control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupsChoice {
    /// Where the node's own group is given to it whole.
    Auto,
    Off,
}

/// Why browsers are not put into control groups.
#[derive(Debug, thiserror::Error)]
pub enum NoControlGroups {
    #[error("--control-groups is off")]
    Off,
    #[error("this process is in no control group (v2)")]
    NoHierarchy,
    #[error("the control group {} is not given to this node to divide (systemd: Delegate=yes)", group.display())]
    NotDelegated { group: PathBuf },
    #[error("the control group {} has no controller for {missing}", group.display())]
    NoController { group: PathBuf, missing: String },
    #[error("there are other processes in the control group {}, such as {pid}", group.display())]
    Others { group: PathBuf, pid: u32 },
    #[error("the control group {} cannot be divided: {step}", group.display())]
    Refused { step: &'static str, group: PathBuf, source: io::Error },
}

impl GroupsChoice {
    /// Makes room for browsers' groups. To be called before this process starts another: its parent, the guard, is to be the only one.
    pub fn divide(self) -> Result<ControlGroups, NoControlGroups> {
        if self == Self::Off {
            return Err(NoControlGroups::Off);
        }
        let found = || {
            let mount = mount_point(&text("/proc/self/mountinfo")?)?;
            let groups = text("/proc/self/cgroup")?;
            Some((undivided(mount.join(own_path(&groups)?)), mount))
        };
        let (group, mount) = found().ok_or(NoControlGroups::NoHierarchy)?;
        if !is_delegated(&group, &mount) {
            return Err(NoControlGroups::NotDelegated { group });
        }
        let guard = getppid().map_or(0, |guard| guard.as_raw_pid().cast_unsigned());
        divide(group, &[std::process::id(), guard])
    }
}

/// Where the hierarchy is, of lines `36 25 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw`.
pub(super) fn mount_point(mounts: &str) -> Option<PathBuf> {
    let hierarchy = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    hierarchy.split(' ').nth(4).map(PathBuf::from)
}

/// Within it.
pub(super) fn own_path(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

/// The group that an earlier life of the child has divided, or this one.
pub(super) fn undivided(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.file_name().is_some_and(|name| name == OWN) => parent.to_owned(),
        _ => own,
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// systemd says it of a group by an attribute, and gives it to the service's user. The root of a container's hierarchy, which is not
/// that of the machine, was given to the container as a whole.
fn is_delegated(group: &Path, mount: &Path) -> bool {
    let says_so = |name: &str| {
        let mut value = [0_u8; 8];
        rustix::fs::getxattr(group, name, &mut value).is_ok_and(|length| &value[..length] == b"1")
    };
    let is_own =
        || !geteuid().is_root() && fs::metadata(group).is_ok_and(|it| it.uid() == geteuid().as_raw());
    let is_containers = || group == mount && group.join("cgroup.type").exists();
    is_own() || says_so("trusted.delegate") || says_so("user.delegate") || is_containers()
}

/// Moves these processes, which have to be all, out of the way and has the controllers count what is beneath.
fn divide(group: PathBuf, ours: &[u32]) -> Result<ControlGroups, NoControlGroups> {
    let refused = |step| {
        let group = group.clone();
        move |source| NoControlGroups::Refused { step, group, source }
    };
    let offered = fs::read_to_string(group.join("cgroup.controllers")).map_err(refused("reading it"))?;
    let missing = CONTROLLERS.into_iter().filter(|name| !offered.split_whitespace().any(|it| it == *name));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return Err(NoControlGroups::NoController { group, missing: missing.join(", ") });
    }
    let procs = fs::read_to_string(group.join("cgroup.procs")).map_err(refused("reading it"))?;
    let present: Vec<u32> = procs.lines().filter_map(|pid| pid.parse().ok()).collect();
    if let Some(&pid) = present.iter().find(|pid| !ours.contains(pid)) {
        return Err(NoControlGroups::Others { group, pid });
    }
    let own = group.join(OWN);
    match fs::create_dir(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(refused("making a group in it")(error));
        }
        _ => {}
    }
    let move_to =
        |dir: &Path| present.iter().try_for_each(|pid| fs::write(dir.join("cgroup.procs"), pid.to_string()));
    let enabled: String = CONTROLLERS.iter().map(|name| format!("+{name} ")).collect();
    let divided = move_to(&own).map_err(refused("moving the node into a group of its own")).and_then(|()| {
        let control = group.join("cgroup.subtree_control");
        fs::write(control, enabled.trim_end()).map_err(refused("having it count"))
    });
    if let Err(error) = divided {
        // As it was: half of it is of no use to anybody.
        let _stays = move_to(&group).and_then(|()| fs::remove_dir(&own));
        return Err(error);
    }
    remove_left_over(&group);
    Ok(ControlGroups::beneath(group))
}

/// An earlier life's, whose browsers are gone; one that is not empty stays, and does no harm.
fn remove_left_over(group: &Path) {
    let Ok(listing) = fs::read_dir(group) else { return };
    for entry in listing.filter_map(Result::ok) {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            let _in_use = fs::remove_dir(entry.path());
        }
    }
}

/// The group that this browser was put into; none where it is in another.
pub(super) fn of_browser(pid: u32) -> Option<PathBuf> {
    let mount = mount_point(&text("/proc/self/mountinfo")?)?;
    let groups = text(&format!("/proc/{pid}/cgroup"))?;
    browser_group(&mount, &groups)
}

fn browser_group(mount: &Path, groups: &str) -> Option<PathBuf> {
    let path = mount.join(own_path(groups)?);
    let is_browsers = path.file_name()?.to_str()?.starts_with(PREFIX);
    is_browsers.then_some(path)
}

/// Has the kernel hold a browser to what it may use.
pub(super) fn bound(group: &Path, limits: &Limits) -> io::Result<()> {
    let or_max = |value: Option<u64>| value.map_or_else(|| "max".to_owned(), |value| value.to_string());
    let percent = |percent| limits.memory_bytes.map(|bytes| bytes.saturating_mul(percent) / 100);
    let threads = limits.processes.map(|processes| u64::from(processes) * THREADS_OF_PROCESS);
    let quota = limits.cpu_millicores.map(|millicores| u64::from(millicores) * PERIOD / 1_000);
    fs::write(group.join("memory.high"), or_max(percent(SLOW_PERCENT)))?;
    fs::write(group.join("memory.max"), or_max(percent(FAR_OVER_PERCENT)))?;
    fs::write(group.join("pids.max"), or_max(threads))?;
    fs::write(group.join("cpu.max"), format!("{} {PERIOD}", or_max(quota)))
}

/// All that are in it, those too that have left the browser's process group. None of a group that is gone.
pub(super) fn processes_in(group: &Path) -> Option<u32> {
    let procs = fs::read_to_string(group.join("cgroup.procs")).ok()?;
    u32::try_from(procs.lines().count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel shows of a group.
    fn a_group(controllers: &str, procs: &[u32]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), controllers).unwrap();
        let procs: String = procs.iter().map(|pid| format!("{pid}\n")).collect();
        fs::write(dir.path().join("cgroup.procs"), procs).unwrap();
        dir
    }

    fn content(group: &Path, file: &str) -> String {
        fs::read_to_string(group.join(file)).unwrap()
    }

    #[test]
    fn a_group_that_has_the_node_alone_is_divided_and_what_is_left_over_removed() {
        let dir = a_group("cpuset cpu io memory pids\n", &[7, 8]);
        fs::create_dir(dir.path().join("browser-1-0")).unwrap();
        divide(dir.path().to_owned(), &[8, 7]).unwrap();
        // The last one that was moved: what is written to the kernel's file is one process.
        assert_eq!(content(dir.path(), "roost-node/cgroup.procs"), "8");
        assert_eq!(content(dir.path(), "cgroup.subtree_control"), "+cpu +memory +pids");
        assert!(!dir.path().join("browser-1-0").exists());
        let again = undivided(dir.path().join("roost-node"));
        assert_eq!(again, dir.path(), "as the next child finds it");
        fs::write(dir.path().join("cgroup.procs"), "").unwrap();
        divide(again, &[9, 7]).unwrap();
    }

    #[test]
    fn a_group_that_cannot_be_divided_is_left_as_it_is_and_named() {
        let why = |dir: &tempfile::TempDir| {
            let error = divide(dir.path().to_owned(), &[7]).unwrap_err().to_string();
            assert!(error.contains(&dir.path().display().to_string()), "{error}");
            assert!(!dir.path().join("cgroup.subtree_control").is_file() && !dir.path().join(OWN).exists());
            error
        };
        assert!(why(&a_group("cpu pids", &[7])).ends_with("has no controller for memory"));
        assert!(why(&a_group("cpu memory pids", &[7, 9])).ends_with("such as 9"));
        let refuses = a_group("cpu memory pids", &[]);
        fs::create_dir(refuses.path().join("cgroup.subtree_control")).unwrap();
        assert!(why(&refuses).ends_with("cannot be divided: having it count"));
        assert!(matches!(GroupsChoice::Off.divide(), Err(NoControlGroups::Off)));
    }

    #[test]
    fn the_processes_of_a_group_are_counted_and_of_one_that_is_gone_there_are_none_to_count() {
        assert_eq!(processes_in(a_group("", &[4, 5, 6]).path()), Some(3));
        assert_eq!(processes_in(Path::new("/nonexistent")), None);
    }

    #[test]
    fn a_hierarchy_is_found_also_beside_those_of_version_1() {
        let mounts = "30 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      31 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      32 30 0:29 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let mount = mount_point(mounts).unwrap();
        assert_eq!(mount, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(mount_point("31 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw"), None);
        let own = "4:memory:/a\n0::/system.slice/roost-node.service/browser-7-3\n";
        let group = browser_group(&mount, own).unwrap();
        assert_eq!(group, mount.join("system.slice/roost-node.service/browser-7-3"));
        assert_eq!(browser_group(&mount, "0::/system.slice/roost-node.service/roost-node\n"), None);
        assert_eq!(browser_group(&mount, "0::/\n"), None);
    }

    #[test]
    fn the_kernels_bounds_are_where_a_browser_is_not_waited_for_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["memory.high", "memory.max", "cpu.max", "pids.max"];
        let read = || files.map(|file| content(dir.path(), file));
        let limits = Limits { memory_bytes: Some(512 << 20), cpu_millicores: Some(500), processes: Some(40) };
        bound(dir.path(), &limits).unwrap();
        assert_eq!(read(), ["671088640", "805306368", "50000 100000", "1280"]);
        bound(dir.path(), &Limits::default()).unwrap();
        assert_eq!(read(), ["max", "max", "max 100000", "max"]);
    }
}
