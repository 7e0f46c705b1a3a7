//! How a tenant's browser is set up when it starts.

use roost_engine::BrowserSetup;
use roost_store::WorkerSpec;

/// As the spec has it: a browser that was started by an earlier one, and runs, stays as it is.
pub fn browser_setup(spec: &WorkerSpec) -> BrowserSetup {
    BrowserSetup { settings: spec.tenant.settings.browser.clone(), proxy: spec.proxy.clone() }
}
