//! A node as a machine: its guard, its child and its browsers.

use std::time::Duration;

use anyhow::{Context, Result};
use roost_devcluster::{Descendant, Identity, Member, Signal};

/// Processes may start others while they are being frozen; after so many looks all of them stand still.
const LOOKS: usize = 3;
const STARTED_WITHIN: Duration = Duration::from_secs(30);

/// The process that does the node's work: the child of its guard, which may be about to start it anew.
pub(super) async fn child(node: &Member) -> Result<Identity> {
    let guard = node.pid().context("the node runs")?;
    let child = || node.descendants().into_iter().find(|process| process.parent == guard);
    let what = format!("the guard of {} has a child", node.id());
    roost_devcluster::wait_until(&what, STARTED_WITHIN, || async { child().is_some() }).await?;
    Ok(child().context(what)?.identity)
}

/// One of its browsers. One may be on its way: a tenant is published before its browser starts.
pub(super) async fn browser(node: &Member) -> Result<Identity> {
    let what = format!("{} has a browser, for it has tenants", node.id());
    roost_devcluster::wait_until(&what, STARTED_WITHIN, || async { !browsers(node).is_empty() }).await?;
    browsers(node).into_iter().next().context(what)
}

/// The root of each of its browsers.
pub(super) fn browsers(node: &Member) -> Vec<Identity> {
    let is_root = |process: &Descendant| {
        process.command.contains("--user-data-dir") && !process.command.contains("--type=")
    };
    node.descendants().into_iter().filter(is_root).map(|process| process.identity).collect()
}

/// Freezes all of it, those that start processes first; what was frozen, for [`thaw`].
pub(super) fn freeze(node: &mut Member) -> Result<Vec<Identity>> {
    let guard = node.pid().and_then(Identity::of).context("the node runs")?;
    guard.signal(Signal::STOP)?;
    let mut frozen = vec![guard];
    for _ in 0..LOOKS {
        for process in node.descendants() {
            if !frozen.contains(&process.identity) && process.identity.signal(Signal::STOP)? {
                frozen.push(process.identity);
            }
        }
    }
    Ok(frozen)
}

/// The browsers first: the worst order, for they run until their guard has seen what time it is.
pub(super) fn thaw(frozen: &[Identity]) -> Result<()> {
    for process in frozen.iter().rev() {
        process.signal(Signal::CONT)?;
    }
    Ok(())
}
