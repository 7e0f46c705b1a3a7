//! How a tenant's browser is set up when it starts.

use roost_engine::BrowserSetup;
use roost_model::BrowserSettings;
use roost_store::WorkerSpec;

/// As the spec has it: a browser that was started by an earlier one, and runs, stays as it is.
pub fn browser_setup(spec: &WorkerSpec) -> BrowserSetup {
    // What the page is and what drives it is settled when the site is opened, and not when the browser starts.
    let settings =
        BrowserSettings { page_version: None, library_version: None, ..spec.tenant.settings.browser.clone() };
    BrowserSetup { settings, proxy: spec.proxy.clone() }
}
