//! Trees of real processes, and a pretended `/proc` for what the kernel does not do on demand.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::*;

const MIB: u64 = 1 << 20;
const PROC: &str = "/proc";
const SOON: Duration = Duration::from_secs(30);

/// A tree of real processes, ended with this.
struct Processes(Child);

impl Processes {
    fn spawn(script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).process_group(0).stdin(Stdio::null());
        Self(shell.spawn().unwrap())
    }

    fn group(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _gone = kill_process_group(Pid::from_raw(self.group()).unwrap(), Signal::KILL);
        let _reaped = self.0.wait();
    }
}

/// Looks until what is said of the group is so.
fn look_until(sampler: &mut Sampler, group: i32, is_so: impl Fn(&ResourceUsage) -> bool) -> ResourceUsage {
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < SOON {
        let looked = sampler.look(&HashSet::from([group]), Instant::now()).unwrap();
        last = looked.get(&group).copied();
        if let Some(usage) = last.filter(&is_so) {
            return usage;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it is not so in time: {last:?}");
}

/// In a child of a child.
const HOLDS_64_MIB: &str = r#"(perl -e '$s = "x" x 67108864; sleep 600' & wait) & sleep 600 & wait"#;

#[test]
fn a_tree_of_processes_is_measured_whole_and_nothing_else_is() {
    let (large, small) =
        (Processes::spawn("sleep 600 & sleep 600 & wait"), Processes::spawn("sleep 600 & wait"));
    let groups = HashSet::from([large.group(), small.group(), i32::MAX]);
    let mut sampler = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    let began = Instant::now();
    let usage = loop {
        let usage = sampler.look(&groups, Instant::now()).unwrap();
        if usage.values().map(|usage| usage.processes).sum::<u32>() == 5 || began.elapsed() > SOON {
            break usage;
        }
    };
    assert_eq!((usage[&large.group()].processes, usage[&small.group()].processes), (3, 2));
    assert_eq!(usage.len(), 2, "one that is not there is left out: {usage:?}");
    assert!(usage.values().all(|usage| (1..16 * MIB).contains(&usage.memory_bytes)), "{usage:?}");
}

#[test]
fn memory_that_a_grandchild_takes_is_its_trees_by_measurement_and_by_what_it_has_grown() {
    let processes = Processes::spawn(HOLDS_64_MIB);
    let group = processes.group();
    // One that measures at every look, and one that does once, while the tree is small, and follows its growth from there.
    let mut measuring = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    let holds = |usage: &ResourceUsage| usage.memory_bytes > 64 * MIB && usage.processes == 4;
    let measured = look_until(&mut measuring, group, holds);
    assert!(measured.memory_bytes < 200 * MIB, "{measured:?}");

    let mut following = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    let (pids, cpu) = (Vec::new(), Duration::ZERO);
    following.shares.insert(group, Share { at_look: 0, bytes: 10 * MIB, private_bytes: 4 * MIB });
    let tree = Tree { pids, cpu, private_bytes: 68 * MIB };
    assert_eq!(following.memory_bytes(group, &tree), 74 * MIB);
    let shrunk = Tree { pids: Vec::new(), cpu, private_bytes: MIB };
    assert_eq!(following.memory_bytes(group, &shrunk), 7 * MIB);
}

#[test]
fn a_process_that_spins_is_seen_to_and_one_that_sleeps_is_not() {
    let (spins, sleeps) =
        (Processes::spawn("while :; do :; done & sleep 600 & wait"), Processes::spawn("sleep 600 & wait"));
    look_until(&mut Sampler::new(Path::new(PROC), SHARES_WITHIN), spins.group(), |usage| {
        usage.processes == 3
    });
    let mut sampler = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    let first = look_until(&mut sampler, spins.group(), |_| true);
    assert_eq!(first.cpu_millicores, 0, "what it took before is not of the time since the last look");
    look_until(&mut sampler, spins.group(), |usage| (1..1_500).contains(&usage.cpu_millicores));
    let mut sampler = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    for _ in 0..5 {
        let usage = look_until(&mut sampler, sleeps.group(), |_| true);
        assert!(usage.cpu_millicores < 200, "{usage:?}");
    }
}

/// A `/proc` as the kernel would show it: of each process its group and the MiB of its share; none where the kernel does not say.
fn pretended(processes: &[(i32, i32, Option<u64>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (pid, group, share) in processes {
        let of = dir.path().join(pid.to_string());
        fs::create_dir(&of).unwrap();
        let stat = format!("{pid} (x) S 1 {group} 1 0 -1 4194304 1 2 3 4 0 0 9 9 20 0 1 0 5");
        fs::write(of.join("stat"), stat).unwrap();
        fs::write(of.join("status"), "RssAnon: 2048 kB\nRssShmem: 0 kB\nVmSwap: 0 kB\n").unwrap();
        if let Some(mib) = share {
            fs::write(of.join("smaps_rollup"), format!("Pss: {} kB\nSwapPss: 0 kB\n", mib * 1_024)).unwrap();
        }
    }
    dir
}

#[test]
fn shares_are_measured_in_turn_where_the_time_is_for_one_browser_a_look() {
    let proc = pretended(&[(10, 10, Some(30)), (11, 10, Some(1)), (20, 20, Some(40)), (30, 30, Some(50))]);
    let groups = HashSet::from([10, 20, 30]);
    let mut sampler = Sampler::new(proc.path(), Duration::ZERO);
    let mut look = || {
        let usage = sampler.look(&groups, Instant::now()).unwrap();
        [10, 20, 30].map(|group| usage[&group].memory_bytes / MIB)
    };
    assert_eq!(look(), [31, 2, 2], "what it has for itself stands for a share that was not measured");
    assert_eq!(look(), [31, 40, 2]);
    assert_eq!(look(), [31, 40, 50]);
    fs::write(proc.path().join("10/smaps_rollup"), "Pss: 61440 kB\n").unwrap();
    fs::write(proc.path().join("20/smaps_rollup"), "Pss: 92160 kB\n").unwrap();
    assert_eq!(look(), [61, 40, 50], "the oldest first");
    assert_eq!(look(), [61, 90, 50]);
}

#[test]
fn of_a_process_that_is_closed_to_the_node_what_it_has_for_itself_counts() {
    let proc = pretended(&[(10, 10, Some(30)), (11, 10, None)]);
    let mut sampler = Sampler::new(proc.path(), SHARES_WITHIN);
    let usage = sampler.look(&HashSet::from([10]), Instant::now()).unwrap();
    assert_eq!(usage[&10].memory_bytes, 32 * MIB);
}

/// What looking costs beside a hundred browsers of five processes. Run by hand, for BENCHMARKS.md:
/// `cargo test --release -p roost-node --lib -- --ignored --nocapture a_hundred`.
#[test]
#[ignore = "a measurement"]
fn a_look_at_a_hundred_trees_costs() {
    let trees: Vec<_> =
        (0..100).map(|_| Processes::spawn("sleep 600 & sleep 600 & sleep 600 & sleep 600 & wait")).collect();
    let groups: HashSet<i32> = trees.iter().map(Processes::group).collect();
    let mut sampler = Sampler::new(Path::new(PROC), SHARES_WITHIN);
    std::thread::sleep(Duration::from_secs(2));
    let costs: Vec<_> = (0..20)
        .map(|_| {
            let began = Instant::now();
            let usage = sampler.look(&groups, began).unwrap();
            assert_eq!(usage.values().map(|usage| usage.processes).sum::<u32>(), 500);
            began.elapsed()
        })
        .collect();
    eprintln!("{costs:?}");
}
