//! Sessions: a tenant's link to its phone.

use std::time::Duration;

use roost_cluster::ledger::EventKind;
use roost_model::ids::TenantId;
use roost_store::{
    EventFilter, ListedSnapshot, Requester, Session, SnapshotId, SnapshotOrphan, Store, StoreError, Worker,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{App, Error, watch::TenantWakeups};

/// A node gives WhatsApp 8 s to unlink the device.
const LOGGED_OUT_WITHIN: Duration = Duration::from_secs(20);
const EVENTS: u32 = 100;

impl App {
    pub async fn get_session(&self, tenant: &TenantId) -> Result<Session, Error> {
        Ok(self.store()?.get_session(tenant).await?)
    }

    /// Where nobody has scanned the codes before.
    pub async fn resume_linking(&self, tenant: &TenantId) -> Result<Session, Error> {
        let session = self.store()?.resume_linking(tenant).await?;
        tracing::info!(%tenant, "session asked to show codes again");
        Ok(session)
    }

    /// The node that owns the worker unlinks it. Answers when it has done so, with what went wrong beside the session.
    pub async fn logout(&self, tenant: &TenantId) -> Result<(Session, Option<String>), Error> {
        let store = self.store()?;
        let mut wakeups = TenantWakeups::of(store, Some(tenant.clone()));
        let seen = store.last_event_id().await?;
        store.request_logout(tenant).await?;
        tracing::info!(%tenant, "session asked to log out");
        let problem = match timeout(LOGGED_OUT_WITHIN, carried_out(store, tenant, &mut wakeups)).await {
            Ok(carried_out) => {
                carried_out?;
                failure(store, tenant, seen).await?
            }
            Err(_elapsed) => Some("its node has not carried it out yet; it does when it can".to_owned()),
        };
        Ok((store.get_session(tenant).await?, problem))
    }

    /// Those of the tenant that are kept, the newest first.
    pub async fn list_session_snapshots(&self, tenant: &TenantId) -> Result<Vec<ListedSnapshot>, Error> {
        Ok(self.store()?.session_snapshots(tenant).await?)
    }

    /// The owner of the worker carries it out, now or when there is one.
    pub async fn restore_session_snapshot(
        &self,
        tenant: &TenantId,
        snapshot: SnapshotId,
        by: &Requester,
    ) -> Result<Worker, Error> {
        self.store()?.order_restore(tenant, snapshot, by).await?;
        tracing::info!(%tenant, %snapshot, by = by.name, reason = by.reason, "session ordered to go back");
        self.get_worker(tenant).await
    }

    /// Snapshots whose tenants nobody knows, in the order of their uids, from the one after `after` on.
    pub async fn list_snapshot_orphans(
        &self,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<SnapshotOrphan>, Error> {
        Ok(self.store()?.list_snapshot_orphans(after, limit).await?)
    }

    /// A node carries it out.
    pub async fn remove_snapshot_orphan(&self, uid: Uuid, by: &Requester) -> Result<SnapshotOrphan, Error> {
        let orphan = self.store()?.order_orphan_removal(uid, by).await?;
        tracing::info!(%uid, by = by.name, reason = by.reason, "removal of an orphaned snapshot ordered");
        Ok(orphan)
    }
}

async fn carried_out(
    store: &Store,
    tenant: &TenantId,
    wakeups: &mut TenantWakeups,
) -> Result<(), StoreError> {
    while store.worker_spec(tenant).await?.forget_session {
        wakeups.next().await;
    }
    Ok(())
}

/// What the history says of it since.
async fn failure(store: &Store, tenant: &TenantId, seen: i64) -> Result<Option<String>, StoreError> {
    let of_tenant = EventFilter { tenant: Some(tenant.clone()), ..EventFilter::default() };
    let events = store.events_after(&of_tenant, seen, EVENTS).await?;
    let failed = events.into_iter().find(|event| event.kind == EventKind::LogoutFailed);
    Ok(failed.map(|event| event.text))
}
