//! A browser's control group, as the kernel shows it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const HIERARCHY: &str = "/sys/fs/cgroup";

#[derive(Debug, Clone)]
pub struct Group {
    dir: PathBuf,
}

impl Group {
    pub fn of(pid: i32) -> Result<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let path = groups.trim().strip_prefix("0::/").with_context(|| format!("{pid} is in {groups:?}"))?;
        Ok(Self { dir: Path::new(HIERARCHY).join(path) })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn exists(&self) -> bool {
        self.dir.exists()
    }

    pub fn text(&self, file: &str) -> Result<String> {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(text.trim().to_owned())
    }

    pub fn number(&self, file: &str) -> Result<u64> {
        let text = self.text(file)?;
        text.parse().with_context(|| format!("{file} is {text:?}"))
    }

    /// Of a file with a name and a number on each line.
    pub fn counter(&self, file: &str, name: &str) -> Result<u64> {
        let text = self.text(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).with_context(|| format!("{file} has no {name}: {text:?}"))
    }

    pub fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }
}
