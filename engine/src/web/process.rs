//! The browser's process tree: watched, frozen and ended as one; and what it said before it ended.
//!
//! The root leads a process group of its own, in which Chromium keeps everything it starts; so the tree is signalled by
//! one system call, and nothing that forks meanwhile escapes it. `launch` (see [`crate::exec_with_parent_death`]) has the kernel kill the
//! root when this process dies; the others end when they lose it.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use roost_model::causes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;

use super::socket_dir::remove_socket_dir;
use crate::run_as::RunAs;
use crate::{BrowserObserver, control_group::BrowserGroup};

/// A running browser. Dropping it kills the tree.
pub(super) struct BrowserProcess {
    tree: ProcessTree,
}

/// Where a browser leaves something outside of its profile.
pub(super) struct Traces {
    pub profile: PathBuf,
    pub run_as: RunAs,
}

impl Traces {
    /// Once no process of it is left.
    fn remove(&self) {
        if let Err(error) = remove_socket_dir(&self.profile, self.run_as) {
            tracing::warn!(error = %causes(&error), "a temporary directory of a browser is left");
        }
    }
}

/// The ends of the browser's two pipes.
pub(super) struct Pipes {
    pub input: ChildStdin,
    pub output: ChildStdout,
}

impl BrowserProcess {
    /// The browser that this child is, and its pipes; None if it has none.
    pub(super) fn watch(
        mut child: Child,
        traces: Traces,
        group: Option<BrowserGroup>,
        observer: Arc<dyn BrowserObserver>,
    ) -> Option<(Self, Pipes)> {
        let (input, output, errors) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let pid = child.id()?;
        let root = Pid::from_raw(pid.cast_signed())?;
        observer.started(pid);
        let (gone, is_gone) = watch::channel(None);
        let tree = ProcessTree { root, gone: is_gone, cause: Arc::default() };
        let watched = Watched { child, traces, group, tree: tree.clone(), gone };
        tokio::spawn(watched.until_gone(errors, observer));
        Some((Self { tree }, Pipes { input, output }))
    }

    pub(super) fn pid(&self) -> u32 {
        self.tree.root.as_raw_pid().cast_unsigned()
    }

    pub(super) fn tree(&self) -> ProcessTree {
        self.tree.clone()
    }
}

impl Drop for BrowserProcess {
    fn drop(&mut self) {
        self.tree.signal(Signal::KILL);
    }
}

/// A handle on the processes that does not keep them alive.
#[derive(Clone)]
pub(super) struct ProcessTree {
    root: Pid,
    /// How, once the whole tree is gone.
    gone: watch::Receiver<Option<TreeEnd>>,
    /// Why it was ended, where that is known better than from its own end.
    cause: Arc<OnceLock<String>>,
}

#[derive(Debug, Clone)]
struct TreeEnd {
    reason: String,
    /// The root ended by itself, and with success.
    is_orderly: bool,
    /// The kernel has ended it because its control group was over its memory limit.
    is_over_memory: bool,
}

impl ProcessTree {
    /// The id of its process group.
    pub(super) fn group(&self) -> i32 {
        self.root.as_raw_pid()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.borrow().is_some()
    }

    /// Signals every process of the browser; nothing happens when they are gone.
    pub(super) fn signal(&self, signal: Signal) {
        // While the tree is not known to be gone its group exists, so the number cannot have been given to another.
        if !self.is_gone() {
            let _no_such_group = kill_process_group(self.root, signal);
        }
    }

    /// Kills the tree and returns when it is gone.
    pub(super) async fn kill(&self) -> String {
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// The same, for a cause that whoever waits for its end is told.
    pub(super) async fn end_for(&self, cause: String) -> String {
        // The first one counts.
        let _already_ending = self.cause.set(cause);
        self.kill().await
    }

    /// Returns, when the tree is gone, how it went.
    pub(super) async fn wait(&self) -> String {
        self.end().await.reason
    }

    /// Returns, when the tree is gone, whether its root ended by itself with success: it did not crash, and nobody killed it.
    pub(super) async fn ended_in_order(&self) -> bool {
        self.end().await.is_orderly
    }

    /// Of a tree that is gone.
    pub(super) fn was_over_memory(&self) -> bool {
        self.gone.borrow().as_ref().is_some_and(|end| end.is_over_memory)
    }

    async fn end(&self) -> TreeEnd {
        let mut gone = self.gone.clone();
        let end = gone.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        // The watching task ends only with the runtime.
        let ending =
            || TreeEnd { reason: "the node is ending".to_owned(), is_orderly: false, is_over_memory: false };
        end.unwrap_or_else(ending)
    }
}

/// A browser as long as it runs.
struct Watched {
    child: Child,
    traces: Traces,
    group: Option<BrowserGroup>,
    tree: ProcessTree,
    gone: watch::Sender<Option<TreeEnd>>,
}

impl Watched {
    /// Reaps the root when it ends, ends the rest of its tree, and tells.
    async fn until_gone(mut self, errors: ChildStderr, observer: Arc<dyn BrowserObserver>) {
        let last_words = tokio::spawn(last_words(errors));
        let ended = self.child.wait().await;
        end_group(self.tree.root).await;
        let memory_kill = self.group.as_ref().and_then(BrowserGroup::memory_kill);
        if let Some(group) = self.group.take() {
            group.remove().await;
        }
        self.traces.remove();
        let last_words = last_words.await.unwrap_or_default();
        let cause = self.tree.cause.get().cloned();
        let is_over_memory = cause.is_none() && memory_kill.as_ref().is_some_and(|kill| kill.is_over_limit);
        let cause = cause.or(memory_kill.map(|kill| kill.reason));
        let is_orderly = cause.is_none() && ended.as_ref().is_ok_and(ExitStatus::success);
        let reason = cause.unwrap_or_else(|| match ended {
            Ok(status) => how_it_ended(status, &last_words),
            Err(error) => format!("the browser could not be waited for: {error}"),
        });
        observer.gone(self.tree.root.as_raw_pid().cast_unsigned());
        self.gone.send_replace(Some(TreeEnd { reason, is_orderly, is_over_memory }));
    }
}

pub(super) fn how_it_ended(status: ExitStatus, last_words: &str) -> String {
    if status.success() {
        "the browser closed".to_owned()
    } else if last_words.is_empty() {
        format!("the browser ended with {status}")
    } else {
        format!("the browser ended with {status}, saying: {last_words}")
    }
}

/// Kills what is left of a group whose leader is gone, and returns when nothing is.
async fn end_group(root: Pid) {
    let mut pause = Duration::from_millis(1);
    while kill_process_group(root, Signal::KILL).is_ok() && has_living_member(root) {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Zombies keep a group in being until whoever adopted them reaps them; they are gone for every purpose of ours.
fn has_living_member(group: Pid) -> bool {
    let Ok(listing) = fs::read_dir("/proc") else { return true };
    listing
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .any(|stat| member_of(&stat) == Some(group.as_raw_pid()))
}

/// The group that this process is a living member of. `pid (name) state ppid pgrp ...`; the name may hold parentheses, so the
/// last one ends it.
fn member_of(stat: &str) -> Option<i32> {
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let (state, _parent, group) = (fields.next()?, fields.next()?, fields.next()?);
    if matches!(state, "Z" | "X") { None } else { group.parse().ok() }
}

/// Of all that was said, as much of the end.
const KEPT_BYTES: usize = 600;
/// A longer line is cut; the beginning says what it is about.
const LINE_BYTES: usize = 400;

/// What a browser said before it ended: its standard error is the only place where it says why it does not start. The last
/// lines that say something, in one line.
async fn last_words(errors: impl AsyncRead + Unpin) -> String {
    let mut errors = BufReader::new(errors);
    let (mut kept, mut line, mut part) = (Vec::<String>::new(), Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = errors.read(&mut part).await {
        for &byte in &part[..read] {
            if byte == b'\n' {
                keep(&mut kept, &line);
                line.clear();
            } else if line.len() < LINE_BYTES {
                line.push(byte);
            }
        }
    }
    keep(&mut kept, &line);
    kept.join("; ")
}

fn keep(kept: &mut Vec<String>, line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    let Some(words) = words(&line) else { return };
    if kept.last().is_some_and(|last| last == words) {
        return;
    }
    kept.push(words.to_owned());
    while kept.iter().map(String::len).sum::<usize>() > KEPT_BYTES && kept.len() > 1 {
        kept.remove(0);
    }
}

/// What Chromium writes at every start on a machine without a desktop, and what only its developers can read.
const NOISE: &[&str] = &["dbus", "D-Bus", "DevTools listening", ":WARNING:", ":INFO:", ":VERBOSE"];

/// A line without its `[time:level:file(line)]`; none when it says nothing of why a browser ended.
fn words(line: &str) -> Option<&str> {
    let is_noise = NOISE.iter().any(|noise| line.contains(noise));
    // Frames of a stack trace.
    if is_noise || line.trim_start().starts_with('#') {
        return None;
    }
    let words = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((place, words)) if place.contains(':') => words,
        _ => line,
    };
    Some(words.trim()).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::control_group::{ControlGroups, let_it_be_removed};
    use crate::web::engine::Launcher;

    #[derive(Default)]
    struct Counted(AtomicU32, AtomicU32);

    impl BrowserObserver for Counted {
        fn started(&self, _: u32) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        fn gone(&self, _: u32) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn spawn_at_home(script: &str, home: &Path) -> (BrowserProcess, Arc<Counted>) {
        spawn_in(None, script, home)
    }

    fn spawn_in(group: Option<BrowserGroup>, script: &str, home: &Path) -> (BrowserProcess, Arc<Counted>) {
        let observer = Arc::new(Counted::default());
        // `roost-node launch` is a program of its own; what follows `--` is what it becomes.
        let becomes = r#"while [ "$1" != -- ]; do shift; done; shift; exec "$@""#;
        let args = ["-c", becomes, "sh"].map(str::to_owned).to_vec();
        let launcher = Launcher { program: "/bin/sh".into(), args, run_as: RunAs::Caller };
        let shell = Path::new("/bin/sh");
        let flags = ["-c", script].map(OsString::from);
        let (process, _pipes) =
            launcher.spawn(shell, home, &flags, Vec::new(), group, observer.clone()).unwrap();
        (process, observer)
    }

    fn spawn(script: &str) -> (BrowserProcess, Arc<Counted>) {
        spawn_at_home(script, Path::new("/nonexistent"))
    }

    /// As a full Chromium has one: nobody who is killed removes it.
    #[tokio::test]
    async fn a_killed_browser_leaves_no_temporary_directory() {
        let home = tempfile::tempdir().unwrap();
        let script = r#"d=$(mktemp -d -t org.chromium.Chromium.XXXXXX); : >"$d/SingletonSocket"; : >"$d/SingletonCookie"
            ln -s "$d/SingletonSocket" "$HOME/SingletonSocket"; sleep 1000"#;
        let (process, _ledger) = spawn_at_home(script, home.path());
        let link = home.path().join("SingletonSocket");
        let socket = async {
            loop {
                match fs::read_link(&link) {
                    Ok(socket) => break socket,
                    Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        let socket = tokio::time::timeout(Duration::from_secs(10), socket).await.unwrap();
        assert!(socket.exists());
        process.tree().kill().await;
        assert!(!socket.parent().unwrap().exists());
    }

    #[tokio::test]
    async fn a_killed_tree_is_gone_with_its_grandchildren_and_the_observer_knows() {
        let (process, observer) = spawn("sleep 1000 & sleep 1000 & wait");
        process.tree().kill().await;
        assert!(!has_living_member(process.tree.root));
        assert_eq!((observer.0.load(Ordering::SeqCst), observer.1.load(Ordering::SeqCst)), (1, 1));
    }

    #[tokio::test]
    async fn children_do_not_outlive_a_root_that_ends_and_its_last_words_are_kept() {
        let (process, _ledger) = spawn("sleep 1000 & echo 'no display' >&2; exit 7");
        let reason = process.tree().wait().await;
        assert!(reason.contains("7") && reason.contains("no display"), "{reason}");
        assert!(!has_living_member(process.tree.root));
    }

    #[tokio::test]
    async fn only_a_root_that_ends_by_itself_with_success_has_ended_in_order() {
        for (script, is_orderly) in [("exit 0", true), ("exit 7", false), ("kill -SEGV $$", false)] {
            let (process, _ledger) = spawn(script);
            assert_eq!(process.tree().ended_in_order().await, is_orderly, "{script}");
        }
        let (process, _ledger) = spawn("sleep 1000");
        process.tree().kill().await;
        assert!(!process.tree().ended_in_order().await);
    }

    #[tokio::test]
    async fn a_browser_is_given_a_home_and_nothing_of_the_nodes_environment() {
        // The variable is cargo's, and stands for every other one of the node's.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let (process, _ledger) = spawn("echo \"$HOME, $(env | grep -c ^CARGO)\" >&2; exit 1");
        let reason = process.tree().wait().await;
        assert!(reason.ends_with("saying: /nonexistent, 0"), "{reason}");
    }

    #[tokio::test]
    async fn a_frozen_tree_can_be_killed_and_dropping_kills() {
        let (process, _ledger) = spawn("sleep 1000");
        let tree = process.tree();
        tree.signal(Signal::STOP);
        drop(process);
        tree.wait().await;
    }

    #[tokio::test]
    async fn a_browser_that_the_kernel_has_ended_for_its_memory_is_told_as_such_and_its_group_removed() {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroups::beneath(root.path().to_owned()).make().unwrap();
        let dir = group.dir().to_owned();
        fs::write(dir.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        fs::write(dir.join("memory.max"), "67108864\n").unwrap();
        let (process, _ledger) = spawn_in(Some(group), "kill -KILL $$", Path::new("/nonexistent"));
        let_it_be_removed(&dir).await;
        let reason = process.tree().wait().await;
        assert_eq!(reason, "it was killed by the kernel: out of memory, over its limit of 64 MiB");
        assert!(process.tree().was_over_memory() && !process.tree().ended_in_order().await);
    }

    #[tokio::test]
    async fn a_browser_that_went_for_want_of_the_machines_memory_is_told_as_such_and_was_not_over_its_limit()
    {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroups::beneath(root.path().to_owned()).make().unwrap();
        let dir = group.dir().to_owned();
        fs::write(dir.join("memory.events"), "oom 0\noom_kill 1\n").unwrap();
        let (process, _ledger) = spawn_in(Some(group), "kill -KILL $$", Path::new("/nonexistent"));
        let_it_be_removed(&dir).await;
        let reason = process.tree().wait().await;
        assert!(reason.starts_with("it was killed by the kernel: its machine"), "{reason}");
        assert!(!process.tree().was_over_memory());
    }

    #[tokio::test]
    async fn what_the_node_has_ended_was_not_over_its_memory() {
        let root = tempfile::tempdir().unwrap();
        let group = ControlGroups::beneath(root.path().to_owned()).make().unwrap();
        let dir = group.dir().to_owned();
        fs::write(dir.join("memory.events"), "oom_kill 0\n").unwrap();
        let (process, _ledger) = spawn_in(Some(group), "sleep 1000", Path::new("/nonexistent"));
        let tree = process.tree();
        let (reason, ()) = tokio::join!(tree.kill(), let_it_be_removed(&dir));
        assert!(reason.contains("signal: 9") && !tree.was_over_memory(), "{reason}");
    }

    #[test]
    fn membership_is_read_from_a_stat_line() {
        assert_eq!(member_of("9 (a) b) S 3 7 8 0"), Some(7));
        assert_eq!(member_of("9 (a) Z 3 7 7 0"), None);
        assert_eq!(member_of("9 a S 3"), None);
    }

    #[tokio::test]
    async fn noise_is_left_out_and_what_remains_is_in_the_browsers_own_words() {
        let said = "[1129/014432.6:ERROR:dbus/bus.cc:405] Failed to connect to the bus: no such file\n\
                    [1129/014432.6:WARNING:media/vaapi_wrapper.cc:1655] drmGetDevices2() has not found any devices\n\
                    \nDevTools listening on ws://127.0.0.1:1/devtools/browser/1\n\
                    [1129/014519.8:FATAL:content/zygote_host_impl_linux.cc:130] No usable sandbox! [see the docs]\n\
                    #0 0x5581 (/usr/lib/chromium/chromium+0x55)\n\
                    [1129/014519.9:ERROR:dbus/object_proxy.cc:572] Failed to call method";
        assert_eq!(last_words(said.as_bytes()).await, "No usable sandbox! [see the docs]");
    }

    #[tokio::test]
    async fn the_end_of_much_is_kept_and_repetitions_are_not() {
        let said = format!("{}\nsame\nsame\n{}\nlast", "a".repeat(10_000), "b".repeat(300));
        let kept = last_words(said.as_bytes()).await;
        assert_eq!(kept, format!("same; {}; last", "b".repeat(300)));
        assert_eq!(last_words("".as_bytes()).await, "");
    }
}
