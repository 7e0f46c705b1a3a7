//! What an operator can set, as flags or as variables (`ROOST_*` where other programs have the setting too, else
//! `ROOST_NODE_*`), and the check of it. The guard checks before it
//! starts anything, so that a wrong setting is one clear message and not a restart loop.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use roost_cluster::{
    records::MAX_NODE_CAPACITY,
    registry::{EtcdAccess, EtcdAccessArgs, EtcdAccessError},
    timing::{InvalidTtl, Timing},
};
use roost_engine::{
    run_as::{RunAs, UnknownUser, impassable},
    web::{Domain, Identity, NotADomain, NotAPageUrl, PageUrl},
};
use roost_model::{
    BrowserSettingError,
    browser::{check_languages, check_time_zone, check_user_agent},
    ids::{ClusterName, NodeId},
};
use secrecy::{ExposeSecret, SecretString};

use crate::byte_size::ByteSize;
use crate::resources::{Cores, GroupsChoice, Limit, Limits, MachineMemory, MemoryArgs, MemoryArgsError};
use crate::rpc::{RpcAccess, RpcArgs, RpcArgsError};
use crate::session::{
    Profiles, SessionError, SnapshotKeys, SnapshotStore,
    s3::{S3Args, S3Location},
};
use crate::worker::WorkerTimingArgs;
use crate::worker_log::WorkerLogArgs;

/// The settings of a node as they were given.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The node's name, unique in its cluster: 1 to 63 of a-z, 0-9 and '-'
    #[arg(long, env = "ROOST_NODE_ID")]
    pub id: NodeId,
    /// The cluster's name; several may share one etcd
    #[arg(long, env = "ROOST_CLUSTER", default_value = "roost")]
    pub cluster: ClusterName,
    /// etcd's endpoints
    #[arg(long, env = "ROOST_ETCD", value_delimiter = ',', required = true)]
    pub etcd: Vec<String>,
    #[command(flatten)]
    pub etcd_access: EtcdAccessArgs,
    /// postgres://user:password@host:port/database, and after a '?' sslmode, sslrootcert, sslcert and sslkey
    #[arg(long, env = "ROOST_DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// A file of its password, its owner's alone to read, in the place of one in the URL; read again when it changes
    #[arg(long, env = "ROOST_DATABASE_PASSWORD_FILE")]
    pub database_password_file: Option<PathBuf>,
    /// Connections to Postgres, beside the one that listens while this node is the controller
    #[arg(long, env = "ROOST_NODE_DATABASE_CONNECTIONS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: u32,
    /// Profiles of the browsers; must survive a restart
    #[arg(long, env = "ROOST_NODE_STATE_DIR")]
    pub state_dir: PathBuf,
    /// Where snapshots go: a directory that all nodes share, a file:// URL of one, or s3://BUCKET/PREFIX
    #[arg(long, env = "ROOST_NODE_OBJECT_STORE")]
    pub object_store: String,
    #[command(flatten)]
    pub s3: S3Args,
    /// A file of keys of 64 hexadecimal digits, one a line, the same on all nodes: the first encrypts the snapshots, and those of
    /// before are opened with the others
    #[arg(long, env = "ROOST_NODE_SNAPSHOT_KEY_FILE")]
    pub snapshot_key_file: PathBuf,
    /// The address of WhatsApp Web
    #[arg(long, env = "ROOST_NODE_PAGE_URL", default_value = "https://web.whatsapp.com")]
    pub page_url: String,
    /// Names of hosts that the page may reach, with all beneath them, beside its own host and port (and whatsapp.com and
    /// whatsapp.net, if it is WhatsApp's); browsers reach nothing else
    #[arg(long, env = "ROOST_NODE_PAGE_HOSTS", value_delimiter = ',')]
    pub page_hosts: Vec<String>,
    /// What browsers say that they are, to the page, its workers and the site; their own user agent, but not that they are
    /// headless, unless it is given
    #[arg(long, env = "ROOST_NODE_USER_AGENT", value_parser = a_user_agent)]
    pub user_agent: Option<String>,
    /// The languages that browsers ask for, the first of them their own: such as sw-TZ,sw,en
    #[arg(long, env = "ROOST_NODE_LANG", value_parser = languages)]
    pub lang: Option<String>,
    /// The browsers' time zone, such as Africa/Dar_es_Salaam; the machine's unless it is given
    #[arg(long, env = "ROOST_NODE_TIME_ZONE", value_parser = a_time_zone)]
    pub time_zone: Option<String>,
    #[command(flatten)]
    pub worker_timing: WorkerTimingArgs,
    /// The browser: chromium-headless-shell, or chromium
    #[arg(long, env = "ROOST_BROWSER", default_value = "/usr/lib/chromium/chromium-headless-shell")]
    pub browser: PathBuf,
    /// The user, by name or number, that browsers run as where the node is root; elsewhere they run as the node's own
    #[arg(long, env = "ROOST_NODE_BROWSER_USER", default_value = "nobody")]
    pub browser_user: String,
    /// Run browsers without their sandbox where the kernel does not permit one: a page that breaks out of its renderer
    /// can then do all that the browsers' user can
    #[arg(long, env = "ROOST_NODE_ALLOW_NO_SANDBOX")]
    pub allow_no_sandbox: bool,
    /// What the browser of a tenant that sets nothing else may use of memory before it is restarted, such as 1GiB; 'none' is no limit
    #[arg(long, env = "ROOST_NODE_TENANT_MEMORY_LIMIT", default_value = "512MiB", value_name = "SIZE")]
    pub tenant_memory_limit: Limit<ByteSize>,
    /// The cores that it may use for minutes on end before it is restarted, such as 0.5; 'none' is no limit
    #[arg(long, env = "ROOST_NODE_TENANT_CPU_LIMIT", default_value = "none", value_name = "CORES")]
    pub tenant_cpu_limit: Limit<Cores>,
    /// The processes that it may have before it is killed and started anew; 'none' is no limit
    #[arg(long, env = "ROOST_NODE_TENANT_PROCESS_LIMIT", default_value = "64", value_name = "N")]
    pub tenant_process_limit: Limit<NonZeroU32>,
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Have the kernel, too, hold each browser to its tenant's limits, in a control group (v2) of its own: 'auto' where the node's own
    /// group is given to it to divide (systemd: Delegate=yes)
    #[arg(long, env = "ROOST_NODE_CONTROL_GROUPS", value_enum, default_value_t = GroupsChoice::Auto)]
    pub control_groups: GroupsChoice,
    /// wppconnect-wa.js of the npm package @wppconnect/wa-js
    #[arg(long, env = "ROOST_BRIDGE")]
    pub bridge: Option<PathBuf>,
    /// How long the node may be silent before its tenants go elsewhere; the same in the whole cluster
    #[arg(long, env = "ROOST_LEASE_TTL", default_value = "5s", value_parser = humantime::parse_duration)]
    pub lease_ttl: Duration,
    /// When this node is the controller: a worker that has not been seen for this long is marked ERROR
    #[arg(long, env = "ROOST_STALE_AFTER", default_value = "2m", value_parser = humantime::parse_duration)]
    pub stale_after: Duration,
    /// How much of etcd's history the leader keeps; 0s where etcd is shared and somebody else compacts it
    #[arg(long, env = "ROOST_ETCD_HISTORY", default_value = "1h", value_parser = humantime::parse_duration)]
    pub etcd_history: Duration,
    /// Take an object store that has another marker than the database names, or none; leave it out at the next start
    #[arg(long, env = "ROOST_NODE_ADOPT_OBJECT_STORE")]
    pub adopt_object_store: bool,
    /// How long a profile is kept whose tenant the database neither knows nor has deleted; 0s removes those there are
    #[arg(long, env = "ROOST_NODE_ORPHAN_RETENTION", default_value = "30d", value_parser = humantime::parse_duration)]
    pub orphan_retention: Duration,
    /// How long snapshots in the object store are kept whose tenant the database neither knows nor has deleted
    #[arg(long, env = "ROOST_NODE_SNAPSHOT_ORPHAN_RETENTION", default_value = "30d", value_parser = humantime::parse_duration)]
    pub snapshot_orphan_retention: Duration,
    /// How long a profile is kept whose tenant has moved to another node and was saved there; 0s removes it at once
    #[arg(long, env = "ROOST_NODE_MOVED_PROFILE_RETENTION", default_value = "24h", value_parser = humantime::parse_duration)]
    pub moved_profile_retention: Duration,
    /// The most tenants that it takes
    #[arg(long, env = "ROOST_NODE_CAPACITY", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub capacity: u32,
    /// Its share of the tenants relative to the other nodes
    #[arg(long, env = "ROOST_NODE_WEIGHT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub weight: u32,
    /// What is lost together: a rack, a site
    #[arg(long, env = "ROOST_NODE_ZONE", default_value = "default")]
    pub zone: String,
    /// Where health and status are served
    #[arg(long, env = "ROOST_NODE_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub rpc: RpcArgs,
    #[command(flatten)]
    pub worker_log: WorkerLogArgs,
    /// Written once the node is registered: {"pid", "addr"}
    #[arg(long, env = "ROOST_NODE_ANNOUNCE")]
    pub announce: Option<PathBuf>,
    /// Browsers that launch at the same time [default: one more than there are processors]
    #[arg(long, env = "ROOST_NODE_MAX_LAUNCHES", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub max_launches: Option<u16>,
    /// Browsers that run for nobody yet, so that a tenant that comes up here waits for none to start; 0 keeps none
    #[arg(long, env = "ROOST_NODE_SPARE_BROWSERS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(..=16))]
    pub spare_browsers: u16,
    /// What runs the tenants: `null` has no browser and is for scale tests, `null-away` the same with WhatsApp away, `null-slow` the same
    /// with starts of 0.2 to 2 s
    #[arg(long, env = "ROOST_NODE_ENGINE", value_enum, default_value_t = EngineKind::Web)]
    pub engine: EngineKind,
    /// Restarts of the working process within the window before the node gives up
    #[arg(long, env = "ROOST_NODE_MAX_RESTARTS", default_value_t = 10)]
    pub max_restarts: u32,
    #[arg(long, env = "ROOST_NODE_RESTART_WINDOW", default_value = "5m", value_parser = humantime::parse_duration)]
    pub restart_window: Duration,
}

/// Which engine runs the tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    Web,
    Null,
    NullAway,
    NullSlow,
}

/// The settings, checked.
#[derive(Clone)]
pub struct NodeConfig {
    pub args: NodeArgs,
    pub timing: Timing,
    pub engine: EngineConfig,
    pub etcd_access: EtcdAccess,
    /// Which coordinators this node answers.
    pub rpc_access: RpcAccess,
    /// Where snapshots go.
    pub snapshots: SnapshotStore,
    pub profiles: Profiles,
    /// None of an engine without browsers, or where it is not known.
    pub memory: Option<MachineMemory>,
}

impl NodeConfig {
    /// What holds for a browser whose tenant sets nothing else.
    pub fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.args.tenant_memory_limit.0.map(ByteSize::bytes),
            cpu_millicores: self.args.tenant_cpu_limit.0.map(|cores| cores.millicores),
            processes: self.args.tenant_process_limit.0.map(NonZeroU32::get),
        }
    }
}

/// The engine, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineConfig {
    Web {
        browser: PathBuf,
        wa_js: PathBuf,
        run_as: RunAs,
        page_url: PageUrl,
        page_hosts: Vec<Domain>,
        identity: Box<Identity>,
    },
    Null(NullKind),
}

/// What pages without a browser do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullKind {
    /// They are connected at once.
    Prompt,
    /// They find no WhatsApp.
    Away,
    /// They take their time to start.
    Slow,
}

/// Why a node cannot run as it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("--lease-ttl is not usable")]
    LeaseTtl(#[from] InvalidTtl),
    #[error("--etcd {given:?} is not an address like http://127.0.0.1:2379")]
    Etcd { given: String },
    #[error(transparent)]
    EtcdAccess(#[from] EtcdAccessError),
    /// It may hold a password, and therefore nothing of it is shown.
    #[error("--database-url takes the form postgres://user:password@host:port/database")]
    DatabaseUrl,
    #[error("--page-url is not usable")]
    PageUrl(#[from] NotAPageUrl),
    #[error("--page-hosts is not usable")]
    PageHosts(#[from] NotADomain),
    #[error("--object-store is not usable")]
    ObjectStore(#[source] SessionError),
    #[error("--snapshot-key-file is not usable")]
    SnapshotKey(#[source] SessionError),
    #[error(
        "--capacity {given} is more than {MAX_NODE_CAPACITY}, whose assignments fit into one record in etcd: start a second \
         node instead"
    )]
    Capacity { given: u32 },
    #[error(transparent)]
    Rpc(#[from] RpcArgsError),
    #[error(transparent)]
    Memory(#[from] MemoryArgsError),
    #[error("--zone must not be empty")]
    Zone,
    #[error("--bridge is required with --engine web")]
    NoBridge,
    #[error("{flag} {path} is not a file", path = path.display())]
    NotAFile { flag: &'static str, path: PathBuf },
    #[error("--state-dir is not usable")]
    StateDir(#[source] SessionError),
    #[error("--browser-user is not usable")]
    BrowserUser(#[from] UnknownUser),
    #[error(
        "--browser {browser} is closed to the browsers' user {user} at {at}: open it to others (chmod o+x), or run \
         browsers as another user (--browser-user)",
        browser = browser.display(),
        at = at.display()
    )]
    ClosedBrowser { browser: PathBuf, user: String, at: PathBuf },
}

impl NodeArgs {
    /// Checks what clap cannot, and makes the directories.
    pub fn check(self) -> Result<NodeConfig, ConfigError> {
        let timing = Timing::from_ttl(self.lease_ttl)?;
        for given in &self.etcd {
            if !is_http(given) {
                return Err(ConfigError::Etcd { given: given.clone() });
            }
        }
        let etcd_access = self.etcd_access.open(&self.etcd)?;
        let url = self.database_url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ConfigError::DatabaseUrl);
        }
        let page_url: PageUrl = self.page_url.parse()?;
        let page_hosts: Vec<Domain> =
            self.page_hosts.iter().map(|host| host.parse()).collect::<Result<_, _>>()?;
        if self.capacity > MAX_NODE_CAPACITY {
            return Err(ConfigError::Capacity { given: self.capacity });
        }
        if self.zone.is_empty() {
            return Err(ConfigError::Zone);
        }
        let rpc_access = self.rpc.check(&self.id)?;
        let engine = self.engine_config(page_url, page_hosts)?;
        let key = SnapshotKeys::from_file(&self.snapshot_key_file).map_err(ConfigError::SnapshotKey)?;
        let snapshots = self.snapshot_store(key).map_err(ConfigError::ObjectStore)?;
        let run_as = match engine {
            EngineConfig::Web { run_as, .. } => run_as,
            EngineConfig::Null(_) => RunAs::Caller,
        };
        let profiles = Profiles::in_state_dir(&self.state_dir, run_as).map_err(ConfigError::StateDir)?;
        let memory =
            self.memory.check(self.spare_browsers)?.filter(|_| matches!(engine, EngineConfig::Web { .. }));
        Ok(NodeConfig { args: self, timing, engine, etcd_access, rpc_access, snapshots, profiles, memory })
    }
}

impl NodeArgs {
    fn snapshot_store(&self, key: SnapshotKeys) -> Result<SnapshotStore, SessionError> {
        if !S3Location::is_meant_by(&self.object_store) {
            return SnapshotStore::open(&self.object_store, key);
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        SnapshotStore::in_bucket(&S3Location::check(&self.object_store, &self.s3, variable)?, key)
    }

    fn engine_config(&self, page_url: PageUrl, page_hosts: Vec<Domain>) -> Result<EngineConfig, ConfigError> {
        match self.engine {
            EngineKind::Null => Ok(EngineConfig::Null(NullKind::Prompt)),
            EngineKind::NullAway => Ok(EngineConfig::Null(NullKind::Away)),
            EngineKind::NullSlow => Ok(EngineConfig::Null(NullKind::Slow)),
            EngineKind::Web => {
                let wa_js = self.bridge.clone().ok_or(ConfigError::NoBridge)?;
                let browser = a_file("--browser", &self.browser)?;
                let run_as = RunAs::for_browsers(&self.browser_user)?;
                if let Some(user) = run_as.owner()
                    && let Some(at) = impassable(&browser, user)
                {
                    let (at, user) = (at.to_owned(), user.to_string());
                    return Err(ConfigError::ClosedBrowser { browser, user, at });
                }
                let wa_js = a_file("--bridge", &wa_js)?;
                let identity = Box::new(Identity {
                    user_agent: self.user_agent.clone(),
                    languages: self.lang.clone(),
                    time_zone: self.time_zone.clone(),
                });
                Ok(EngineConfig::Web { browser, wa_js, run_as, page_url, page_hosts, identity })
            }
        }
    }
}

fn a_user_agent(given: &str) -> Result<String, BrowserSettingError> {
    check_user_agent(given).map(|()| given.to_owned())
}

/// With commas between them.
fn languages(given: &str) -> Result<String, BrowserSettingError> {
    let tags: Vec<_> = given.split(',').map(str::to_owned).collect();
    check_languages(&tags).map(|()| given.to_owned())
}

fn a_time_zone(given: &str) -> Result<String, BrowserSettingError> {
    check_time_zone(given).map(|()| given.to_owned())
}

/// Absolute, for a browser is started in another directory.
fn a_file(flag: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    let not_a_file = || ConfigError::NotAFile { flag, path: path.to_owned() };
    if path.is_file() { std::path::absolute(path).map_err(|_| not_a_file()) } else { Err(not_a_file()) }
}

fn is_http(given: &str) -> bool {
    let rest = given.strip_prefix("http://").or_else(|| given.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fs::Permissions, os::unix::fs::PermissionsExt};

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        node: NodeArgs,
    }

    fn check(dir: &std::path::Path, changed: &[(&'static str, &str)]) -> Result<NodeConfig, ConfigError> {
        let key = dir.join("key");
        if !key.exists() {
            std::fs::write(&key, "ab".repeat(32)).unwrap();
            std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        }
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        let mut flags = vec![
            ("--id", "a".to_owned()),
            ("--etcd", "http://127.0.0.1:1".to_owned()),
            ("--database-url", "postgres://roost@127.0.0.1:1/roost".to_owned()),
            ("--state-dir", text(dir.join("state"))),
            ("--object-store", text(dir.join("objects"))),
            ("--cluster-secret-file", text(key.clone())),
            ("--snapshot-key-file", text(key)),
            ("--engine", "null".to_owned()),
        ];
        flags.retain(|(flag, _)| changed.iter().all(|(other, _)| other != flag));
        flags.extend(changed.iter().map(|&(flag, value)| (flag, value.to_owned())));
        let argv = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        Cli::parse_from(std::iter::once("roost-node".to_owned()).chain(argv)).node.check()
    }

    #[test]
    fn sound_settings_are_taken_and_directories_made() {
        let dir = tempfile::tempdir().unwrap();
        let objects = format!("file://{}/objects", dir.path().display());
        let config = check(dir.path(), &[("--object-store", &objects)]).unwrap();
        for made in ["state/profiles", "objects"] {
            let mode = std::fs::metadata(dir.path().join(made)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700, "{made}");
        }
        drop(config);
    }

    #[test]
    fn each_wrong_setting_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (flag, value) in [
            ("--lease-ttl", "1s"),
            ("--etcd", "127.0.0.1:2379"),
            ("--database-url", "mysql://roost:sesame@db/roost"),
            ("--page-url", "web.whatsapp.com"),
            ("--page-hosts", "a.example,*"),
            ("--object-store", "gs://bucket"),
            ("--object-store", "s3://B"),
            ("--snapshot-key-file", "/nowhere"),
            ("--cluster-secret-file", "/nowhere"),
            ("--rpc-listen", "0.0.0.0:0"),
            ("--zone", ""),
            ("--capacity", "6001"),
            ("--memory-reserve", "1048576GiB"),
        ] {
            let error = check(dir.path(), &[(flag, value)]).err().unwrap();
            assert!(error.to_string().contains(flag), "{flag} {value}: {error}");
            assert!(!error.to_string().contains("sesame"), "a password is shown: {error}");
        }
        let no_ca = [("--etcd", "https://127.0.0.1:1"), ("--etcd-ca-file", "/nowhere")];
        assert!(check(dir.path(), &no_ca).err().unwrap().to_string().contains("--etcd-ca-file"));
        let error = check(dir.path(), &[("--engine", "web")]).err().unwrap();
        assert!(error.to_string().contains("--bridge"), "{error}");
    }

    #[test]
    fn what_browsers_are_to_say_of_themselves_is_checked() {
        assert!(a_user_agent("Mozilla/5.0 (X11)").is_ok() && a_user_agent("a\nb").is_err());
        assert!(languages("sw-TZ,sw").is_ok() && languages("sw,").is_err() && languages("a b").is_err());
        for wrong in ["Now here", "../../../etc/passwd", "/etc/passwd", ""] {
            assert!(a_time_zone(wrong).is_err(), "{wrong}");
        }
        assert!(a_time_zone("Africa/Dar_es_Salaam").is_ok());
    }

    #[test]
    fn a_snapshot_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check(dir.path(), &[]).is_ok());
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "cd".repeat(32)).unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        let secret = secret.into_os_string().into_string().unwrap();
        std::fs::set_permissions(dir.path().join("key"), Permissions::from_mode(0o644)).unwrap();
        let error = check(dir.path(), &[("--cluster-secret-file", &secret)]).err().unwrap();
        let reason = error.source().unwrap().to_string();
        assert!(reason.contains("open to others (mode 0644)"), "{error}: {reason}");
    }

    #[test]
    fn settings_that_are_printed_hold_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let config = check(dir.path(), &[("--database-url", "postgres://roost:sesame@db/roost")]).unwrap();
        assert!(!format!("{:?}", config.args).contains("sesame"));
    }
}
