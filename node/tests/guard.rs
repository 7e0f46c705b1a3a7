//! The guard, judged on real processes. This binary plays all the parts: the tests start it again as a guard, which
//! starts it as a child, which starts it as the launcher of a "browser": a shell whose own child leaves its process
//! group, as Chromium's helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic in a test is its report, and a figure is printed"
)]

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use roost_cluster::clock::boottime;
use roost_node::{
    guard::{self, EXIT_REFUSED, GuardLink, Plan, Program, RestartPolicy},
    launch,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Much longer than anything takes; a condition that is not met by then fails the test.
const PATIENCE: Duration = Duration::from_secs(20);
/// How far ahead the child's deadline is, each time it renews it.
const FENCE: Duration = Duration::from_millis(400);
/// What killing may take on a loaded machine.
const LATE: Duration = Duration::from_millis(600);
const RENEW_EVERY: Duration = Duration::from_millis(50);
const LEASE: i64 = 77;
/// The second lease of a child that leads.
const REIGN: i64 = 78;
/// One that was given back.
const ENDED: i64 = 79;
/// From the child's death to the word that its leases may end, browsers dead: half of what the figure allows a whole
/// failover's first step, on a machine that may be loaded.
const PROMPT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let text = |at: usize| args[at].to_str().unwrap();
    match args.get(1).and_then(|role| role.to_str()) {
        Some("play-guard") => play_guard(Path::new(&args[2]), text(3)),
        Some("play-child") => play_child(Path::new(&args[2]), text(3), text(4).parse().unwrap()),
        Some("play-launch") => panic!("{}", launch::launch(text(2).parse().unwrap(), &args[3..])),
        Some("play-revoke") => play_revoke(Path::new(&args[2])),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn trials() -> Vec<Trial> {
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    };
    vec![
        trial("a_killed_child_leaves_no_browser_and_no_lease_and_is_started_again", killed_child),
        trial("a_frozen_child_is_dead_with_its_browsers_once_its_deadline_has_passed", frozen_child),
        trial("a_child_that_hangs_is_dead_with_its_browsers_once_its_deadline_has_passed", hung_child),
        trial("a_child_that_stood_down_outlives_its_deadline", stood_down_child),
        trial("a_killed_guard_takes_the_child_and_its_browsers_with_it", killed_guard),
        trial("a_stop_is_passed_on_and_a_clean_end_is_clean", graceful_stop),
        trial("a_child_that_does_not_stop_is_killed", overdue_stop),
        trial("a_child_that_crashes_too_often_is_given_up", crashing_child),
        trial("a_refused_child_is_not_started_again", refused_child),
        trial("a_child_that_cannot_be_understood_is_ended", babbling_child),
    ]
}

fn killed_child() {
    let stage = Stage::set("serve", 3);
    let first = stage.life(1);
    let killed_at = Instant::now();
    first.kill_child(Signal::KILL);
    first.wait_until_dead();
    stage.wait_until_revoked();
    let took = killed_at.elapsed();
    println!("from the child's death to the end of its leases: {took:?}");
    assert!(took < PROMPT, "it took {took:?}");
    // The next life is a whole one.
    let second = stage.life(2);
    assert!(is_alive(second.child) && is_alive(second.browser) && is_alive(second.stray));
}

fn frozen_child() {
    let stage = Stage::set("serve", 3);
    let first = stage.life(1);
    first.kill_child(Signal::STOP);
    let frozen_at = boottime();
    first.wait_until_dead();
    let took = boottime() - frozen_at;
    assert!(took + RENEW_EVERY * 4 >= FENCE, "it was killed {took:?} after it froze, before its deadline");
    // The last deadline that it can have told is a fence after its freeze.
    assert!(took <= FENCE + LATE, "its browsers lived {took:?} after it froze");
    stage.wait_until_revoked();
}

fn hung_child() {
    // It runs, it takes no signal, and it renews nothing.
    let stage = Stage::set("hang", 3);
    let first = stage.life(1);
    first.wait_until_dead();
    stage.wait_until_revoked();
    assert!(boottime() >= stage.deadline(1), "it was killed before its deadline");
    stage.life(2);
}

fn stood_down_child() {
    let stage = Stage::set("stand-down", 0);
    let child = stage.pid("child.1");
    until("the deadline is long over", || stage.path("outlived").exists());
    assert!(is_alive(child));
}

fn killed_guard() {
    let mut stage = Stage::set("serve", 3);
    let life = stage.life(1);
    stage.guard.kill().unwrap();
    stage.guard.wait().unwrap();
    until("child and browser are dead", || !is_alive(life.child) && !is_alive(life.browser));
}

fn graceful_stop() {
    let mut stage = Stage::set("serve", 3);
    let life = stage.life(1);
    assert!(stage.stop_guard().success());
    life.wait_until_dead();
    assert_eq!(stage.revoked(), [""; 0], "a child that ends cleanly gives its lease back itself");
}

fn overdue_stop() {
    let mut stage = Stage::set("deaf", 3);
    let life = stage.life(1);
    assert!(!stage.stop_guard().success());
    life.wait_until_dead();
    stage.wait_until_revoked();
}

fn crashing_child() {
    let mut stage = Stage::set("crash", 1);
    assert!(!stage.guard_status().success());
    assert!(stage.path("child.2").exists() && !stage.path("child.3").exists());
}

fn refused_child() {
    let mut stage = Stage::set("refuse", 3);
    assert!(!stage.guard_status().success());
    assert!(stage.path("child.1").exists() && !stage.path("child.2").exists());
}

fn babbling_child() {
    let mut stage = Stage::set("babble", 0);
    assert!(!stage.guard_status().success());
    assert!(!is_alive(stage.pid("child.1")));
}

/// A guard that runs, and a directory in which its processes leave their traces.
struct Stage {
    dir: TempDir,
    guard: Child,
}

/// The processes of one life of the child.
struct Life {
    child: Pid,
    browser: Pid,
    /// Started by the browser, in a session of its own.
    stray: Pid,
}

impl Stage {
    fn set(behaviour: &str, max_restarts: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guard = Command::new(env::current_exe().unwrap())
            .args([
                OsString::from("play-guard"),
                dir.path().into(),
                format!("{behaviour}:{max_restarts}").into(),
            ])
            .spawn()
            .unwrap();
        Self { dir, guard }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pid(&self, name: &str) -> Pid {
        until(name, || read_pid(&self.path(name)).is_some());
        read_pid(&self.path(name)).unwrap()
    }

    fn life(&self, number: u32) -> Life {
        Life {
            child: self.pid(&format!("child.{number}")),
            browser: self.pid(&format!("browser.{number}")),
            stray: self.pid(&format!("stray.{number}")),
        }
    }

    fn revoked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("revoked")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// The deadline that this life told, once and for all.
    fn deadline(&self, life: u32) -> Duration {
        let path = self.path(&format!("deadline-{life}"));
        Duration::from_nanos(fs::read_to_string(path).unwrap().parse().unwrap())
    }

    /// Both leases of the child that are still its own, and only once nothing of it is alive.
    fn wait_until_revoked(&self) {
        until("the leases are revoked", || !self.revoked().is_empty());
        assert_eq!(self.revoked(), [format!("{LEASE} {REIGN} beside 0")]);
    }

    fn stop_guard(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.guard), Signal::TERM).unwrap();
        self.guard_status()
    }

    fn guard_status(&mut self) -> ExitStatus {
        until("the guard has ended", || self.guard.try_wait().unwrap().is_some());
        self.guard.wait().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Whatever a failed test has left; one that is gone already is fine.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        for entry in fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            if let Some(pid) = read_pid(&entry.path()).filter(|&pid| is_alive(pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Life {
    fn kill_child(&self, signal: Signal) {
        kill_process(self.child, signal).unwrap();
    }

    fn wait_until_dead(&self) {
        let all = [self.child, self.browser, self.stray];
        until("child and browser are dead, with their strays", || !all.into_iter().any(is_alive));
    }
}

fn until(what: &str, mut is_met: impl FnMut() -> bool) {
    let over = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < over, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The pid in a trace `<who>.<life>`, once it is written whole.
fn read_pid(path: &Path) -> Option<Pid> {
    let is_trace = path
        .extension()
        .is_some_and(|number| number.to_str().is_some_and(|text| text.parse::<u32>().is_ok()));
    let text = fs::read_to_string(path).ok().filter(|text| is_trace && text.ends_with('\n'))?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    stat.is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn play_guard(dir: &Path, behaviour: &str) -> ExitCode {
    let (behaviour, max_restarts) = behaviour.split_once(':').unwrap();
    let this = env::current_exe().unwrap();
    let guard_pid = std::process::id().to_string();
    let program = |args: &[&str]| Program { path: this.clone(), args: args.iter().map(Into::into).collect() };
    let dir = dir.to_str().unwrap();
    let plan = Plan {
        child: program(&["play-child", dir, behaviour, &guard_pid]),
        revoke: program(&["play-revoke", dir]),
        restarts: RestartPolicy { max: max_restarts.parse().unwrap(), window: Duration::from_secs(300) },
        grace: FENCE,
    };
    match guard::run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn play_revoke(dir: &Path) -> ExitCode {
    let mut leases = String::new();
    std::io::stdin().read_line(&mut leases).unwrap();
    // What is left of the child when the word is given.
    let survivors = fs::read_dir(dir).unwrap().filter_map(|entry| read_pid(&entry.unwrap().path()));
    let survivors = survivors.filter(|&pid| is_alive(pid)).count();
    let mut file = fs::File::options().create(true).append(true).open(dir.join("revoked")).unwrap();
    writeln!(file, "{} beside {survivors}", leases.trim_end()).unwrap();
    ExitCode::SUCCESS
}

fn play_child(dir: &Path, behaviour: &str, guard: i32) -> ExitCode {
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, asked_to_stop.clone()).unwrap();
    launch::die_with(guard).unwrap();
    let life = (1..).find(|number| !dir.join(format!("child.{number}")).exists()).unwrap();
    fs::write(dir.join(format!("child.{life}")), format!("{}\n", std::process::id())).unwrap();
    match behaviour {
        "crash" => return ExitCode::FAILURE,
        "refuse" => return ExitCode::from(EXIT_REFUSED),
        _ => {}
    }
    if behaviour == "babble" {
        rustix::io::write(std::io::stdout(), b"what am I?\n").unwrap();
        thread::sleep(PATIENCE);
    }
    let link = GuardLink::take_stdout().unwrap();
    for lease in [LEASE, REIGN, LEASE, ENDED] {
        link.lease(lease);
    }
    link.unlease(ENDED);
    link.deadline(boottime() + FENCE);
    if behaviour == "stand-down" {
        link.stood_down();
        thread::sleep(FENCE * 2);
        fs::write(dir.join("outlived"), "").unwrap();
        thread::sleep(PATIENCE);
    }
    let mut browser = start_browser(dir, life);
    link.browser_started(browser.id());
    if behaviour == "hang" {
        let deadline = boottime() + FENCE;
        fs::write(dir.join(format!("deadline-{life}")), deadline.as_nanos().to_string()).unwrap();
        link.deadline(deadline);
        loop {
            std::hint::spin_loop();
        }
    }
    while behaviour == "deaf" || !asked_to_stop.load(Ordering::Relaxed) {
        link.deadline(boottime() + FENCE);
        thread::sleep(RENEW_EVERY);
    }
    browser.kill().unwrap();
    browser.wait().unwrap();
    link.browser_gone(browser.id());
    ExitCode::SUCCESS
}

fn start_browser(dir: &Path, life: u32) -> Child {
    let script = format!(
        "cd '{}'; setsid sleep 1000 & echo $! > stray.{life}; echo $$ > browser.{life}; exec sleep 1000",
        dir.display(),
    );
    Command::new(env::current_exe().unwrap())
        .args(["play-launch", &std::process::id().to_string(), "/bin/sh", "-c", &script])
        .spawn()
        .unwrap()
}
