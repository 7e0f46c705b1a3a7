//! A browser in a control group of its own. The directory stands for the kernel's: what this kernel has of controllers is the
//! machine's affair.

use std::fs;

use roost_engine::{PageEvent, control_group::ControlGroups};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    site::Site,
    stage::{Stage, events},
};

pub async fn ended() {
    let site = Site::serve("127.0.0.2", "").await;
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::with_groups(&site.url(), ControlGroups::beneath(root.path().to_owned()));
    let mut launched = stage.launch().await.unwrap();
    let mut made = fs::read_dir(root.path()).unwrap();
    let group = made.next().unwrap().unwrap().path();
    assert!(made.next().is_none());
    // The launcher's, of itself, before it was anybody else.
    assert_eq!(fs::read_to_string(group.join("cgroup.procs")).unwrap(), "0");
    fs::write(group.join("memory.events"), "oom 1\noom_kill 6\n").unwrap();
    fs::write(group.join("memory.max"), "805306368\n").unwrap();
    let browser = launched.pid.and_then(|pid| Pid::from_raw(pid.cast_signed())).unwrap();
    kill_process(browser, Signal::KILL).unwrap();
    let told = events(&mut launched).await;
    let why = "it was killed by the kernel: out of memory, over its limit of 768 MiB";
    let [.., PageEvent::OverMemory { reason }, PageEvent::Exited { .. }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(reason, why);
    assert_eq!(fs::read_to_string(group.join("cgroup.kill")).unwrap(), "1", "whatever was left of it");
}
