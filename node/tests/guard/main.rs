//! The guard, judged on real processes. This binary plays all the parts: the tests start it again as a guard, which
//! starts it as a child, which starts it as the launcher of a "browser": a shell whose own child leaves its process
//! group, as Chromium's helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic in a test is its report, and a figure is printed"
)]

mod figures;
mod roles;
mod stage;

use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use roost_cluster::clock::boottime;
use roost_engine::{exec_with_parent_death::exec_with_parent_death, run_as::RunAs};
use rustix::{
    process::{Pid, Resource, Signal, getrlimit, kill_process},
    thread::{CapabilitySet, capabilities},
};

use crate::{
    figures::{FENCE, LATE, RENEW_EVERY},
    roles::{play_child, play_guard, play_revoke},
    stage::{Stage, is_alive, until},
};

/// From the child's death to the word that its leases may end, browsers dead: half of what the figure allows a whole
/// failover's first step, on a machine that may be loaded.
const PROMPT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let text = |at: usize| args[at].to_str().unwrap();
    match args.get(1).and_then(|role| role.to_str()) {
        Some("play-guard") => play_guard(Path::new(&args[2]), text(3)),
        Some("play-child") => play_child(Path::new(&args[2]), text(3), text(4).parse().unwrap()),
        Some("play-launch") => {
            panic!("{}", exec_with_parent_death(text(2).parse().unwrap(), None, RunAs::Caller, &args[3..]))
        }
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
        trial("a_guard_and_a_child_that_are_stopped_together_leave_no_browser", stopped_together),
        trial("a_child_that_hangs_is_dead_with_its_browsers_once_its_deadline_has_passed", hung_child),
        trial("a_child_that_stood_down_outlives_its_deadline", stood_down_child),
        trial("a_killed_guard_takes_the_child_and_its_browsers_with_it", killed_guard),
        trial("the_memory_of_the_guard_alone_is_locked", locked_memory),
        trial("the_childs_allocator_is_bounded", bounded_allocator),
        trial("a_stop_is_passed_on_and_a_clean_end_is_clean", graceful_stop),
        trial("a_closed_terminal_stops_in_order", closed_terminal),
        trial("a_child_that_does_not_stop_is_killed", overdue_stop),
        trial("a_child_that_crashes_too_often_is_given_up", crashing_child),
        trial("a_refused_child_is_not_started_again", refused_child),
        trial("a_child_that_cannot_be_understood_is_ended", babbling_child),
    ]
}

fn bounded_allocator() {
    let stage = Stage::set("serve", 3);
    let child = stage.life(1).child;
    let environment = fs::read(format!("/proc/{}/environ", child.as_raw_pid())).unwrap();
    let bound = b"MALLOC_ARENA_MAX=2".as_slice();
    assert!(environment.split(|&byte| byte == 0).any(|variable| variable == bound));
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

/// Ctrl-Z, say. Nothing of ours runs; the kernel's timer ends the child, and the child's end its browser.
fn stopped_together() {
    let mut stage = Stage::set("serve-by-timer", 3);
    let first = stage.life(1);
    let guard = Pid::from_child(&stage.guard);
    kill_process(guard, Signal::STOP).unwrap();
    first.kill_child(Signal::STOP);
    let frozen_at = boottime();
    until("child and browser are dead", || !is_alive(first.child) && !is_alive(first.browser));
    let took = boottime() - frozen_at;
    assert!(took + RENEW_EVERY * 4 >= FENCE, "it was killed {took:?} after it froze, before its deadline");
    assert!(took <= FENCE + LATE, "its browser lived {took:?} after it froze");
    kill_process(guard, Signal::CONT).unwrap();
    first.wait_until_dead();
    stage.wait_until_revoked();
    // The timer was that life's own.
    stage.life(2);
    assert!(stage.stop_guard().success());
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

fn locked_memory() {
    let stage = Stage::set("serve", 3);
    let life = stage.life(1);
    let locked_kib = |pid: Pid| {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap()
    };
    let (guard, child) = (Pid::from_child(&stage.guard), life.child);
    assert_eq!((locked_kib(child), locked_kib(life.browser)), (0, 0));
    // Where the limit forbids it the guard goes on without.
    let is_privileged = capabilities(None).unwrap().effective.contains(CapabilitySet::IPC_LOCK);
    let may_lock = is_privileged || getrlimit(Resource::Memlock).current.is_none();
    assert!(locked_kib(guard) > 0 || !may_lock);
}

fn graceful_stop() {
    let mut stage = Stage::set("serve", 3);
    let life = stage.life(1);
    assert!(stage.stop_guard().success());
    life.wait_until_dead();
    assert_eq!(stage.revoked(), [""; 0], "a child that ends cleanly gives its lease back itself");
}

fn closed_terminal() {
    let mut stage = Stage::set("serve", 3);
    let life = stage.life(1);
    kill_process(Pid::from_child(&stage.guard), Signal::HUP).unwrap();
    assert!(stage.guard_status().success());
    life.wait_until_dead();
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
