//! The browser's process tree: started, watched, frozen and ended as one.
//!
//! The root leads a process group of its own, in which Chromium keeps everything it starts; so the tree is signalled by
//! one system call, and nothing that forks meanwhile escapes it. `launch` (see [`crate::exec_with_parent_death`]) has the kernel kill the
//! root when this process dies; the others end when they lose it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::stderr_tail;
use crate::run_as::RunAs;
use crate::{BrowserObserver, EngineError};

/// How to start a browser: by `roost-node launch`, so that it dies with this process and is not root.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    /// Its arguments, as far as they do not depend on what is launched.
    args: Vec<String>,
    run_as: RunAs,
}

impl Launcher {
    pub fn new(roost_node: PathBuf, run_as: RunAs) -> Self {
        let args = std::iter::once("launch".to_owned()).chain(run_as.to_args()).collect();
        Self { program: roost_node, args, run_as }
    }

    /// Becomes what follows.
    fn launch(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).args(["--parent", &std::process::id().to_string(), "--"]);
        command
    }

    /// Only tries whether a browser could have its sandbox.
    pub(super) fn trial(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg("--try-sandbox");
        command
    }

    /// Whether a browser may become root by a program with the set-user-id bit.
    pub(super) fn keeps_privileges(&self) -> bool {
        self.run_as == RunAs::Caller && rustix::thread::no_new_privs().is_ok_and(|given_up| !given_up)
    }
}

/// What of the node's environment a browser is given. The rest is none of its business: the database's password is there.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    // The way out of this network. Chromium asks no proxy for loopback addresses.
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Chromium takes commands on descriptor 3 and answers on 4. Placing them there between fork and exec needs unsafe code;
/// a shell does it with two redirections and then is the browser.
const ON_3_AND_4: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// A running browser. Dropping it kills the tree.
pub(super) struct BrowserProcess {
    tree: ProcessTree,
}

/// The ends of the browser's two pipes.
pub(super) struct Pipes {
    pub input: ChildStdin,
    pub output: ChildStdout,
}

impl BrowserProcess {
    /// To be called on a thread that lives as long as the runtime: the kernel ties the browser to the thread.
    pub(super) fn spawn(
        launcher: &Launcher,
        browser: &Path,
        home: &Path,
        flags: &[OsString],
        observer: Arc<dyn BrowserObserver>,
    ) -> Result<(Self, Pipes), EngineError> {
        let failed = |source| EngineError::Spawn { path: browser.display().to_string(), source };
        let mut child = launcher
            .launch()
            .args(["/bin/sh", "-c", ON_3_AND_4])
            .arg(browser)
            .args(flags)
            // This process may stand where the browser's user may not be.
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("HOME", home)
            // In any other locale Chromium loses the letters of paths that are not ASCII, and with them its databases.
            .env("LC_CTYPE", "C.UTF-8")
            // There is no desktop, and looking for its bus takes time.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("DBUS_SYSTEM_BUS_ADDRESS", "disabled:")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let no_pipe = || failed(std::io::Error::other("the browser has no pipe"));
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(no_pipe());
        };
        let pid = child.id().ok_or_else(no_pipe)?;
        let root = Pid::from_raw(pid.cast_signed()).ok_or_else(no_pipe)?;
        observer.started(pid);
        let (gone, is_gone) = watch::channel(None);
        tokio::spawn(watch_over(child, root, errors, gone, observer));
        Ok((Self { tree: ProcessTree { root, gone: is_gone } }, Pipes { input, output }))
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
    /// Why, once the whole tree is gone.
    gone: watch::Receiver<Option<String>>,
}

impl ProcessTree {
    /// Signals every process of the browser; nothing happens when they are gone.
    pub(super) fn signal(&self, signal: Signal) {
        // While the tree is not known to be gone its group exists, so the number cannot have been given to another.
        if self.gone.borrow().is_none() {
            let _no_such_group = kill_process_group(self.root, signal);
        }
    }

    /// Kills the tree and returns when it is gone.
    pub(super) async fn kill(&self) -> String {
        self.signal(Signal::KILL);
        self.wait().await
    }

    /// Returns, when the tree is gone, how it went.
    pub(super) async fn wait(&self) -> String {
        let mut gone = self.gone.clone();
        match gone.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The watching task ends only with the runtime.
            Err(_) => "the node is ending".to_owned(),
        }
    }
}

/// Reaps the root when it ends, ends the rest of its tree, and tells.
async fn watch_over(
    mut child: Child,
    root: Pid,
    errors: tokio::process::ChildStderr,
    gone: watch::Sender<Option<String>>,
    observer: Arc<dyn BrowserObserver>,
) {
    let last_words = tokio::spawn(stderr_tail::collect(errors));
    let ended = child.wait().await;
    end_group(root).await;
    let last_words = last_words.await.unwrap_or_default();
    let reason = match ended {
        Ok(status) if status.success() => "the browser closed".to_owned(),
        Ok(status) if last_words.is_empty() => format!("the browser ended with {status}"),
        Ok(status) => format!("the browser ended with {status}, saying: {last_words}"),
        Err(error) => format!("the browser could not be waited for: {error}"),
    };
    observer.gone(root.as_raw_pid().cast_unsigned());
    gone.send_replace(Some(reason));
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
        .any(|stat| is_living_member(&stat, group.as_raw_pid()))
}

/// `pid (name) state ppid pgrp ...`; the name may hold parentheses, so the last one ends it.
fn is_living_member(stat: &str, group: i32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut fields = rest.split_ascii_whitespace();
    let (state, _parent, of) = (fields.next(), fields.next(), fields.next());
    of.and_then(|of| of.parse().ok()) == Some(group) && !matches!(state, Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

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

    fn spawn(script: &str) -> (BrowserProcess, Arc<Counted>) {
        let observer = Arc::new(Counted::default());
        // `roost-node launch` is a program of its own; what follows `--` is what it becomes.
        let becomes = r#"while [ "$1" != -- ]; do shift; done; shift; exec "$@""#;
        let args = ["-c", becomes, "sh"].map(str::to_owned).to_vec();
        let launcher = Launcher { program: "/bin/sh".into(), args, run_as: RunAs::Caller };
        let (shell, home) = (Path::new("/bin/sh"), Path::new("/nonexistent"));
        let flags = ["-c", script].map(OsString::from);
        let (process, _pipes) =
            BrowserProcess::spawn(&launcher, shell, home, &flags, observer.clone()).unwrap();
        (process, observer)
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

    #[test]
    fn membership_is_read_from_a_stat_line() {
        assert!(is_living_member("9 (a) b) S 3 7 7 0", 7));
        assert!(!is_living_member("9 (a) Z 3 7 7 0", 7));
        assert!(!is_living_member("9 (a) S 3 8 7 0", 7));
    }
}
