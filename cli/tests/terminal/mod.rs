//! What a person sees on a terminal, where an operation is followed with a bar.

use std::{fs::File, os::fd::OwnedFd, process::Stdio};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{io::AsyncReadExt, process::Command};

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
