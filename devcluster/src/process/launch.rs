//! How a child is started: its command line, its log, its user.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Process;
use crate::{
    error::{DevError, Result},
    identity::{Identity, stat},
    spawner,
    system_user::{self, SystemUser},
};

/// What to start. The command runs through `setpriv --pdeathsig KILL`: the kernel kills it when this process dies.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    through: Vec<OsString>,
    log: PathBuf,
    user: Option<SystemUser>,
}

impl Launch {
    /// `name` is for messages; stdout and stderr are appended to `log`, whose directory is made when it is missing.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: vec![],
            env: vec![],
            through: vec![],
            log: log.into(),
            user: None,
        }
    }

    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// A command that is started in the program's place, is given its command line, and becomes it.
    pub(crate) fn through(mut self, command: &[OsString]) -> Self {
        self.through = command.to_vec();
        self
    }

    pub(crate) fn user(mut self, user: Option<SystemUser>) -> Self {
        self.user = user;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it; the child leads a process group of its own, so that Ctrl-C at the terminal reaches only this process.
    pub fn spawn(&self) -> Result<Process> {
        let child = spawner::spawn(self.command()?).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DevError::MissingProgram { program: "setpriv (util-linux)".into() },
            _ => DevError::Spawn { name: self.name.clone(), source },
        })?;
        let pid = child.id();
        // It is not reaped yet: even if it has ended already, it is there.
        let (_, started) = stat(pid).ok_or_else(|| DevError::Spawn {
            name: self.name.clone(),
            source: io::Error::other("it is not in /proc"),
        })?;
        let identity = Identity { pid, started };
        Ok(Process { name: self.name.clone(), log: self.log.clone(), child, identity, ended: None })
    }

    fn command(&self) -> Result<Command> {
        if self.program.is_absolute() && !self.program.exists() {
            return Err(DevError::MissingProgram { program: self.program.display().to_string() });
        }
        let log = open_log(&self.log)?;
        let errors = log.try_clone().map_err(DevError::file("open", &self.log))?;
        let mut command = system_user::command_as(self.user);
        command.args(&self.through).arg(&self.program).args(&self.args).envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        Ok(command)
    }
}

fn open_log(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(DevError::file("create", parent))?;
    }
    // People's numbers are in it.
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    log.map_err(DevError::file("open", path))
}
