//! What a person sees on a terminal: an operation is followed with a bar, and what cannot be undone is asked for once more.

use std::{fs::File, os::fd::OwnedFd, process::Stdio};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::{SOON, support};

/// The person's side, and the program's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let program = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    tcsetwinsize(&program, Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    (person, program)
}

#[tokio::test]
async fn an_operation_is_followed_with_a_bar() {
    let addr = support::coordinator().await;
    let (person, program) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(["operation", "watch", "8"]).env_clear().env("TERM", "xterm").kill_on_drop(true);
    command.env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    let stdout = Stdio::from(program.try_clone().unwrap());
    let _child = command.stdin(Stdio::null()).stdout(stdout).stderr(program).spawn().unwrap();
    drop(command);
    let mut screen = tokio::fs::File::from_std(File::from(person));
    let mut seen = String::new();
    let half_done = async {
        let mut buffer = [0; 4096];
        while !seen.contains("[===============>") || !seen.contains("1/2 tenants") {
            let read = screen.read(&mut buffer).await.unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    let is_seen = tokio::time::timeout(SOON, half_done).await;
    assert!(is_seen.is_ok(), "{seen:?}");
}

/// Runs it at a terminal, answers its question, and gives what was asked and the exit code.
async fn answered(args: &[&str], answer: &str) -> (String, Option<i32>) {
    let addr = support::coordinator().await;
    let (person, program) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(args).env_clear().env("TERM", "xterm").kill_on_drop(true);
    command.env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    command.stdin(program.try_clone().unwrap()).stdout(Stdio::null()).stderr(program);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut screen = tokio::fs::File::from_std(File::from(person));
    let mut asked = String::new();
    let question = async {
        let mut buffer = [0; 4096];
        while !asked.contains("[y/N]") {
            let read = screen.read(&mut buffer).await.unwrap();
            asked.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    };
    assert!(tokio::time::timeout(SOON, question).await.is_ok(), "{args:?}: {asked:?}");
    screen.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
    let ended = tokio::time::timeout(SOON, child.wait()).await.unwrap().unwrap();
    (asked, ended.code())
}

#[tokio::test]
async fn what_cannot_be_undone_is_asked_for_once_more() {
    for (args, question) in [
        (&["tenant", "delete", "lodge"][..], "Really delete tenant lodge with its session"),
        (&["session", "logout", "lodge"], "Really unlink the phone of lodge"),
        (&["worker", "force-restart", "lodge", "--wipe-session"], "Really forget the session of lodge"),
        (&["message", "erase", "lodge", "255711111111@c.us"], "Really erase everything that is kept of chat"),
        (&["node", "drain", "node-1", "--detach", "--force"], "Really drain node-1 by force"),
    ] {
        let (asked, code) = answered(args, "").await;
        assert!(asked.contains(question), "{args:?}: {asked:?}");
        assert_eq!(code, Some(1), "{args:?}");
        let (_, code) = answered(args, "y").await;
        assert_eq!(code, Some(0), "{args:?}");
    }
}
