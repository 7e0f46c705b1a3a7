//! Whether memory is short, of the machine or of the control group that the node is in. Reading it costs a few small files, judging
//! it is pure.

use std::path::Path;

use super::machine::{MachineMemory, in_meminfo, limit_of, own_groups, read};

const MIB: u64 = 1 << 20;
/// It is short when it was so at so many looks in a row, and no more when it was well at so many.
const SHORT_AT: u32 = 3;
const WELL_AT: u32 = 6;

/// What one look has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryLook {
    /// What can be had without swapping.
    available_bytes: u64,
    /// Of the last 10 s, those in which nothing could go on for want of memory; none where the kernel does not tell (PSI).
    stalled_percent: Option<f64>,
}

impl MemoryLook {
    /// None where the kernel does not tell what there is. `proc`: the machine's.
    pub fn take(proc: &Path) -> Option<Self> {
        Self::of(proc, &own_groups())
    }

    fn of(proc: &Path, groups: &[Box<Path>]) -> Option<Self> {
        let of_machine = in_meminfo(&read(&proc.join("meminfo"))?, "MemAvailable:")?;
        let available_bytes = groups.iter().filter_map(|group| left_of(group)).fold(of_machine, u64::min);
        // Its own group's, where it has one: what others on the machine wait for is none of its tenants' doing.
        let own = groups.first().and_then(|group| read(&group.join("memory.pressure")));
        let pressure = own.or_else(|| read(&proc.join("pressure/memory")));
        Some(Self { available_bytes, stalled_percent: pressure.as_deref().and_then(stalled_percent) })
    }
}

/// What a group may take yet; of what it has, files that are not in use are given back. None where it may take all.
fn left_of(group: &Path) -> Option<u64> {
    let limit = limit_of(group)?;
    let current: u64 = read(&group.join("memory.current"))?.trim().parse().ok()?;
    let stat = read(&group.join("memory.stat")).unwrap_or_default();
    let unused = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let unused: u64 = unused.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(current.saturating_sub(unused)))
}

/// Of a line `full avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn stalled_percent(pressure: &str) -> Option<f64> {
    let full = pressure.lines().find_map(|line| line.strip_prefix("full "))?;
    full.split(' ').find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

/// What has to be remembered between looks.
#[derive(Debug, Default)]
pub struct MemoryPressure {
    short: bool,
    /// Looks in a row that were against it.
    contrary: u32,
}

/// How memory stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    None,
    /// It is short, with what the last look says of it.
    Short {
        told: String,
    },
    /// It was short and is not at this look: nothing more has to go for now.
    Easing,
}

impl MemoryPressure {
    pub fn observe(&mut self, look: MemoryLook, memory: &MachineMemory) -> Shortage {
        let found = short(look, memory);
        let is_contrary = if self.short { is_well(look, memory) } else { found.is_some() };
        self.contrary = if is_contrary { self.contrary + 1 } else { 0 };
        if self.contrary >= if self.short { WELL_AT } else { SHORT_AT } {
            (self.short, self.contrary) = (!self.short, 0);
        }
        match found {
            _ if !self.short => Shortage::None,
            Some(told) => Shortage::Short { told },
            None => Shortage::Easing,
        }
    }
}

fn short(look: MemoryLook, memory: &MachineMemory) -> Option<String> {
    let MemoryLook { available_bytes, stalled_percent } = look;
    if available_bytes < memory.short_bytes {
        let (available, short) = (available_bytes / MIB, memory.short_bytes / MIB);
        return Some(format!("{available} MiB are available, and with less than {short} it is short"));
    }
    let stalled = stalled_percent.filter(|percent| *percent > f64::from(memory.stall_percent))?;
    Some(format!("for {stalled:.0} % of the last 10 s everything waited for memory"))
}

/// A quarter more, and half of the waiting, so that one tenant more or less does not decide.
fn is_well(look: MemoryLook, memory: &MachineMemory) -> bool {
    look.available_bytes >= memory.short_bytes + memory.short_bytes / 4
        && look.stalled_percent.is_none_or(|percent| percent < f64::from(memory.stall_percent) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn memory() -> MachineMemory {
        let (total_bytes, reserve_bytes, short_bytes) = (8_000 * MIB, 1_600 * MIB, 800 * MIB);
        MachineMemory {
            total_bytes,
            reserve_bytes,
            spares_bytes: 0,
            short_bytes,
            stall_percent: 10,
            proc: "/proc".into(),
        }
    }

    fn with(available_mib: u64, stalled_percent: f64) -> MemoryLook {
        MemoryLook { available_bytes: available_mib * MIB, stalled_percent: Some(stalled_percent) }
    }

    #[test]
    fn it_is_short_after_some_looks_and_well_after_more_with_a_quarter_to_spare() {
        let mut pressure = MemoryPressure::default();
        let mut after =
            |look, times: u32| (0..times).map(|_| pressure.observe(look, &memory())).last().unwrap();
        assert_eq!(after(with(799, 0.0), 2), Shortage::None);
        assert_eq!(after(with(800, 0.0), 1), Shortage::None, "it was for a moment");
        assert_eq!(after(with(799, 0.0), 2), Shortage::None);
        let told = "799 MiB are available, and with less than 800 it is short".to_owned();
        assert_eq!(after(with(799, 0.0), 1), Shortage::Short { told });
        assert_eq!(after(with(999, 0.0), 100), Shortage::Easing);
        assert_eq!(after(with(1_000, 0.0), 5), Shortage::Easing);
        assert_eq!(after(with(1_000, 6.0), 1), Shortage::Easing);
        assert_eq!(after(with(1_000, 0.0), 6), Shortage::None);
    }

    #[test]
    fn it_is_short_when_everything_waits_for_it_however_much_is_available() {
        let mut pressure = MemoryPressure::default();
        let found = (0..3).map(|_| pressure.observe(with(4_000, 10.5), &memory())).last().unwrap();
        assert!(matches!(found, Shortage::Short { told } if told.contains("10 % of the last 10 s")));
        let unknown = MemoryLook { stalled_percent: None, ..with(4_000, 0.0) };
        let mut pressure = MemoryPressure::default();
        assert!((0..9).all(|_| pressure.observe(unknown, &memory()) == Shortage::None));
        let never = MachineMemory { stall_percent: 100, ..memory() };
        assert!((0..9).all(|_| pressure.observe(with(4_000, 100.0), &never) == Shortage::None));
    }

    #[test]
    fn what_is_available_is_the_least_of_the_machines_and_of_what_the_groups_may_take() {
        let root = tempfile::tempdir().unwrap();
        let (proc, group) = (root.path().join("proc"), root.path().join("group"));
        fs::create_dir_all(proc.join("pressure")).unwrap();
        fs::create_dir_all(&group).unwrap();
        let groups = [group.clone().into_boxed_path()];
        assert_eq!(MemoryLook::of(&proc, &groups), None, "what cannot be read says nothing");
        fs::write(proc.join("meminfo"), "MemTotal: 9 kB\nMemAvailable:    4096 kB\n").unwrap();
        let pressure = "some avg10=90.00 avg60=1.00 avg300=1.00 total=1\nfull avg10=3.50 avg60=9.00 avg300=0.00 total=1\n";
        fs::write(proc.join("pressure/memory"), pressure).unwrap();
        assert_eq!(MemoryLook::of(&proc, &groups), Some(with(4, 3.5)));
        fs::write(group.join("memory.max"), format!("{}\n", 3 * MIB)).unwrap();
        fs::write(group.join("memory.current"), format!("{}\n", 2 * MIB)).unwrap();
        assert_eq!(MemoryLook::of(&proc, &groups), Some(with(1, 3.5)));
        fs::write(group.join("memory.stat"), format!("anon 7\ninactive_file {MIB}\n")).unwrap();
        fs::write(group.join("memory.pressure"), pressure.replace("3.50", "0.25")).unwrap();
        assert_eq!(MemoryLook::of(&proc, &groups), Some(with(2, 0.25)));
        assert!(MemoryLook::take(Path::new("/proc")).is_some_and(|look| look.available_bytes > MIB));
    }
}
