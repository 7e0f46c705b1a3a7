//! The engine: how a browser is started (by whom, with which flags, in which environment, with or without its sandbox) and
//! brought to a page that drives. The reasons for the flags and the measurements are in [`super`].

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chromiumoxide_cdp::cdp::browser_protocol::emulation::SetUserAgentOverrideParams;
use futures::future::BoxFuture;
use roost_model::{causes, ids::TenantId};
use tokio::process::Command;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::bridge::{HoldLimits, WaJs};
use super::cdp::{self, Cdp};
use super::document::TopDocument;
use super::forwarder::Forwarder;
use super::hosts::{Domain, PageUrl};
use super::identity::{Identity, usual_user_agent};
use super::page::WebPage;
use super::pinned::PinnedPage;
use super::process::{BrowserProcess, Pipes, ProcessTree, Traces, how_it_ended};
use super::pump::EventPump;
use super::scripts::Scripts;
use super::start::{self, Startup, Tab};
use super::way::{self, Way};
use crate::control_group::{BrowserGroup, ControlGroups};
use crate::run_as::RunAs;
use crate::{BrowserObserver, BrowserSetup, Engine, EngineError, Launch, Launched, Versions, WarmBrowser};

/// From the document's beginning to the bridge in it: both are in the same process by then.
const BRIDGE_LOADED: Duration = Duration::from_secs(10);
/// From the end of a browser's pipe to the end of all its processes.
const ENDED_BY_ITSELF: Duration = Duration::from_secs(2);
/// For a browser to say its version and end.
const VERSION: Duration = Duration::from_secs(20);
/// Events that wait for the worker.
const EVENTS: usize = 256;

/// What the engine needs to know.
#[derive(Clone)]
pub struct WebConfig {
    pub launcher: Launcher,
    /// The browser's own binary. A shell script in front of it that does not `exec` would be killed in its place.
    pub browser: PathBuf,
    /// Whether a page's scripts are kept in Chromium's sandbox.
    pub sandbox: bool,
    /// WhatsApp Web, or the simulator.
    pub page_url: PageUrl,
    /// What the page may reach beside its own host and, if it is WhatsApp's, WhatsApp's domains.
    pub page_hosts: Vec<Domain>,
    pub wa_js: WaJs,
    pub hold_limits: HoldLimits,
    /// Of browsers whose tenants have set nothing else.
    pub identity: Identity,
    /// Where each browser is put into a control group of its own, if that may be.
    pub groups: Option<ControlGroups>,
    pub observer: Arc<dyn BrowserObserver>,
}

/// Launches browsers.
pub struct WebEngine {
    config: WebConfig,
    scripts: Arc<Scripts>,
    /// Asked of the browser once, when the first one starts for which none is set.
    usual_user_agent: OnceCell<String>,
}

impl WebEngine {
    pub fn new(config: WebConfig) -> Self {
        let scripts = Arc::new(Scripts::new(&config.wa_js, config.hold_limits));
        Self { config, scripts, usual_user_agent: OnceCell::new() }
    }

    /// What the browser would say with a window. It is asked for its version by a process of its own.
    async fn usual_user_agent(&self) -> Result<&str, EngineError> {
        let WebConfig { launcher, browser, .. } = &self.config;
        let found = || async {
            let said = launcher.version_of(browser).await?;
            let path = || browser.display().to_string();
            usual_user_agent(&said).ok_or_else(|| EngineError::NoVersion { path: path(), said })
        };
        Ok(self.usual_user_agent.get_or_try_init(found).await?)
    }

    /// Without one the browser is bounded by whoever looks at it.
    fn group(&self) -> Option<BrowserGroup> {
        let made = self.config.groups.as_ref()?.make();
        made.inspect_err(|error| {
            tracing::warn!(error = %causes(error), "a browser could not be given a control group");
        })
        .ok()
    }

    /// A browser on this profile, with the bridge ready for whatever document comes.
    async fn start(
        &self,
        profile: &Path,
        setup: &BrowserSetup,
        cancel: &CancellationToken,
    ) -> Result<WarmWebBrowser, EngineError> {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let WebConfig { launcher, browser, sandbox, observer, page_url, page_hosts, identity, .. } =
            &self.config;
        let identity = identity.under(&setup.settings);
        let user_agent = match &identity.user_agent {
            Some(set) => set,
            None => self.usual_user_agent().await?,
        };
        let Way { flags: way, environment, forwarder } =
            Way::of(page_url, page_hosts, setup.proxy.as_ref()).await?;
        let flags = flags(profile, *sandbox, way.into_iter().chain(identity.flags(user_agent)));
        let who = identity.overriding(user_agent);
        let zone = identity.time_zone.as_ref().map(|zone| ("TZ", zone.into()));
        let environment = zone.into_iter().chain(environment).collect();
        let group = self.group();
        let observer = observer.clone();
        let (process, pipes) = launcher.spawn(browser, profile, &flags, environment, group, observer)?;
        let (cdp, mut events) = Cdp::open(pipes.input, pipes.output);
        let mut start = Startup { cdp: &cdp, events: &mut events };
        let attached = async {
            let (session, id) = start.attach().await?;
            start.identify(&session, who.clone(), identity.locale()).await?;
            let bridge = start.install(&session, self.scripts.own()).await?;
            Ok(Tab { session, id, bridge })
        };
        match unless_cancelled(cancel, attached).await {
            Ok(tab) => {
                let (page_url, scripts) = (page_url.clone(), self.scripts.clone());
                Ok(WarmWebBrowser { page_url, scripts, process, cdp, events, tab, who, forwarder })
            }
            Err(error) => Err(end(&process.tree(), error).await),
        }
    }
}

/// A browser whose one tab shows nothing.
struct WarmWebBrowser {
    page_url: PageUrl,
    scripts: Arc<Scripts>,
    process: BrowserProcess,
    cdp: Cdp,
    /// Few come while no page is loaded; they are dropped when one is.
    events: mpsc::Receiver<cdp::Event>,
    tab: Tab,
    who: SetUserAgentOverrideParams,
    forwarder: Option<Forwarder>,
}

impl WarmWebBrowser {
    /// Has the documents to come be of these versions. What answers for the page, if it is pinned.
    async fn adopt(&self, versions: &Versions) -> Result<Option<PinnedPage>, EngineError> {
        let Self { page_url, scripts, cdp, tab, .. } = self;
        if let Some(version) = &versions.library {
            start::replace_bridge(cdp, tab, &scripts.of(version)).await?;
        }
        let Some(version) = versions.page.clone() else { return Ok(None) };
        let pinned = PinnedPage { version, url: page_url.clone(), tab: tab.id.clone() };
        pinned.intercept(cdp, &tab.session).await?;
        Ok(Some(pinned))
    }

    async fn drive(self, launch: &Launch) -> Result<Launched, EngineError> {
        let Launch { local_storage, versions, .. } = launch;
        let since = Instant::now();
        let pinned = self.adopt(versions).await?;
        let Self { page_url, process, cdp, events: raw, tab, who, forwarder, .. } = self;
        let Tab { session, id: tab, .. } = tab;
        let (document_tx, mut document) = watch::channel(None);
        let (events, received) = mpsc::channel(EVENTS);
        let pump = EventPump {
            cdp: cdp.clone(),
            session: session.clone(),
            tree: process.tree(),
            top: TopDocument::of(tab),
            document: document_tx,
            events,
            console_entries: 0,
            who,
            pinned,
        };
        tokio::spawn(pump.run(raw).in_current_span());
        start::open(&cdp, &session, page_url.as_str(), local_storage.as_ref()).await?;
        let step = "loading the bridge";
        let loaded = timeout(BRIDGE_LOADED, document.wait_for(Option::is_some)).await;
        loaded
            .map_err(|_| EngineError::TimedOut { step, limit: BRIDGE_LOADED })?
            .map_err(|_| EngineError::Gone)?;
        let pid = Some(process.pid());
        let versions = versions.clone();
        let page = WebPage { cdp, session, document, process, since, versions, _forwarder: forwarder };
        Ok(Launched { page: Arc::new(page), events: received, pid })
    }
}

#[async_trait]
impl WarmBrowser for WarmWebBrowser {
    fn pid(&self) -> Option<u32> {
        Some(self.process.pid())
    }

    fn ended(&self) -> BoxFuture<'static, ()> {
        let tree = self.process.tree();
        Box::pin(async move { drop(tree.wait().await) })
    }

    fn check(&self) -> BoxFuture<'static, Result<(), EngineError>> {
        let (cdp, session) = (self.cdp.clone(), self.tab.session.clone());
        Box::pin(async move { start::check(&cdp, &session).await })
    }

    async fn open(self: Box<Self>, launch: Launch) -> Result<Launched, EngineError> {
        let tree = self.process.tree();
        match unless_cancelled(&launch.cancel, self.drive(&launch)).await {
            Ok(launched) => Ok(launched),
            Err(error) => Err(end(&tree, error).await),
        }
    }

    async fn kill(self: Box<Self>) {
        self.process.tree().kill().await;
    }
}

/// Does not begin the next step of `work` once it is cancelled.
async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(EngineError::Cancelled),
        done = work => done,
    }
}

/// Ends a browser that did not come up. One that has ended by itself knows better why than whoever was calling it.
async fn end(tree: &ProcessTree, error: EngineError) -> EngineError {
    let by_itself = match &error {
        EngineError::Gone => timeout(ENDED_BY_ITSELF, tree.wait()).await.ok(),
        _ => None,
    };
    tree.kill().await;
    by_itself.map_or(error, EngineError::ended)
}

#[async_trait]
impl Engine for WebEngine {
    async fn check_way(&self, setup: &BrowserSetup) -> Result<(), EngineError> {
        way::check(&self.config.page_url, setup.proxy.as_ref()).await
    }

    async fn launch(&self, launch: Launch) -> Result<Launched, EngineError> {
        Box::new(self.start(&launch.profile, &launch.setup, &launch.cancel).await?).open(launch).await
    }

    async fn warm(
        &self,
        _tenant: Option<&TenantId>,
        profile: &Path,
        setup: &BrowserSetup,
    ) -> Result<Box<dyn WarmBrowser>, EngineError> {
        Ok(Box::new(self.start(profile, setup, &CancellationToken::new()).await?))
    }
}

/// How to start a browser: by `roost-node launch`, so that it dies with this process and is not root.
#[derive(Debug, Clone)]
pub struct Launcher {
    pub(super) program: PathBuf,
    /// Its arguments, as far as they do not depend on what is launched.
    pub(super) args: Vec<String>,
    pub(super) run_as: RunAs,
}

impl Launcher {
    pub fn new(roost_node: PathBuf, run_as: RunAs) -> Self {
        let args = std::iter::once("launch".to_owned()).chain(run_as.to_args()).collect();
        Self { program: roost_node, args, run_as }
    }

    /// Becomes what follows.
    fn launch(&self, group: Option<&BrowserGroup>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).args(["--parent", &std::process::id().to_string()]);
        if let Some(group) = group {
            command.arg("--control-group").arg(group.dir());
        }
        command.arg("--");
        command
    }

    /// To be called on a thread that lives as long as the runtime: the kernel ties the browser to the thread.
    pub(super) fn spawn(
        &self,
        browser: &Path,
        home: &Path,
        flags: &[OsString],
        environment: Vec<(&'static str, OsString)>,
        group: Option<BrowserGroup>,
        observer: Arc<dyn BrowserObserver>,
    ) -> Result<(BrowserProcess, Pipes), EngineError> {
        let failed = |source| EngineError::Spawn { path: browser.display().to_string(), source };
        let child = self
            .launch(group.as_ref())
            .args(["/bin/sh", "-c", ON_3_AND_4])
            .arg(browser)
            .args(flags)
            // This process may stand where the browser's user may not be.
            .current_dir("/")
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(environment)
            .env("HOME", home)
            // In any other locale Chromium loses the letters of paths that are not ASCII, and with them its databases.
            .env("LC_CTYPE", "C.UTF-8")
            // There is no desktop, and looking for its bus takes time.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("DBUS_SYSTEM_BUS_ADDRESS", "disabled:")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let traces = Traces { profile: home.to_owned(), run_as: self.run_as };
        BrowserProcess::watch(child, traces, group, observer)
            .ok_or_else(|| failed(std::io::Error::other("the browser has no pipe")))
    }

    /// What a browser answers when it is asked for its version.
    pub(super) async fn version_of(&self, browser: &Path) -> Result<String, EngineError> {
        let failed = |source| EngineError::Spawn { path: browser.display().to_string(), source };
        let mut command = self.launch(None);
        command
            .arg(browser)
            .arg("--version")
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let asked = timeout(VERSION, command.output()).await;
        let limit = VERSION;
        let answer =
            asked.map_err(|_| EngineError::TimedOut { step: "asking the browser's version", limit })?;
        let answer = answer.map_err(failed)?;
        if !answer.status.success() {
            let last_words = String::from_utf8_lossy(&answer.stderr);
            return Err(EngineError::ended(how_it_ended(answer.status, last_words.trim())));
        }
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }

    /// Only tries whether a browser could have its sandbox.
    fn trial(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg("--try-sandbox");
        command
    }

    /// Whether a browser may become root by a program with the set-user-id bit.
    fn keeps_privileges(&self) -> bool {
        self.run_as == RunAs::Caller && rustix::thread::no_new_privs().is_ok_and(|given_up| !given_up)
    }
}

/// What of the node's environment a browser is given. The rest is none of its business: the database's password is there.
const ENVIRONMENT: &[&str] = &["PATH", "LANG", "TZ", "TMPDIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH"];

/// Chromium takes commands on descriptor 3 and answers on 4. Placing them there between fork and exec needs unsafe code;
/// a shell does it with two redirections and then is the browser.
const ON_3_AND_4: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

/// Every flag for a browser on this profile, with those that are not the same for all.
fn flags(profile: &Path, sandbox: bool, own: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut flags: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    let processes = if sandbox { SANDBOXED } else { UNSANDBOXED };
    flags.extend(processes.iter().map(OsString::from));
    // As it is: a path need not be text.
    let mut user_data_dir = OsString::from("--user-data-dir=");
    user_data_dir.push(profile);
    flags.push(user_data_dir);
    flags.extend(own);
    flags.push("about:blank".into());
    flags
}

/// The sandbox is set up by a zygote. The second one, for processes without a sandbox, has nothing to do here: GPU and
/// network are in the browser's own process.
const SANDBOXED: &[&str] = &["--no-unsandboxed-zygote"];
/// Chromium can do without any zygote only without its sandbox.
const UNSANDBOXED: &[&str] = &["--no-sandbox", "--no-zygote"];

const FLAGS: &[&str] = &[
    "--headless",
    "--remote-debugging-pipe",
    // Memory.
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
    "--disable-gpu",
    "--disable-software-rasterizer",
    "--window-size=800,600",
    // The page's own bundle comes from the disk at the next start; nothing else is worth keeping.
    "--disk-cache-size=67108864",
    // Services of a desktop browser that a session has no use for, and that would call home.
    "--disable-features=SpareRendererForSitePerProcess,MediaRouter,OptimizationHints,Translate,AutofillServerCommunication,InterestFeedContentSuggestions,PaintHolding",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-quic",
    // The resolver's rules are not asked about a peer's address; without a proxy for it there is no UDP then.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-sync",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    // The system's keyring would ask someone.
    "--password-store=basic",
    // The page is never in front, and must not be slowed down for that.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // A page that asks whether it may leave would wait for someone to answer.
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
];

/// Whether Chromium can have its sandbox here. It is made of user namespaces; where these are closed, a program with the
/// set-user-id bit that lies beside the browser (Debian's package chromium-sandbox) makes it instead, if the browser may
/// gain privileges by such a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    Usable,
    Missing { reason: String },
}

impl Sandbox {
    /// Tries what a browser would do, in a process of the browsers' user.
    pub async fn find(launcher: &Launcher, browser: &Path) -> Self {
        let trial = launcher.trial().env_clear().stdin(Stdio::null()).kill_on_drop(true).output().await;
        let reason = match trial {
            Ok(trial) if trial.status.success() => return Self::Usable,
            Ok(trial) => String::from_utf8_lossy(&trial.stderr).trim().to_owned(),
            Err(error) => format!("it could not be tried: {error}"),
        };
        if launcher.keeps_privileges() && has_helper(browser) {
            Self::Usable
        } else {
            Self::Missing { reason }
        }
    }
}

fn has_helper(browser: &Path) -> bool {
    let helper = browser.with_file_name("chrome-sandbox");
    fs::metadata(helper).is_ok_and(|meta| meta.uid() == 0 && meta.permissions().mode() & 0o4001 == 0o4001)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_passed_as_it_is_and_only_a_missing_sandbox_is_said_so() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/\xc3\xa4/\xff"));
        let sandboxed = flags(path, true, []);
        let given: Vec<_> = sandboxed.iter().map(|flag| flag.as_bytes()).collect();
        assert!(given.contains(&b"--user-data-dir=/a b/\xc3\xa4/\xff".as_slice()));
        assert!(!given.contains(&b"--no-sandbox".as_slice()) && !given.contains(&b"--no-zygote".as_slice()));
        assert!(flags(path, false, []).contains(&"--no-sandbox".into()));
    }
}
