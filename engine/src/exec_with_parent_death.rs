//! `roost-node launch`: becomes a browser that dies with the node's child and is not root.
//!
//! The death signal has to be set by the process itself between fork and exec, and hooks there need unsafe code; so this
//! program is the hook. The kernel sends the signal when the *thread* that forked ends, hence the rule for whoever starts
//! one: only from a thread that lives as long as the runtime (a tokio worker thread or the main thread), never within
//! `spawn_blocking` or `block_in_place`.
//!
//! Before all that it makes itself the first to go: when memory is short the kernel is to end a browser, whose session is saved
//! and which comes up again, and not the node, whose end is that of all its browsers; and when processors are, the node's leases
//! are renewed first.
//!
//! The order matters: a change of user clears the death signal, so it is set last, and only then is the parent's pid a
//! proof that the signal will come.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use nix::sched::{CloneFlags, unshare};
use rustix::{
    process::{Gid, Pid, Signal, Uid, getegid, geteuid, getppid, nice, set_parent_process_death_signal},
    thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::{
    control_group,
    run_as::{RunAs, UserIds},
};

/// Why there is no browser.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    #[error("no program was given")]
    NoProgram,
    #[error("the control group {} could not be joined", group.display())]
    ControlGroup { group: PathBuf, source: io::Error },
    #[error("it could not be put behind its node")]
    StandBack(#[source] io::Error),
    #[error(transparent)]
    SwitchUser(#[from] SwitchUserError),
    #[error("the death signal could not be set")]
    DeathSignal(#[source] io::Error),
    /// The death signal came too late to be sent, so this process ends by itself.
    #[error("the process {parent} that asked for it is gone")]
    Orphaned { parent: i32 },
    #[error("{program:?} could not be executed")]
    Exec { program: OsString, source: io::Error },
}

/// Why this process could not become that user.
#[derive(Debug, thiserror::Error)]
pub enum SwitchUserError {
    #[error("root could not become user {uid}, group {gid}")]
    DropRoot { uid: u32, gid: u32, source: io::Error },
    /// Chromium does not run as root, and here nobody but root exists.
    #[error("no user namespace could be made in which the browser is not root")]
    UserNamespace(#[source] io::Error),
    #[error("new privileges could not be given up")]
    NoNewPrivileges(#[source] io::Error),
}

/// Ties this process to its parent: SIGKILL when that dies. Fails when it is dead already.
pub fn die_with(parent: i32) -> Result<(), ExecError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| ExecError::DeathSignal(error.into()))?;
    // Only after the signal is set is the parent's pid a proof that the signal will come.
    if getppid().map(Pid::as_raw_pid) == Some(parent) { Ok(()) } else { Err(ExecError::Orphaned { parent }) }
}

/// Joins the control group, becomes that user, ties this process to `parent` and becomes `command`. Returns only when that fails.
pub fn exec_with_parent_death(
    parent: i32,
    group: Option<&Path>,
    run_as: RunAs,
    command: &[OsString],
) -> ExecError {
    let Some((program, args)) = command.split_first() else { return ExecError::NoProgram };
    let ready = join(group)
        .and_then(|()| stand_back().map_err(ExecError::StandBack))
        .and_then(|()| Ok(switch_user(run_as)?))
        .and_then(|()| die_with(parent));
    if let Err(error) = ready {
        return error;
    }
    // The signal survives exec.
    let source = Command::new(program).args(args).exec();
    ExecError::Exec { program: program.clone(), source }
}

/// As root still, to whom the group may belong.
fn join(group: Option<&Path>) -> Result<(), ExecError> {
    let Some(group) = group else { return Ok(()) };
    control_group::join(group).map_err(|source| ExecError::ControlGroup { group: group.to_owned(), source })
}

/// What a browser has more of than its node in the kernel's choice of whom to end for memory: of a thousand, which is all memory.
/// Chromium gives its renderers as much.
const OOM_SCORE_ADJ: i32 = 300;
/// And how much nicer it is.
const NICE: i32 = 5;

/// Not back to what it was: that takes a privilege which it gives up, or does not have.
fn stand_back() -> io::Result<()> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let inherited: i32 = fs::read_to_string(FILE)?.trim().parse().map_err(io::Error::other)?;
    fs::write(FILE, (inherited + OOM_SCORE_ADJ).min(1000).to_string())?;
    nice(NICE)?;
    Ok(())
}

/// Makes this process, which has one thread, run as that user.
fn switch_user(run_as: RunAs) -> Result<(), SwitchUserError> {
    match run_as {
        RunAs::Caller => return Ok(()),
        RunAs::User(ids) => drop_root(ids)?,
        RunAs::Namespace(ids) => enter_user_namespace(ids).map_err(SwitchUserError::UserNamespace)?,
    }
    // No program that it starts gets root back, by a set-user-id bit for instance.
    set_no_new_privs(true).map_err(|error| SwitchUserError::NoNewPrivileges(error.into()))
}

/// Groups first: without the user's privileges they could not be changed any more.
fn drop_root(UserIds { uid, gid }: UserIds) -> Result<(), SwitchUserError> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let dropped = set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user));
    dropped.map_err(|error| SwitchUserError::DropRoot { uid, gid, source: error.into() })
}

fn enter_user_namespace(UserIds { uid, gid }: UserIds) -> io::Result<()> {
    let (outer_uid, outer_gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // The kernel takes a group map of one who is not privileged outside only without the right to change groups.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{gid} {outer_gid} 1"))?;
    fs::write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))
}

/// Whether a browser of that user could make the namespaces that its sandbox is built of. Changes this process for good.
pub fn try_sandbox(run_as: RunAs) -> Result<(), SwitchUserError> {
    switch_user(run_as)?;
    // All at once, as Chromium needs them: some systems let a user namespace be made but nothing be done in it.
    let namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET;
    unshare(namespaces).map_err(|error| SwitchUserError::UserNamespace(error.into()))
}
