//! `roost-node revoke`: ends the leases of a dead child, so that its tenants are placed elsewhere at once, and its term, if
//! it led, is over at once.
//!
//! It is started before they may end, connects, and reads which ones from its standard input when they may: one line. If
//! that never comes it does nothing. It tries for as long as a lease can last; after that it has ended by itself.

use std::{io::BufRead, time::Duration};

use futures::future::join_all;
use roost_cluster::{
    registry::{EtcdRegistry, Registry, RegistryError},
    timing::Timing,
};
use roost_model::{causes, ids::Incarnation};

/// Why leases are left to their TTL.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("the registry cannot be used")]
    Registry(#[from] RegistryError),
    #[error("what may end was not told")]
    Input(#[source] std::io::Error),
    #[error("{line:?} does not name leases")]
    Garbled { line: String },
}

/// Revokes the leases that `input` names, each again and again until it succeeds or the lease must be over.
pub async fn revoke(
    registry: &EtcdRegistry,
    timing: &Timing,
    input: &mut impl BufRead,
) -> Result<(), RevokeError> {
    // Any question opens the connection. If none can be had now, the revocation itself tries again.
    let _answer = registry.cluster_id().await;
    let mut line = String::new();
    input.read_line(&mut line).map_err(RevokeError::Input)?;
    let leases = parse(&line)?;
    let ended = join_all(leases.into_iter().map(|lease| end(registry, lease, timing))).await;
    ended.into_iter().collect::<Result<(), _>>().map_err(RevokeError::Registry)
}

async fn end(registry: &EtcdRegistry, lease: Incarnation, timing: &Timing) -> Result<(), RegistryError> {
    let over = tokio::time::Instant::now() + timing.ttl;
    loop {
        match registry.revoke(lease).await {
            Ok(()) => {
                tracing::info!(%lease, "a dead node's lease is ended");
                return Ok(());
            }
            Err(error) if tokio::time::Instant::now() >= over => return Err(error),
            Err(error) => {
                tracing::warn!(%lease, error = %causes(&error), "a dead node's lease could not be ended yet")
            }
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// The ids of one whole line; none of one that was cut off, for nobody has said yet that they may end.
fn parse(line: &str) -> Result<Vec<Incarnation>, RevokeError> {
    let Some(ids) = line.strip_suffix('\n') else { return Ok(Vec::new()) };
    let ids = ids.split_ascii_whitespace().map(|id| id.parse().map(Incarnation));
    ids.collect::<Result<_, _>>().map_err(|_| RevokeError::Garbled { line: line.to_owned() })
}

const RETRY_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_names_leases() {
        assert_eq!(parse("7 -8\n").unwrap(), [Incarnation(7), Incarnation(-8)]);
        assert_eq!(parse("").unwrap(), [], "the guard died before it said anything");
        assert_eq!(parse("7").unwrap(), []);
        assert!(matches!(parse("7 x\n"), Err(RevokeError::Garbled { .. })));
    }
}
