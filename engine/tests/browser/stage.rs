//! What the tests stand on: an engine for one page, and a profile for its browser.

use std::{
    env, fs,
    fs::Permissions,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use roost_engine::{
    BrowserObserver, BrowserSetup, Engine, EngineError, Launch, Launched, PageEvent, Versions,
    control_group::ControlGroups,
    run_as::RunAs,
    web::{HoldLimits, Identity, Launcher, WaJs, WebConfig, WebEngine},
};
use roost_model::ids::TenantId;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Much longer than anything takes; a condition that is not met by then fails the test.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// As much of wa-js as the bridge needs to come up. A page may have it raise events, and sees which builds of it run.
pub const WA_JS: &str = "
    (window.builds ??= []).push('own');
    const handlers = {};
    const on = (name, handler) => { handlers[name] = handler; };
    window.WPP = { on, raise: (name, value) => handlers[name](value), loader: { onInjected() {} } };";

pub struct Stage {
    dir: TempDir,
    engine: WebEngine,
}

pub struct Unwatched;

impl BrowserObserver for Unwatched {
    fn started(&self, _pid: u32) {}
    fn gone(&self, _pid: u32) {}
}

impl Stage {
    pub fn set(page_url: &str) -> Self {
        Self::with_hold_limits(page_url, HoldLimits::default())
    }

    pub fn with_hold_limits(page_url: &str, hold_limits: HoldLimits) -> Self {
        Self::build(page_url, |config| config.hold_limits = hold_limits)
    }

    pub fn with_groups(page_url: &str, groups: ControlGroups) -> Self {
        Self::build(page_url, |config| config.groups = Some(groups))
    }

    pub fn with_identity(page_url: &str, identity: Identity) -> Self {
        Self::build(page_url, |config| config.identity = identity)
    }

    /// Another browser, and whoever is to know of it.
    pub fn with_browser(page_url: &str, browser: PathBuf, observer: Arc<dyn BrowserObserver>) -> Self {
        Self::build(page_url, |config| (config.browser, config.observer) = (browser, observer))
    }

    fn build(page_url: &str, adjust: impl FnOnce(&mut WebConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        // As a node of this user would run them.
        let run_as = RunAs::for_browsers("nobody").unwrap();
        let profile = dir.path().join("profile");
        fs::create_dir(&profile).unwrap();
        if let Some(user) = run_as.owner() {
            chown(&profile, Some(user.uid), Some(user.gid)).unwrap();
        }
        let mut config = WebConfig {
            launcher: Launcher::new(env::current_exe().unwrap(), run_as),
            browser: browser(),
            sandbox: true,
            page_url: page_url.parse().unwrap(),
            page_hosts: Vec::new(),
            wa_js: WaJs::stand_in(WA_JS),
            hold_limits: HoldLimits::default(),
            identity: Identity::default(),
            groups: None,
            observer: Arc::new(Unwatched),
        };
        adjust(&mut config);
        Self { dir, engine: WebEngine::new(config) }
    }

    pub fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    pub fn engine(&self) -> &WebEngine {
        &self.engine
    }

    pub async fn launch(&self) -> Result<Launched, EngineError> {
        self.launch_as(BrowserSetup::default()).await
    }

    pub async fn launch_as(&self, setup: BrowserSetup) -> Result<Launched, EngineError> {
        self.launch_until(CancellationToken::new(), setup).await
    }

    pub async fn launch_until(
        &self,
        cancel: CancellationToken,
        setup: BrowserSetup,
    ) -> Result<Launched, EngineError> {
        self.engine.launch(Launch { setup, cancel, ..self.plain() }).await
    }

    /// What is launched where a test says nothing else.
    pub fn plain(&self) -> Launch {
        Launch {
            tenant: TenantId::new("acme").unwrap(),
            profile: self.profile(),
            setup: BrowserSetup::default(),
            local_storage: None,
            versions: Versions::default(),
            cancel: CancellationToken::new(),
        }
    }
}

/// What is told next.
pub async fn event(launched: &mut Launched) -> PageEvent {
    let next = tokio::time::timeout(DEADLINE, launched.events.recv()).await;
    next.expect("nothing is told").expect("the browser goes on")
}

/// All that is told until nothing is left of the browser.
pub async fn events(launched: &mut Launched) -> Vec<PageEvent> {
    let all = async {
        let mut all = Vec::new();
        while let Some(event) = launched.events.recv().await {
            all.push(event);
        }
        all
    };
    tokio::time::timeout(DEADLINE, all).await.expect("the browser goes on")
}

pub fn browser() -> PathBuf {
    let usual = || "/usr/lib/chromium/chromium-headless-shell".into();
    env::var_os("ROOST_BROWSER").map_or_else(usual, PathBuf::from)
}
