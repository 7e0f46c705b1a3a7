//! Calls over HTTP to what runs on this machine.

use std::{error::Error, iter::successors, time::Duration};

use reqwest::Client;

/// A client that never asks a proxy: whatever the environment says of the way out, everything here is on loopback.
pub fn loopback_client(answer_within: Duration) -> reqwest::Result<Client> {
    // Where a program of the same build speaks TLS its library wants to know by what, also for clients that do not.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().timeout(answer_within).build()
}

/// An error with its causes: what failed says little without why.
pub(super) fn described(error: &reqwest::Error) -> String {
    let chain = successors(Some(error as &dyn Error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
