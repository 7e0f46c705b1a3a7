//! What must hold after every scenario.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use roost_devcluster::{Connections, SentMessage, Simulator, TenantRecord};

use crate::{claims, resends::Resends};

/// Whose messages are older than a link: the simulator's customers of the history.
const CUSTOMERS_OF_THE_HISTORY: &str = "255799";

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

/// Nothing was sent again to no purpose, and nobody was answered who had written before the device was linked.
pub async fn nothing_needless_was_sent(simulator: &Simulator, tenants: &[TenantRecord]) -> Result<()> {
    let mut resends = Resends::default();
    for tenant in tenants {
        // A phone that was never linked has sent nothing.
        let Ok(sent) = simulator.sent(&tenant.phone, 0).await else { continue };
        resends.count(&tenant.id, &sent, &simulator.connections().await?);
        no_history_was_answered(&tenant.id, &sent)?;
    }
    ensure!(
        resends.needless.is_empty(),
        "sent again with the acknowledgement in hand: {:#?}",
        resends.needless
    );
    Ok(())
}

/// Each reply was claimed before it was sent, under one id, and sent again only while it was in doubt (I6).
pub async fn sends_were_claimed(
    database: &str,
    simulator: &Simulator,
    tenants: &[TenantRecord],
) -> Result<()> {
    let connections = simulator.connections().await?.connections;
    // A phone that was never linked has sent nothing.
    let sent = async |tenant: &TenantRecord| simulator.sent(&tenant.phone, 0).await.unwrap_or_default();
    let wrong = claims::violations(database, tenants, sent, &connections).await?;
    ensure!(wrong.is_empty(), "what was sent is not what was claimed: {wrong:#?}");
    Ok(())
}

fn no_history_was_answered(tenant: &str, sent: &[SentMessage]) -> Result<()> {
    let answered = sent.iter().find(|message| message.to.starts_with(CUSTOMERS_OF_THE_HISTORY));
    ensure!(answered.is_none(), "{tenant} has answered its history: {answered:?}");
    Ok(())
}

/// ERROR means that a person must act; a scenario that needs none has none. Panics count as errors.
pub fn no_error_was_logged(logs: &[(String, PathBuf)], expected: &[&str]) -> Result<()> {
    for (process, path) in logs.iter().filter(|(name, _)| !matches!(name.as_str(), "etcd" | "postgres")) {
        let text = fs::read_to_string(path)?;
        let is_expected = |line: &&str| expected.iter().any(|text| line.contains(text));
        let is_bad = |line: &&str| is_error(line) || line.contains("panicked at");
        let errors: Vec<&str> = text.lines().filter(is_bad).filter(|line| !is_expected(line)).collect();
        ensure!(errors.is_empty(), "{process} logged errors: {errors:#?}");
    }
    Ok(())
}

/// By the level behind the time: what a line quotes (a slow statement, with its comments) is not its own.
pub fn is_error(line: &str) -> bool {
    line.split_whitespace().nth(1) == Some("ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_quotes_an_error_is_none() {
        assert!(is_error("2026-11-29T14:04:01.070143Z ERROR roost_node: it broke"));
        assert!(!is_error(
            "2026-11-29T14:04:01.070143Z  WARN sqlx::query: slow statement: -- an ERROR of old"
        ));
    }
}
