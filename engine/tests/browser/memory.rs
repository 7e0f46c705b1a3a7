//! A browser's share of the machine.

use std::fs;

use crate::{site::Site, stage::Stage};

/// All its processes, that is, as the kernel has them.
pub async fn behind_its_node() {
    let site = Site::serve("127.0.0.2", "").await;
    let stage = Stage::set(&site.url());
    let launched = stage.launch().await.unwrap();
    let (own_score, own_nice) = standing("self");
    let processes = members(launched.pid.unwrap());
    assert!(processes.len() > 1, "{processes:?}");
    for pid in processes {
        let (score, nice) = standing(&pid.to_string());
        assert!(score >= (own_score + 300).min(1000), "{pid} has {score}, its node {own_score}");
        assert_eq!(nice, (own_nice + 5).min(19), "{pid}");
    }
    launched.page.kill().await;
}

/// Score for the kernel's choice, and niceness.
fn standing(pid: &str) -> (i32, i32) {
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse().unwrap();
    (score, stat(pid).unwrap()[16].parse().unwrap())
}

/// The processes of the group.
fn members(group: u32) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| stat(&pid.to_string()).is_some_and(|stat| stat[2] == group.to_string())).collect()
}

/// Its fields from the state on.
fn stat(pid: &str) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}
