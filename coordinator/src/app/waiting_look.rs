//! The look for all who follow workers: one task of the coordinator, when something has changed, and only while somebody
//! follows.

use std::{future::pending, time::Duration};

use roost_cluster::{
    keys,
    ledger::Ledger,
    registry::{Change, RegistryError},
};
use roost_model::causes;
use roost_store::PostgresLedger;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{App, waits::look};

/// From one look to the next when nothing is heard of: what is held ends by itself, and a notification may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What changes together is one look.
const COALESCE: Duration = Duration::from_millis(500);

/// Looks for those who follow, until stopped.
pub async fn run(app: App, stop: CancellationToken) {
    let looking = async {
        loop {
            app.waiting_tenants.until_followed().await;
            look_while_followed(&app).await;
            app.waiting_tenants.forget();
        }
    };
    stop.run_until_cancelled(looking).await;
}

async fn look_while_followed(app: &App) {
    // Nobody follows before there is a schema.
    let Ok(store) = app.store() else { return };
    let ledger = PostgresLedger::new(store.clone());
    let mut registry = None;
    while app.waiting_tenants.is_followed() {
        // From before the look, so that nothing is missed between the two.
        if registry.is_none() {
            registry = changes(app).await;
        }
        app.waiting_tenants.show(look(app).await);
        tokio::select! {
            () = ledger.changed() => {}
            () = heard(&mut registry) => {}
            () = sleep(LOOK_EVERY) => {}
        }
        sleep(COALESCE).await;
    }
}

type Changes = mpsc::Receiver<Vec<Change>>;

async fn changes(app: &App) -> Option<Changes> {
    let begin = async {
        let now = app.registry().read(keys::LEADER).await?.revision;
        app.registry().watch(keys::ALL, now).await
    };
    let begun: Result<Changes, RegistryError> = begin.await;
    begun.inspect_err(|error| tracing::debug!(error = %causes(error), "etcd is not watched now")).ok()
}

/// Resolves when something has changed or the watch has ended, which is to be begun anew.
async fn heard(changes: &mut Option<Changes>) {
    let Some(receiver) = changes else { return pending().await };
    if receiver.recv().await.is_none() {
        *changes = None;
        return;
    }
    while receiver.try_recv().is_ok() {}
}
