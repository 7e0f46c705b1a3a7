//! The process: it starts while nothing that it needs is up, and ends cleanly on either signal.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const SOON: Duration = Duration::from_secs(30);

fn start(dir: &Path, settings: &[(&str, &str)]) -> Child {
    fs::write(dir.join("tokens"), "a-token\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost-coordinator"));
    command.arg("run").current_dir(dir).stderr(Stdio::piped());
    let usual = [
        ("--id", "c1"),
        ("--etcd", "http://127.0.0.1:1"),
        ("--listen", "127.0.0.1:0"),
        ("--database-url", "postgres://roost:x@127.0.0.1:1/roost"),
        ("--lease-ttl", "2s"),
        ("--token-file", "tokens"),
        ("--announce", "announced"),
    ];
    let unchanged = usual.iter().filter(|(name, _)| settings.iter().all(|(changed, _)| changed != name));
    for (name, value) in unchanged.chain(settings) {
        command.args([name, value]);
    }
    command.spawn().unwrap()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < SOON, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sigterm_and_sigint_end_it_cleanly_even_with_everything_down() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path(), &[]);
        let announced =
            wait_for("the announcement", || fs::read_to_string(dir.path().join("announced")).ok());
        let announced: serde_json::Value = serde_json::from_str(&announced).unwrap();
        assert_eq!(announced["pid"], child.id());
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let status = wait_for("the end", || child.try_wait().unwrap());
        assert!(status.success(), "{signal:?}: {status}");
    }
}

#[test]
fn a_wrong_setting_is_told_and_nothing_is_announced() {
    for (setting, said) in [
        (("--cluster", "No Good"), "cluster name"),
        (("--id", "No Good"), "--id"),
        (("--stale-after", "soon"), "--stale-after"),
        (("--lease-ttl", "1s"), "--lease-ttl"),
        (("--token-file", "/nowhere/tokens"), "/nowhere/tokens"),
        (("--etcd", "not a url"), "not a url"),
        (("--database-url", "not a url"), "database URL"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = start(dir.path(), &[setting]).wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains(said), "{setting:?}: {text}");
        assert!(!dir.path().join("announced").exists());
    }
}
