//! The first run of everyone who is not this test's own user on this test's own machine: an ordinary user, the user of the
//! shipped unit under its restrictions, and root of a container in which nobody else exists. Each runs tests of this very
//! program on programs, bridge and library that were copied to where he can read them.
//!
//! Root becomes those users; an ordinary user, who cannot, has user namespaces in which he is root and then himself again.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use roost_devcluster::{bridge, product};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// For building nothing and running a handful of tests on a loaded machine.
const WITHIN: Duration = Duration::from_secs(300);
const ENGINE: &str = "engine::";
const PAIRED: &str =
    "scenarios::daily::a_tenant_is_paired_and_answers_by_its_template_and_both_directions_are_logged";
const NO_NAMESPACES: &str = "scenarios::sandbox::";
/// Where nobody listens: a proxy that is asked for anything on loopback breaks what asks it.
const DEAD_PROXY: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn an_ordinary_user_with_a_proxy_in_his_environment_runs_everything() -> Result<()> {
    let installed = Installed::new()?;
    let mut command = as_ordinary(Command::new("env"), &[]);
    command.env("HOME", installed.of_user("home")?).env("TMPDIR", installed.path("tmp"));
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, DEAD_PROXY);
    }
    installed.run(command, &[ENGINE, PAIRED, NO_NAMESPACES]).await
}

#[tokio::test]
async fn the_shipped_units_are_sound_and_their_restrictions_let_a_node_work() -> Result<()> {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd");
    let installed = Installed::new()?;
    for (unit, program) in [
        ("roost-node.service", "roost-node"),
        ("roost-coordinator.service", "roost-coordinator"),
        ("roost-portal.service", "roost-coordinator"),
    ] {
        let text = fs::read_to_string(units.join(unit))?;
        installed
            .verify(unit, &text.replace(&format!("/usr/bin/{program}"), path_text(&product(program)?)?))
            .await?;
    }
    let restrictions = restrictions(&fs::read_to_string(units.join("roost-node.service"))?)?;
    let mut command = installed.on_a_read_only_root(&restrictions.hidden, false);
    command.env("TMPDIR", installed.path("tmp"));
    if restrictions.no_new_privileges {
        command.args(["setpriv", "--no-new-privs", "--"]);
    }
    if restrictions.no_core_dumps {
        command.args(["prlimit", "--core=0", "--"]);
    }
    installed.run(as_ordinary_within(command), &[PAIRED]).await
}

#[test]
fn a_wrong_setting_ends_a_node_in_a_way_that_its_unit_does_not_restart() -> Result<()> {
    let mut node = std::process::Command::new(product("roost-node")?);
    node.args([
        "run",
        "--id",
        "a",
        "--etcd",
        "http://127.0.0.1:1",
        "--database-url",
        "mysql://roost:sesame@db/roost",
    ]);
    let ended = node
        .args(["--state-dir", "/nowhere", "--object-store", "/nowhere", "--snapshot-key-file", "/nowhere"])
        .args(["--cluster-secret-file", "/nowhere"])
        .output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(said.contains("--database-url") && !said.contains("sesame"), "{said}");
    let code = ended.status.code().context("it exits")?.to_string();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/roost-node.service");
    let unit = fs::read_to_string(unit)?;
    let stops = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    ensure!(stops.is_some_and(|stops| stops.split(' ').any(|stop| stop == code)), "exit code {code}: {said}");
    Ok(())
}

#[tokio::test]
async fn root_of_a_container_without_other_users_an_init_or_a_home_runs_everything() -> Result<()> {
    let installed = Installed::new()?;
    let mut command = installed.on_a_read_only_root(&[], true);
    // In there nobody else exists, and what belongs to somebody else cannot be written.
    fs::create_dir(installed.path("own"))?;
    command.env("TMPDIR", installed.path("own"));
    installed.run(command, &[PAIRED, "engine::a_session_outlives_its_browser_and_its_machine"]).await
}

/// Copies of what is run, in a directory that everyone can read.
struct Installed {
    dir: TempDir,
}

impl Installed {
    fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("roost first run \u{c4}")?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let installed = Self { dir };
        for name in ["roost-node", "roost-coordinator", "roost-simulator"] {
            copy(&product(name)?, &installed.path(name))?;
        }
        copy(&env::current_exe()?, &installed.path("tests"))?;
        copy(&bridge()?, &installed.path("wa-js.js"))?;
        installed.of_user("tmp")?;
        fs::create_dir(installed.path("root"))?;
        Ok(installed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A directory of the ordinary user's own.
    fn of_user(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        if is_root() {
            chown(&path, Some(nobody()?.0), Some(nobody()?.1))?;
        }
        Ok(path)
    }

    /// Runs tests by the command that is given their command line.
    async fn run(&self, mut command: Command, tests: &[&str]) -> Result<()> {
        command
            .arg(self.path("tests"))
            .args(tests)
            .args(["--test-threads", "2"])
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("ROOST_BRIDGE", self.path("wa-js.js"))
            .env("RUST_BACKTRACE", "0")
            .current_dir("/")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(WITHIN, command.output()).await.context("it takes too long")??;
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{}\n{said}\n{complained}", output.status);
        let each_ran =
            tests.iter().all(|test| said.lines().any(|line| line.starts_with(&format!("test {test}"))));
        ensure!(each_ran, "not all of {tests:?} ran:\n{said}\n{complained}");
        Ok(())
    }

    /// What becomes its arguments where nothing can be written but this directory and those that are hidden, which are
    /// empty ones. `alone`: the process is the first one, and root is the only user.
    fn on_a_read_only_root(&self, hidden: &[&str], alone: bool) -> Command {
        const ENTER: &str = r#"
            set -eu
            here=$1; hidden=$2; alone=$3; shift 3; root=$here/root
            mount --make-rprivate /
            mount --rbind / "$root"
            mount -o remount,bind,ro "$root"
            for dir in $hidden; do mount -t tmpfs -o mode=1777 tmpfs "$root$dir"; done
            mkdir -p "$root$here"
            mount --bind "$here" "$root$here"
            if [ "$alone" = true ]; then mount -t proc proc "$root/proc"; fi
            # Not chroot: the kernel makes no user namespace for a process that is in one.
            cd "$root"
            pivot_root . .
            umount -l .
            exec "$@""#;
        let mut command = Command::new("unshare");
        if alone || !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        if alone {
            command.args(["--pid", "--fork", "--kill-child"]);
        }
        command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(self.dir.path());
        command.arg(hidden.join(" ")).arg(alone.to_string()).env_clear();
        command
    }

    async fn verify(&self, name: &str, unit: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, unit)?;
        let verified =
            Command::new("systemd-analyze").arg("verify").arg(&path).kill_on_drop(true).output().await;
        let verified = verified.context("systemd-analyze is missing; run: make deps")?;
        let complaints = String::from_utf8_lossy(&verified.stderr);
        ensure!(verified.status.success() && complaints.is_empty(), "{name}: {complaints}");
        Ok(())
    }
}

/// What the node's unit takes away, as far as it can be taken away without systemd.
struct Restrictions {
    no_new_privileges: bool,
    no_core_dumps: bool,
    /// Directories that are empty.
    hidden: Vec<&'static str>,
}

/// Of a unit of which every line is known here: a new restriction is not to go untried.
fn restrictions(unit: &str) -> Result<Restrictions> {
    let mut settings: BTreeMap<&str, &str> = BTreeMap::new();
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
        let (name, value) = line.split_once('=').with_context(|| format!("no setting: {line}"))?;
        settings.insert(name, value);
    }
    let mut hidden = Vec::new();
    let (mut no_new_privileges, mut no_core_dumps) = (false, false);
    for (name, value) in &settings {
        match (*name, *value) {
            ("NoNewPrivileges", "yes") => no_new_privileges = true,
            ("LimitCORE", "0") => no_core_dumps = true,
            // The root is read-only in any case.
            ("ProtectSystem", "strict") => {}
            ("ProtectHome", "yes") => hidden.extend(["/home", "/root"]),
            ("PrivateTmp", "yes") => hidden.extend(["/tmp", "/var/tmp"]),
            // Not restrictions, or limits that are higher than the usual ones.
            (
                "Description" | "After" | "Wants" | "User" | "StateDirectory" | "StateDirectoryMode"
                | "Environment" | "EnvironmentFile" | "ExecStart",
                _,
            )
            | ("KillMode" | "TimeoutStopSec" | "Restart" | "RestartSec" | "WantedBy", _)
            | ("RestartPreventExitStatus" | "OOMPolicy" | "Delegate", _)
            | ("LimitNOFILE" | "LimitMEMLOCK" | "TasksMax", _) => {}
            _ => bail!("{name}={value} is tried by nobody: teach this test"),
        }
    }
    ensure!(settings.contains_key("ProtectSystem"), "the unit does not protect the system");
    Ok(Restrictions { no_new_privileges, no_core_dumps, hidden })
}

/// What becomes its arguments as an ordinary user.
fn as_ordinary(mut command: Command, args: &[&str]) -> Command {
    command.env_clear().args(args);
    as_ordinary_within(command)
}

/// The same at the end of a command line that becomes its arguments; an ordinary user may be root in there.
fn as_ordinary_within(mut command: Command) -> Command {
    if is_root() {
        command.args(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]);
    } else {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        command.args([
            "unshare",
            "--user",
            &format!("--map-user={uid}"),
            &format!("--map-group={gid}"),
            "--",
        ]);
    }
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The ids of the ordinary user that root becomes.
fn nobody() -> Result<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    let line = passwd.lines().find(|line| line.starts_with("nobody:")).context("there is no user nobody")?;
    let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
    match (ids.next(), ids.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => Ok((uid, gid)),
        _ => bail!("not a line of passwd: {line}"),
    }
}

/// Linked where that is possible: the programs are large.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is text")
}
