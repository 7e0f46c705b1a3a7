//! What starts that fail leave behind: nothing, however often they fail. Judged in a process of its own, whose children, files and
//! memory are those of the failed starts alone.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use roost_engine::{BrowserObserver, BrowserSetup, EngineError, Launched, run_as::RunAs};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio_util::sync::CancellationToken;

use crate::{
    site::Site,
    stage::{DEADLINE, Stage, Unwatched, browser},
};

/// How this binary is started for it.
pub const ALONE: &str = "fail-to-start";
/// Of each kind, of which four fail: twenty.
const STARTS: usize = 5;
/// What an allocator keeps for itself.
const MEMORY_SLACK_KIB: u64 = 16 << 10;

pub async fn failed_starts() {
    let alone = Command::new(env::current_exe().unwrap()).arg(ALONE).output().unwrap();
    assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
}

/// In a process of its own. The first start of each kind is not counted: what is made once is made by it.
pub async fn fail_to_start() {
    let site = Site::serve("127.0.0.2", "").await;
    let dir = tempfile::tempdir().unwrap();
    let run_as = RunAs::for_browsers("nobody").unwrap();
    let canceller = Arc::new(Canceller::default());
    let kinds = [
        ends_at_once(dir.path(), &site),
        Stage::set("http://127.0.0.2:1"),
        Stage::with_browser(&site.url(), browser(), Arc::new(Killer)),
        Stage::with_browser(&site.url(), browser(), canceller.clone()),
        closed_profile(&site, run_as),
    ];
    let mut before = None;
    for round in 0..=STARTS {
        for (kind, stage) in kinds.iter().enumerate() {
            let cancel = canceller.next();
            let started = stage.launch_until(cancel, BrowserSetup::default()).await;
            let failed = started.as_ref().err();
            assert!(fails_as_expected(kind, failed), "{kind}: {failed:?}");
            if let Ok(Launched { page, .. }) = started {
                page.kill().await;
            }
        }
        if round == 0 {
            before = Some((at_rest().await, resident_kib()));
        }
    }
    let (before, kib) = before.unwrap();
    let deadline = Instant::now() + DEADLINE;
    // What others on this machine have at the moment goes too.
    while !traces().is_subset(&before) {
        let more = || traces().difference(&before).cloned().collect::<Vec<_>>();
        assert!(Instant::now() < deadline, "{} failed starts have left {:?}", STARTS * kinds.len(), more());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let now = resident_kib();
    assert!(now < kib + MEMORY_SLACK_KIB, "{kib} KiB before and {now} KiB after");
}

fn fails_as_expected(kind: usize, error: Option<&EngineError>) -> bool {
    match (kind, error) {
        (0, Some(EngineError::Ended { reason })) => reason.contains("out of order"),
        (1, Some(EngineError::Unreachable { .. })) => true,
        (2, Some(EngineError::Ended { .. } | EngineError::Gone)) => true,
        (3, Some(EngineError::Cancelled)) => true,
        // Chromium goes on without what it cannot write; it is killed.
        (4, None) => true,
        _ => false,
    }
}

/// A browser that says its version, and nothing works.
fn ends_at_once(dir: &Path, site: &Site) -> Stage {
    fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).unwrap();
    let script = dir.join("browser");
    let real = browser();
    let text = format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || exec '{}' --version\necho 'out of order' >&2\nexit 3\n",
        real.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    Stage::with_browser(&site.url(), script, Arc::new(Unwatched))
}

/// Nothing can be written to it.
fn closed_profile(site: &Site, run_as: RunAs) -> Stage {
    let stage = Stage::set(&site.url());
    fs::set_permissions(stage.profile(), fs::Permissions::from_mode(0o500)).unwrap();
    if let Some(user) = run_as.owner() {
        chown(stage.profile(), Some(user.uid), Some(user.gid)).unwrap();
    }
    stage
}

/// Kills each browser as soon as it has a second process.
struct Killer;

impl BrowserObserver for Killer {
    fn started(&self, pid: u32) {
        std::thread::spawn(move || {
            let group = Pid::from_raw(pid.cast_signed()).unwrap();
            let deadline = Instant::now() + DEADLINE;
            while members(pid) < 2 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            kill_process_group(group, Signal::KILL).ok();
        });
    }

    fn gone(&self, _pid: u32) {}
}

/// Has each launch called off once its browser has begun.
#[derive(Default)]
struct Canceller(Mutex<CancellationToken>);

impl Canceller {
    fn next(&self) -> CancellationToken {
        let next = CancellationToken::new();
        *self.0.lock().unwrap() = next.clone();
        next
    }
}

impl BrowserObserver for Canceller {
    fn started(&self, _pid: u32) {
        self.0.lock().unwrap().cancel();
    }

    fn gone(&self, _pid: u32) {}
}

fn members(group: u32) -> usize {
    processes().filter(|stat| stat.get(2).is_some_and(|of| *of == group.to_string())).count()
}

/// Of each process the fields of its stat from the state on.
fn processes() -> impl Iterator<Item = Vec<String>> {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    stats.filter_map(|stat| Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect()))
}

/// What there is once two looks in a row see the same.
async fn at_rest() -> BTreeSet<String> {
    let mut seen = traces();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = traces();
        if now == seen {
            return now;
        }
        seen = now;
    }
}

/// Children, zombies among them, open files, and what browsers make in the places for what is temporary.
fn traces() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let children = processes().filter(|stat| stat.get(1) == Some(&own)).count();
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    let children = (0..children).map(|child| format!("child {child}"));
    let open = (0..open).map(|file| format!("open file {file}"));
    let entries = [env::temp_dir(), "/dev/shm".into()].into_iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    let of_browsers = entries.filter_map(|entry| {
        let path = entry.ok()?.path().display().to_string();
        path.to_lowercase().contains("chrom").then_some(path)
    });
    children.chain(open).chain(of_browsers).collect()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
