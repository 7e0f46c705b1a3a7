//! A program in a pseudo terminal, and the screen that a person would see.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZero,
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use roost_devcluster::{Cluster, product};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Terminal {
    /// The person's side.
    person: File,
    /// The program's, kept so that the terminal outlives it.
    program: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
}

impl Terminal {
    /// The client on the cluster's coordinator. `setsid --ctty` makes it the program of the terminal, so that it hears of a resize.
    pub fn open(cluster: &Cluster, args: &[&str], rows: u16, columns: u16) -> Result<Self> {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&person)?;
        unlockpt(&person)?;
        let name = ptsname(&person, Vec::new())?;
        let program = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        tcsetwinsize(&program, size(rows, columns))?;
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(product("roost")?).args(args).env_clear().env("TERM", "xterm-256color");
        command.env("ROOST_ADDR", cluster.admin().address()).kill_on_drop(true);
        command.arg("--token-file").arg(cluster.token_file());
        let side = || program.try_clone().map(Stdio::from);
        let child = command.stdin(side()?).stdout(side()?).stderr(side()?).spawn().context("setsid")?;
        let (tall, wide) = cells(rows, columns)?;
        let screen = Arc::new(Mutex::new(vt100::Parser::new(tall, wide, 0)));
        let person = File::from(person);
        let (mut reading, seen) = (person.try_clone()?, screen.clone());
        // Reading blocks; it ends when no program has the other side.
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = reading.read(&mut buffer) {
                seen.lock().process(&buffer[..read]);
            }
        });
        Ok(Self { person, program, screen, child })
    }

    pub fn screen(&self) -> String {
        self.screen.lock().screen().contents()
    }

    /// Waits until the screen is so.
    pub async fn shows(&self, is_so: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&self.screen()) {
            if Instant::now() > deadline {
                bail!("the screen is:\n{}", self.screen());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub async fn press(&mut self, keys: &str) -> Result<()> {
        self.person.write_all(keys.as_bytes())?;
        // An escape that is followed by something at once would be another key.
        if keys == "\u{1b}" {
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    pub async fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let (tall, wide) = cells(rows, columns)?;
        self.screen.lock().screen_mut().set_size(tall, wide);
        Ok(tcsetwinsize(&self.program, size(rows, columns))?)
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("it has ended")?;
        Ok(kill_process(pid, signal)?)
    }

    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(timeout(PATIENCE, self.child.wait()).await.context("it goes on")??)
    }

    /// Waits until lines are edited and echoed again, and what was on the screen before is there: what the program has written last
    /// may be read after its end.
    pub async fn is_given_back(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let modes = tcgetattr(&self.program)?.local_modes;
            let is_cooked = modes.contains(LocalModes::ICANON | LocalModes::ECHO);
            let (other_screen, no_cursor) = {
                let parser = self.screen.lock();
                (parser.screen().alternate_screen(), parser.screen().hide_cursor())
            };
            if is_cooked && !other_screen && !no_cursor {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("edited: {is_cooked}, the program's screen: {other_screen}, no cursor: {no_cursor}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn cells(rows: u16, columns: u16) -> Result<(NonZero<u16>, NonZero<u16>)> {
    NonZero::new(rows).zip(NonZero::new(columns)).context("a terminal has a size")
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
