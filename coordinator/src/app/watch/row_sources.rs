//! What is read of sessions and operations: those that somebody follows, by their ids.

use std::collections::BTreeSet;

use roost_model::ids::{OperationId, TenantId};
use roost_store::{OperationRecord, Session, Store, StoreError};

use super::{
    state_feed::{Found, Source, Wakeups},
    wakeups::{Look, OperationWakeups, TenantWakeups},
};

/// Sessions, by their tenants.
pub(super) struct Sessions(Store);

impl Sessions {
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Source for Sessions {
    type Key = TenantId;
    type State = Session;
    type Wakeups = TenantWakeups;
    const EACH: bool = true;

    async fn read(
        &mut self,
        look: Look<TenantId>,
        followed: BTreeSet<TenantId>,
    ) -> Result<Found<TenantId, Session>, StoreError> {
        let tenants = look.among(followed);
        let sessions = match tenants.is_empty() {
            true => vec![],
            false => self.0.sessions_of(&tenants).await?,
        };
        Ok(Found::of(tenants, sessions, |session| session.tenant.clone()))
    }

    /// That the worker was seen again, or saved, is no change.
    fn differs(before: &Session, now: &Session) -> bool {
        let still = |session: &Session| Session { last_seen_at: None, snapshot_at: None, ..session.clone() };
        still(before) != still(now)
    }
}

impl Wakeups<TenantId> for TenantWakeups {
    async fn next(&mut self) -> Look<TenantId> {
        TenantWakeups::next(self).await
    }
}

/// Operations.
pub(super) struct Operations(Store);

impl Operations {
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

impl Source for Operations {
    type Key = OperationId;
    type State = OperationRecord;
    type Wakeups = OperationWakeups;
    const EACH: bool = true;

    async fn read(
        &mut self,
        look: Look<OperationId>,
        followed: BTreeSet<OperationId>,
    ) -> Result<Found<OperationId, OperationRecord>, StoreError> {
        let ids = look.among(followed);
        let operations = match ids.is_empty() {
            true => vec![],
            false => self.0.operations_of(ids.iter().copied()).await?,
        };
        Ok(Found::of(ids, operations, |operation| operation.id))
    }

    fn differs(before: &OperationRecord, now: &OperationRecord) -> bool {
        before != now
    }
}

impl Wakeups<OperationId> for OperationWakeups {
    async fn next(&mut self) -> Look<OperationId> {
        OperationWakeups::next(self).await
    }
}
