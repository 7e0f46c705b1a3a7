//! What a signal does to a command that goes on until it is told to stop.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{SOON, support};

#[tokio::test]
async fn ctrl_c_stops_the_watching_and_says_that_the_operation_goes_on() {
    let addr = support::coordinator().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_roost"));
    command.args(["operation", "watch", "8"]).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("ROOST_ADDR", addr.to_string()).env("ROOST_TOKEN", support::TOKEN);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It is being watched once it has told something.
    let first = tokio::time::timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(first.contains("RUNNING"), "{first}");
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = tokio::time::timeout(SOON, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("operation 8 goes on") && told.contains("roost operation cancel 8"), "{told}");
}
