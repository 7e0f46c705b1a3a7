//! The memory of the machine, or of the container that the node is in: what of it there is for tenants, and when it is short.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::control_groups::{mount_point, own_path, undivided};
use crate::byte_size::ByteSize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// What is kept for all but tenants unless it is given: a tenth, within these.
const RESERVE_BYTES: (u64, u64) = (256 * MIB, 2_048 * MIB);
/// What a browser takes that has opened nothing.
const SPARE_BROWSER_BYTES: u64 = 64 * MIB;

/// What is kept of memory for all but tenants, and when it is short.
#[derive(Debug, Clone, Args)]
pub struct MemoryArgs {
    /// What is kept of memory for all but tenants, such as 1GiB: the rest is what they may request; a tenth of the machine's, or of
    /// what the node's control group (v2) may use, from 256MiB to 2GiB, unless it is given
    #[arg(long, env = "ROOST_NODE_MEMORY_RESERVE", value_name = "SIZE")]
    pub memory_reserve: Option<ByteSize>,
    /// The node is short of memory when less than this can be had without swapping, and sheds tenants; half of --memory-reserve
    /// unless it is given
    #[arg(long, env = "ROOST_NODE_MEMORY_SHORT", value_name = "SIZE")]
    pub memory_short: Option<ByteSize>,
    /// Or when everything waited for memory for more than so much of 10 s (the kernel's pressure stall information); 100 is never
    #[arg(long, env = "ROOST_NODE_MEMORY_STALL", value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub memory_stall: u8,
    /// Where the machine's meminfo and pressure/memory are read, such as where a container has its /proc
    #[arg(long, env = "ROOST_NODE_MACHINE_PROC", value_name = "DIR", default_value = "/proc")]
    pub machine_proc: PathBuf,
}

/// All that there is, what of it is not for tenants, and when it is short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineMemory {
    pub total_bytes: u64,
    pub reserve_bytes: u64,
    pub spares_bytes: u64,
    pub short_bytes: u64,
    pub stall_percent: u8,
    /// The machine's `/proc`.
    pub proc: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryArgsError {
    #[error(
        "--memory-reserve {reserve_mib}MiB and {spares_mib} MiB for --spare-browsers leave nothing for tenants of the {total_mib} MiB of memory \
         that there are: give less"
    )]
    NothingForTenants { reserve_mib: u64, spares_mib: u64, total_mib: u64 },
    #[error(
        "--memory-short {short_mib}MiB would always be so with the {total_mib} MiB of memory that there are: give less"
    )]
    AlwaysShort { short_mib: u64, total_mib: u64 },
}

impl MemoryArgs {
    /// None where the kernel does not tell what there is.
    pub fn check(&self, spare_browsers: u16) -> Result<Option<MachineMemory>, MemoryArgsError> {
        total_bytes(&self.machine_proc).map(|total| self.of(total, spare_browsers)).transpose()
    }

    fn of(&self, total_bytes: u64, spare_browsers: u16) -> Result<MachineMemory, MemoryArgsError> {
        let (least, most) = RESERVE_BYTES;
        let tenth = || (total_bytes / 10).clamp(least, most).min(total_bytes / 2);
        let reserve_bytes = self.memory_reserve.map_or_else(tenth, ByteSize::bytes);
        let total_mib = total_bytes / MIB;
        let spares_bytes = u64::from(spare_browsers) * SPARE_BROWSER_BYTES;
        if reserve_bytes.saturating_add(spares_bytes) >= total_bytes {
            let (reserve_mib, spares_mib) = (reserve_bytes / MIB, spares_bytes / MIB);
            return Err(MemoryArgsError::NothingForTenants { reserve_mib, spares_mib, total_mib });
        }
        let short_bytes = self.memory_short.map_or(reserve_bytes / 2, ByteSize::bytes);
        if short_bytes >= total_bytes {
            return Err(MemoryArgsError::AlwaysShort { short_mib: short_bytes / MIB, total_mib });
        }
        let (stall_percent, proc) = (self.memory_stall, self.machine_proc.clone());
        Ok(MachineMemory { total_bytes, reserve_bytes, spares_bytes, short_bytes, stall_percent, proc })
    }
}

impl MachineMemory {
    pub fn for_tenants(&self) -> u64 {
        self.total_bytes - self.reserve_bytes - self.spares_bytes
    }
}

fn total_bytes(proc: &Path) -> Option<u64> {
    let all = in_meminfo(&read(&proc.join("meminfo"))?, "MemTotal:")?;
    Some(own_groups().iter().filter_map(|group| limit_of(group)).fold(all, u64::min))
}

/// In bytes, of a line `MemTotal:   24684000 kB`.
pub(super) fn in_meminfo(meminfo: &str, name: &str) -> Option<u64> {
    let number = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    number.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(KIB)
}

/// The directories of the control groups (v2) that this node is in, the innermost first: that which it has divided, not the part of
/// it that is its own.
pub(super) fn own_groups() -> Vec<Box<Path>> {
    let mount = read(Path::new("/proc/self/mountinfo")).and_then(|mounts| mount_point(&mounts));
    let groups = read(Path::new("/proc/self/cgroup"));
    mount.zip(groups).map_or_else(Vec::new, |(mount, groups)| groups_beneath(&mount, &groups))
}

fn groups_beneath(root: &Path, groups: &str) -> Vec<Box<Path>> {
    let Some(own) = own_path(groups) else { return Vec::new() };
    undivided(own.into()).ancestors().map(|path| root.join(path).into_boxed_path()).collect()
}

/// None where it may use all.
pub(super) fn limit_of(group: &Path) -> Option<u64> {
    read(&group.join("memory.max"))?.trim().parse().ok()
}

pub(super) fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn args(reserve: Option<&str>, short: Option<&str>) -> MemoryArgs {
        let size = |given: Option<&str>| given.map(|given| given.parse().unwrap());
        let (memory_reserve, memory_short) = (size(reserve), size(short));
        MemoryArgs { memory_reserve, memory_short, memory_stall: 10, machine_proc: "/proc".into() }
    }

    fn reserve_of(total_bytes: u64, given: Option<&str>) -> Result<u64, MemoryArgsError> {
        args(given, None).of(total_bytes, 0).map(|memory| memory.reserve_bytes)
    }

    #[test]
    fn a_tenth_is_kept_unless_another_amount_is_given_and_something_is_left() {
        assert_eq!(reserve_of(10 * GIB, None), Ok(GIB));
        assert_eq!(reserve_of(GIB, None), Ok(256 * MIB));
        assert_eq!(reserve_of(64 * GIB, None), Ok(2 * GIB));
        assert_eq!(reserve_of(256 * MIB, None), Ok(128 * MIB));
        assert_eq!(reserve_of(10 * GIB, Some("3GiB")), Ok(3 * GIB));
        let error = reserve_of(2 * GIB, Some("2GiB")).unwrap_err().to_string();
        assert!(
            error.contains("--memory-reserve 2048MiB and 0 MiB for --spare-browsers leave nothing for tenants of the 2048 MiB"),
            "{error}"
        );
        let of = |total_bytes, spares| args(None, None).of(total_bytes, spares);
        assert_eq!(of(10 * GIB, 0).unwrap().for_tenants(), 9 * GIB);
        assert_eq!(of(10 * GIB, 2).unwrap().for_tenants(), 9 * GIB - 128 * MIB);
        assert!(of(256 * MIB, 2).is_err());
    }

    #[test]
    fn memory_is_short_from_half_of_what_is_kept_unless_another_amount_is_given() {
        let short_of = |reserve, short| args(reserve, short).of(10 * GIB, 0).map(|memory| memory.short_bytes);
        assert_eq!(short_of(None, None), Ok(GIB / 2));
        assert_eq!(short_of(Some("300MiB"), None), Ok(150 * MIB));
        assert_eq!(short_of(None, Some("2GiB")), Ok(2 * GIB));
        let error = short_of(None, Some("10GiB")).unwrap_err().to_string();
        assert!(error.contains("--memory-short 10240MiB would always be so"), "{error}");
    }

    #[test]
    fn what_there_is_is_the_least_of_the_machines_and_of_the_groups() {
        assert_eq!(
            in_meminfo("MemFree: 1 kB\nMemTotal:       24684000 kB\n", "MemTotal:"),
            Some(24_684_000 * 1024)
        );
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(root.path().join("a/memory.max"), "1048576\n").unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        let groups = groups_beneath(root.path(), "4:memory:/x\n0::/a/b\n");
        let limits: Vec<_> = groups.iter().map(|group| limit_of(group)).collect();
        assert_eq!(limits, [None, Some(MIB), None]);
        let divided = groups_beneath(root.path(), "0::/a/b/roost-node\n");
        assert_eq!(divided, groups, "its browsers are beside it");
        assert!(groups_beneath(root.path(), "4:memory:/x\n").is_empty());
        assert!(total_bytes(Path::new("/proc")).is_some_and(|bytes| bytes > MIB));
    }
}
