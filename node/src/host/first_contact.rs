//! The first answers of etcd and Postgres: some say that no waiting will help, and a node that goes on then would be live and of
//! no use. After the first answer of each nothing is asked here any more.

use roost_cluster::{registry::EtcdRegistry, timing::Timing};
use roost_model::causes;
use roost_store::Store;

use super::error::HostError;

/// Resolves when one of them cannot be used with these settings, and never if both can.
pub(super) async fn unusable(store: &Store, registry: &EtcdRegistry, timing: &Timing) -> HostError {
    tokio::select! {
        error = unusable_database(store, timing) => error,
        error = unusable_registry(registry, timing) => error,
    }
}

async fn unusable_registry(registry: &EtcdRegistry, timing: &Timing) -> HostError {
    match registry.until_answered(timing.watch_retry).await {
        Ok(()) => std::future::pending().await,
        Err(error) => HostError::Registry(error),
    }
}

async fn unusable_database(store: &Store, timing: &Timing) -> HostError {
    let mut told = None;
    loop {
        match store.ping().await {
            Ok(()) => break,
            Err(error) if error.is_final() => return HostError::Store(error),
            Err(error) => {
                let reason = causes(&error).to_string();
                if told.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "the database has not answered yet");
                    told = Some(reason);
                }
            }
        }
        tokio::time::sleep(timing.watch_retry).await;
    }
    if told.is_some() {
        tracing::info!("the database answers");
    }
    std::future::pending().await
}
