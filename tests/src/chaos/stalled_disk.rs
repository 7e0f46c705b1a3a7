//! Members of etcd whose disks can be made to stall.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("stall.c");

/// Builds the program that a member is started through.
pub fn build(dir: &Path) -> Result<PathBuf> {
    let (source, program) = (dir.join("stall.c"), dir.join("stall"));
    fs::write(&source, SOURCE).context("the source of the stalling disk")?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-o"]).arg(&program).arg(&source);
    let output = compiler.output().context("the C compiler cc")?;
    ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}
