//! Nodes whose clocks run too fast or too slow, and the proof that they do.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use roost_cluster::clock::boottime;

const SOURCE: &str = include_str!("skew.c");

/// The library that skews.
#[derive(Debug, Clone)]
pub struct Skew {
    library: PathBuf,
}

impl Skew {
    pub fn build(dir: &Path) -> Result<Self> {
        let (source, library) = (dir.join("skew.c"), dir.join("skew.so"));
        fs::write(&source, SOURCE).context("the source of the skewed clock")?;
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().context("the C compiler cc")?;
        ensure!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { library })
    }

    /// The environment in which a program of this name has a clock of this rate.
    pub fn env(&self, program: &str, rate: f64) -> Vec<(OsString, OsString)> {
        vec![
            ("LD_PRELOAD".into(), self.library.clone().into_os_string()),
            ("ROOST_SKEW_PROGRAM".into(), program.into()),
            ("ROOST_SKEW_RATE".into(), rate.to_string().into()),
            ("ROOST_SKEW_BASE_NS".into(), boottime().as_nanos().to_string().into()),
        ]
    }

    /// Whether a process has the library in its memory.
    pub fn is_in(&self, pid: u32) -> bool {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        maps.contains(&self.library.display().to_string())
    }
}
