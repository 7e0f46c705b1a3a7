//! The parts that this binary plays when it is started again: the guard, its child, and what ends a lease.

use std::{
    env, fs,
    io::Write,
    path::Path,
    process::{Child, Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use roost_cluster::clock::boottime;
use roost_engine::exec_with_parent_death;
use roost_node::guard::{self, DeadMansTimer, EXIT_REFUSED, GuardConfig, GuardLink, Program, RestartPolicy};

use super::{
    figures::{FENCE, LEASE, PATIENCE, REIGN, RENEW_EVERY},
    stage::{is_alive, read_pid},
};

/// One that was given back.
const ENDED: i64 = 79;

pub(super) fn play_guard(dir: &Path, behaviour: &str) -> ExitCode {
    let (behaviour, max_restarts) = behaviour.split_once(':').unwrap();
    let this = env::current_exe().unwrap();
    let guard_pid = std::process::id().to_string();
    let program = |args: &[&str]| Program { path: this.clone(), args: args.iter().map(Into::into).collect() };
    let dir = dir.to_str().unwrap();
    let config = GuardConfig {
        child: program(&["play-child", dir, behaviour, &guard_pid]),
        revoke: program(&["play-revoke", dir]),
        restarts: RestartPolicy { max: max_restarts.parse().unwrap(), window: Duration::from_secs(300) },
        grace: FENCE,
    };
    match guard::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

pub(super) fn play_revoke(dir: &Path) -> ExitCode {
    let mut leases = String::new();
    std::io::stdin().read_line(&mut leases).unwrap();
    // What is left of the child when the word is given.
    let survivors = fs::read_dir(dir).unwrap().filter_map(|entry| read_pid(&entry.unwrap().path()));
    let survivors = survivors.filter(|&pid| is_alive(pid)).count();
    let mut file = fs::File::options().create(true).append(true).open(dir.join("revoked")).unwrap();
    writeln!(file, "{} beside {survivors}", leases.trim_end()).unwrap();
    ExitCode::SUCCESS
}

pub(super) fn play_child(dir: &Path, behaviour: &str, guard: i32) -> ExitCode {
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, asked_to_stop.clone()).unwrap();
    exec_with_parent_death::die_with(guard).unwrap();
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
    let mut link = GuardLink::take_stdout().unwrap();
    if behaviour == "serve-by-timer" {
        link = link.with_timer(DeadMansTimer::start().unwrap());
    }
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
