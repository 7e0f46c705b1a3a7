//! What must hold after every scenario.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use roost_devcluster::Connections;

/// I1, by WhatsApp's own view: no two live connections of one phone at any time.
pub fn never_two_browsers(connections: &Connections) -> Result<()> {
    ensure!(
        !connections.connections.is_empty(),
        "the simulator saw no connection at all: nothing was judged"
    );
    ensure!(
        connections.overlaps.is_empty(),
        "live connections of one phone overlapped: {:#?}",
        connections.overlaps
    );
    Ok(())
}

/// ERROR means that a person must act; a scenario that needs none has none. Panics count as errors.
pub fn no_error_was_logged(logs: &[(String, PathBuf)], expected: &[&str]) -> Result<()> {
    for (process, path) in logs.iter().filter(|(name, _)| !matches!(name.as_str(), "etcd" | "postgres")) {
        let text = fs::read_to_string(path)?;
        let is_error = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
        let is_expected = |line: &&str| expected.iter().any(|text| line.contains(text));
        let errors: Vec<&str> = text.lines().filter(is_error).filter(|line| !is_expected(line)).collect();
        ensure!(errors.is_empty(), "{process} logged errors: {errors:#?}");
    }
    Ok(())
}
