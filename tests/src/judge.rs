//! What must hold after every scenario.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use roost_cli::dev::Connections;

/// I1, by WhatsApp's own view: no two live connections of one phone at any time.
pub fn never_two_browsers(connections: &Connections) -> Result<()> {
    ensure!(!connections.connections.is_empty(), "the simulator saw no connection at all: nothing was judged");
    ensure!(connections.overlaps.is_empty(), "live connections of one phone overlapped: {:#?}", connections.overlaps);
    Ok(())
}

/// ERROR means that a person must act; no scenario here needs one. Panics count as errors.
pub fn no_error_was_logged(logs: &[(String, PathBuf)]) -> Result<()> {
    for (process, path) in logs.iter().filter(|(name, _)| !matches!(name.as_str(), "etcd" | "postgres")) {
        let text = fs::read_to_string(path)?;
        let errors: Vec<&str> =
            text.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked at")).collect();
        ensure!(errors.is_empty(), "{process} logged errors: {errors:#?}");
    }
    Ok(())
}
