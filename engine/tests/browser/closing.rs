//! A browser that is asked to close, and what counts as having closed.

use rustix::process::{Pid, Signal, kill_process};

use crate::{site::Site, stage::Stage};

pub async fn in_order() {
    let site = Site::serve("127.0.0.2", "").await;
    let launched = Stage::set(&site.url()).launch().await.unwrap();
    assert!(launched.page.close().await);
    assert!(!launched.page.close().await, "one that is gone was not closed by this");
}

/// As by the kernel when memory is short: asked to close, it is killed before it has.
pub async fn killed_meanwhile() {
    let site = Site::serve("127.0.0.2", "").await;
    let launched = Stage::set(&site.url()).launch().await.unwrap();
    let root = launched.pid.and_then(|pid| Pid::from_raw(pid.cast_signed())).unwrap();
    // It cannot be faster than the kill.
    kill_process(root, Signal::STOP).unwrap();
    let kill = async { kill_process(root, Signal::KILL).unwrap() };
    let (is_clean, ()) = tokio::join!(launched.page.close(), kill);
    assert!(!is_clean);
}
