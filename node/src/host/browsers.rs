//! What runs the browsers of this node: the engine that was chosen, with its sandbox and its control groups.

use std::sync::Arc;

use roost_engine::{
    BrowserObserver, Engine,
    control_group::ControlGroups,
    null::NullEngine,
    run_as::RunAs,
    web::{HoldLimits, Launcher, Sandbox, WaJs, WebConfig, WebEngine},
};
use roost_model::causes;

use super::error::HostError;
use crate::{
    config::{EngineConfig, NodeConfig, NullKind},
    guard::GuardLink,
};

/// The engine that was chosen, its browsers announced to the guard.
pub(super) async fn engine(
    config: &NodeConfig,
    groups: Option<ControlGroups>,
    link: Arc<GuardLink>,
) -> Result<Arc<dyn Engine>, HostError> {
    match &config.engine {
        EngineConfig::Null(NullKind::Prompt) => Ok(Arc::new(NullEngine::default())),
        EngineConfig::Null(NullKind::Away) => Ok(Arc::new(NullEngine::away())),
        EngineConfig::Null(NullKind::Slow) => Ok(Arc::new(NullEngine::slow())),
        EngineConfig::Web { browser, wa_js, run_as, page_url, page_hosts, identity } => {
            let this_program = std::env::current_exe().map_err(HostError::Myself)?;
            let launcher = Launcher::new(this_program.clone(), *run_as);
            let found = Sandbox::find(&launcher, browser).await;
            let sandbox = has_sandbox(found, config.args.allow_no_sandbox);
            let web = WebConfig {
                // Who cannot have a user namespace for a sandbox has none to be another user in either.
                launcher: match run_as {
                    RunAs::Namespace(_) if !sandbox => Launcher::new(this_program, RunAs::Caller),
                    _ => launcher,
                },
                sandbox,
                browser: browser.clone(),
                page_url: page_url.clone(),
                page_hosts: page_hosts.clone(),
                wa_js: WaJs::read(wa_js)?,
                hold_limits: HoldLimits::default(),
                identity: identity.as_ref().clone(),
                groups,
                observer: link,
            };
            Ok(Arc::new(WebEngine::new(web)))
        }
    }
}

/// Where browsers are put into control groups of their own, or why they are not.
pub(super) fn control_groups(config: &NodeConfig) -> (Option<ControlGroups>, String) {
    if matches!(config.engine, EngineConfig::Null(_)) {
        return (None, String::new());
    }
    match config.args.control_groups.divide() {
        Ok(groups) => {
            tracing::info!("each browser has a control group of its own");
            (Some(groups), String::new())
        }
        Err(error) => {
            let why = causes(&error).to_string();
            tracing::info!(why, "browsers are in no control groups of their own; they are looked at");
            (None, why)
        }
    }
}

/// What browsers of this node are to have; where there is no sandbox, whoever runs the node is told.
fn has_sandbox(found: Sandbox, may_go_without: bool) -> bool {
    match found {
        Sandbox::Usable => true,
        Sandbox::Missing { reason } if may_go_without => {
            tracing::warn!(reason, "browsers run without their sandbox, as --allow-no-sandbox permits");
            false
        }
        Sandbox::Missing { reason } => {
            // Chromium has the last word: it may be let do what this program is not.
            tracing::error!(
                reason,
                "browsers will not start: the kernel does not let their user make the namespaces of a sandbox; see \
                 docs/operating.md, or run them without one by --allow-no-sandbox"
            );
            true
        }
    }
}

impl BrowserObserver for GuardLink {
    fn started(&self, pid: u32) {
        self.browser_started(pid);
    }

    fn gone(&self, pid: u32) {
        self.browser_gone(pid);
    }
}
