//! WhatsApp Web in a headless Chromium of its own per tenant.
//!
//! ```text
//!  worker <- PageEvent - pump <- event -+          +-> bridge.js -> wa-js -> WhatsApp Web
//!  worker -- Page ----- page -> call ---+- cdp ----+   (in the page, before its own scripts)
//!                       process: the tree behind it, frozen, killed and reaped as one
//! ```
//!
//! A launch: `engine` starts the browser, `process` watches over it, `cdp` speaks to it over two pipes, `start` attaches to its one tab and installs
//! wa-js and `bridge/bridge.js` for the documents to come. That far a warm browser goes too. Then `start` has localStorage
//! put back if it must and navigates, first of all with the versions of page (`pinned`) and library (`scripts`) that it is given; from then on `pump` turns what the bridge tells into events and `page` turns calls
//! into calls of the bridge. Messages that come together are one event, texts that are ready together are one call, and a
//! lone one waits for nobody; nothing polls.
//!
//! # The browser's configuration, and why
//! PSS of the whole process tree, each of five tenants side by side, paired, 5 s after ready, on the simulated page with
//! Debian's headless shell of Chromium 156 (the real page is heavier: these are floors):
//!
//! | configuration | MiB |
//! |---|---|
//! | `--headless --disable-gpu` alone | 102 |
//! | ours, without the two switches that bring GPU and network into the browser's process | 90 |
//! | ours, without `--disable-software-rasterizer` | 82 |
//! | **ours** | **71** |
//! | ours, with `--single-process` | 60 |
//!
//! `--single-process` would save 11 MiB more. It is not used: it is a debugging aid that Chromium does not support, and
//! with it a fault in the page's scripts takes the storage down with them, while here a renderer that crashes is one
//! reload ([`crate::PageEvent::Crashed`]). What is given up is isolation of GPU and network code from the browser's
//! process. A page's scripts run in Chromium's sandbox: a renderer sees no file, no other process and no network but
//! through the browser's process, which is not root whoever runs the node ([`crate::run_as`]).
//!
//! Tried without a gain worth a flag: images off, `--enable-low-end-device-mode`, V8's `--lite-mode`,
//! `--optimize-for-size` and smaller young generations, `--disable-field-trial-config`, no 3D APIs.
//!
//! # What a page can reach
//! A browser's network is that of its node, where what listens may trust its neighbours; so `hosts` has the browser's resolver
//! know the page's site and nothing else, by name or by address, and WebRTC goes by no UDP. One whose tenant has a proxy knows
//! nothing but the `forwarder` to that, which takes it to the same hosts by `upstream`; `way` decides between the two.

mod bridge;
mod cdp;
mod document;
mod engine;
mod forwarder;
mod freeze;
mod hosts;
mod identity;
mod page;
mod pinned;
mod process;
mod proxies;
mod pump;
mod scripts;
mod socket_dir;
mod start;
mod upstream;
mod way;
mod well_formed;

pub use bridge::{HoldLimits, WaJs};
pub use engine::{Launcher, Sandbox, WebConfig, WebEngine};
pub use hosts::{Domain, NotADomain, NotAPageUrl, PageUrl};
pub use identity::Identity;
pub use socket_dir::remove_socket_dir;
pub use upstream::ProxyProblem;
