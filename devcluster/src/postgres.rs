//! A private PostgreSQL.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use tokio::process::Command;

use super::{
    certificates::{Certificates, ServerFiles},
    error::{DevError, Result},
    files::random_hex,
    identity::{Identity, descendants, is_zombie},
    ports::free_port,
    process::{Launch, Process, wait_until},
    system_user::{self, SystemUser},
};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(10);
const BACKENDS_GONE_WITHIN: Duration = Duration::from_secs(10);
/// Another process may bind a port between its choice and the server's bind.
const PORT_TRIES: u32 = 3;
const VERSIONS: &str = "/usr/lib/postgresql";

/// Data in `<dir>/postgres`, log in `<dir>/logs/postgres.log`. fsync stays on: what a test or a demonstration shows
/// about a crash is true of production. It listens on loopback only, has no unix socket, and asks for a password that
/// was made with the data, since other users of the machine reach loopback too. Dropping it kills it.
#[derive(Debug)]
pub struct Postgres {
    launch: Launch,
    process: Process,
    data: PathBuf,
    password: String,
    port: u16,
    /// What its URL says of TLS.
    settings: String,
    url: String,
}

impl Postgres {
    /// Starts it on a free port with what the data directory holds from before, and waits until it serves.
    pub async fn start(dir: &Path) -> Result<Self> {
        Self::start_on(dir, None, None).await
    }

    /// The same on a given port, for clients with certificates.
    pub(super) async fn start_on(
        dir: &Path,
        port: Option<u16>,
        certificates: Option<&Certificates>,
    ) -> Result<Self> {
        let bin = newest_version(Path::new(VERSIONS))?;
        let user = SystemUser::for_postgres()?;
        let home = prepare(&dir.join("postgres"), user)?;
        let data = home.join("data");
        if !data.join("PG_VERSION").exists() {
            initdb(&bin, &home, user).await?;
        }
        let password = read(&home.join("password"))?;
        let tls =
            certificates.map(|certificates| place_certificates(&home, user, certificates)).transpose()?;
        let settings = certificates.map(Certificates::database_settings).unwrap_or_default();
        let mut tries = if port.is_some() { 1 } else { PORT_TRIES };
        loop {
            let port = port.map_or_else(free_port, Ok)?;
            let launch = launch(&bin, dir, &data, port).args(tls.iter().flatten()).user(user);
            tries -= 1;
            match run(&launch, &data).await {
                Ok(process) => {
                    let url = url(&password, port, &settings);
                    return Ok(Self { launch, process, data, password, port, settings, url });
                }
                Err(DevError::Exited { .. }) if tries > 0 => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// `postgres://USER:PASSWORD@127.0.0.1:PORT/DATABASE`
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same by another port that leads to it.
    pub(super) fn url_through(&self, port: u16) -> String {
        url(&self.password, port, &self.settings)
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn identity(&self) -> Identity {
        self.process.identity()
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Fast shutdown: sessions are ended, not waited for (SIGINT; SIGKILL after 10 s).
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(Signal::INT, STOP_GRACE).await.map(drop)
    }

    /// SIGKILL of the postmaster, as a crash of the machine would be; returns when its backends have noticed.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await?;
        backends_gone(&self.data).await
    }

    /// Signals the postmaster only.
    pub fn signal(&mut self, signal: Signal) -> Result<bool> {
        self.process.signal(signal)
    }

    /// Signals all of it: the postmaster and its backends. SIGSTOP and SIGCONT freeze and thaw it.
    pub fn signal_all(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)?;
        for backend in descendants(self.pid()) {
            let pid = backend.identity.pid;
            let failed = |source| DevError::Signal { name: "postgres".into(), pid, source };
            backend.identity.signal(signal).map_err(failed)?;
        }
        Ok(())
    }

    /// Starts it again on the same port with its data, after stopping it if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.process = run(&self.launch, &self.data).await?;
        Ok(())
    }
}

fn url(password: &str, port: u16, settings: &str) -> String {
    format!("postgres://roost:{password}@127.0.0.1:{port}/postgres{settings}")
}

/// The server's user must own its key. What is to be said to the server of all this: nobody without a certificate is let in.
fn place_certificates(
    home: &Path,
    user: Option<SystemUser>,
    certificates: &Certificates,
) -> Result<Vec<OsString>> {
    let ServerFiles { own, client_ca } = certificates.postgres();
    let mut args = Vec::new();
    let mut place = |setting: &str, name: &str, text: &str| -> Result<()> {
        let path = home.join(name);
        super::files::write_private(&path, text)?;
        user.map_or(Ok(()), |user| user.own(&path))?;
        args.extend([OsString::from("-c"), format!("{setting}={}", path.display()).into()]);
        Ok(())
    };
    place("ssl_cert_file", "server.crt", &read(&own.cert)?)?;
    place("ssl_key_file", "server.key", &read(&own.key)?)?;
    place("ssl_ca_file", "ca.crt", &read(&client_ca)?)?;
    place("hba_file", "pg_hba.conf", "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n")?;
    args.extend(["-c".into(), "ssl=on".into()]);
    Ok(args)
}

fn newest_version(versions: &Path) -> Result<PathBuf> {
    let installed = fs::read_dir(versions).into_iter().flatten().flatten();
    let numbered = installed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let bin = |version: u32| versions.join(version.to_string()).join("bin");
    let newest = numbered.filter(|version| bin(*version).join("postgres").exists()).max();
    newest.map(bin).ok_or_else(|| DevError::MissingProgram { program: "PostgreSQL".into() })
}

/// The directory that holds the data and the password, owned by the server's user.
fn prepare(home: &Path, user: Option<SystemUser>) -> Result<PathBuf> {
    let home = match user {
        None => home.to_owned(),
        Some(user) => user.place(home)?,
    };
    fs::create_dir_all(&home).map_err(DevError::file("create", &home))?;
    user.map_or(Ok(()), |user| user.own(&home))?;
    // Absolute, for it is compared with the working directories of processes.
    home.canonicalize().map_err(DevError::file("resolve", &home))
}

/// Makes the data directory aside and renames it, so that a crash on the way leaves nothing half made.
async fn initdb(bin: &Path, home: &Path, user: Option<SystemUser>) -> Result<()> {
    let (unfinished, password) = (home.join("data.new"), home.join("password"));
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DevError::file("remove", &unfinished)(error));
        }
        _ => {}
    }
    write_password(&password, user)?;
    let mut command = Command::from(system_user::command_as(user));
    command.arg(bin.join("initdb")).arg("-D").arg(&unfinished).arg("--pwfile").arg(&password);
    // --no-sync: a data directory that a power cut spoils before its first start is made again.
    command.args(["-U", "roost", "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output =
        command.output().await.map_err(|source| DevError::Spawn { name: "initdb".into(), source })?;
    if !output.status.success() {
        let output_text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(DevError::Initdb { status: output.status, output: output_text });
    }
    fs::rename(&unfinished, home.join("data")).map_err(DevError::file("rename", &unfinished))
}

fn write_password(path: &Path, user: Option<SystemUser>) -> Result<()> {
    super::files::write_private(path, &random_hex::<16>()?)?;
    user.map_or(Ok(()), |user| user.own(path))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(DevError::file("read", path))
}

fn launch(bin: &Path, dir: &Path, data: &Path, port: u16) -> Launch {
    let settings = [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        // With mmap nothing is left in /dev/shm by a kill.
        "dynamic_shared_memory_type=mmap",
        "log_min_messages=warning",
        "log_checkpoints=off",
        // A checkpoint in the middle of a measurement is noise.
        "max_wal_size=2GB",
    ];
    Launch::new("postgres", bin.join("postgres"), dir.join("logs/postgres.log"))
        .args(["-D".into(), data.as_os_str().to_owned()])
        .args(["-p".into(), port.to_string()])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
}

async fn run(launch: &Launch, data: &Path) -> Result<Process> {
    backends_gone(data).await?;
    let mut process = launch.spawn()?;
    let pid = process.pid();
    process.ready_when(READY_WITHIN, || async { ready(data, pid) }).await?;
    Ok(process)
}

/// What `pg_ctl` looks at: line 1 of postmaster.pid is the pid, line 8 the state.
fn ready(data: &Path, pid: u32) -> Result<(), String> {
    let record = fs::read_to_string(data.join("postmaster.pid"));
    let record = record.map_err(|error| format!("postmaster.pid cannot be read: {error}"))?;
    let mut lines = record.lines();
    match (lines.next(), lines.nth(6).map(str::trim_end)) {
        (Some(own), Some("ready")) if own == pid.to_string() => Ok(()),
        (own, state) => {
            Err(format!("postmaster.pid says {state:?} of the process {own:?}, which is to be {pid}"))
        }
    }
}

/// A new postmaster refuses to start while a backend of a killed one holds the shared memory, or while the killed one
/// itself awaits its reaping (by init, when this process did not start it). Every process of a server has the data
/// directory as its working directory.
async fn backends_gone(data: &Path) -> Result<()> {
    let gone = || async {
        !recorded_pid(data).is_some_and(is_zombie)
            && !working_directories().any(|directory| directory == data)
    };
    wait_until("the processes of the killed PostgreSQL are gone", BACKENDS_GONE_WITHIN, gone).await
}

fn recorded_pid(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

fn working_directories() -> impl Iterator<Item = PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn postgres_keeps_its_url_and_data_through_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let mut postgres = Postgres::start(dir.path()).await.unwrap();
        let (url, pid) = (postgres.url().to_owned(), postgres.pid());
        postgres.kill().await.unwrap();
        postgres.restart().await.unwrap();
        assert_eq!(postgres.url(), url);
        assert_ne!(postgres.pid(), pid);
        postgres.stop().await.unwrap();
        assert!(!postgres.is_running());
    }

    #[test]
    fn the_newest_version_is_chosen_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "common"] {
            fs::create_dir_all(dir.path().join(version).join("bin")).unwrap();
        }
        fs::write(dir.path().join("9/bin/postgres"), "").unwrap();
        fs::write(dir.path().join("15/bin/postgres"), "").unwrap();
        assert!(newest_version(dir.path()).unwrap().ends_with("15/bin"));
    }
}
