//! Messages and replies that were given up: to be looked at, and to be tried again by order.

use roost_model::ids::TenantId;
use roost_store::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterKey, Direction, Requester, StoreError,
};

use super::{App, Error};

/// Which of them are to be tried again.
pub enum Redrive {
    /// Those that are there.
    These(Vec<DeadLetterId>),
    /// The first ones of a tenant.
    Of { tenant: TenantId, direction: Option<Direction>, limit: u32 },
}

/// What a redrive did, or would do.
pub struct Redriven {
    pub ids: Vec<DeadLetterId>,
    /// The tenant has more than the limit.
    pub more: bool,
}

impl App {
    /// By tenant and then in the order of the ids, from the one after `after` on.
    pub async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, Error> {
        Ok(self.store()?.list_dead_letters(filter, after.as_ref(), limit).await?)
    }

    pub async fn dead_letter(&self, id: DeadLetterId) -> Result<DeadLetter, Error> {
        let found = self.store()?.dead_letters(&[id]).await?.pop();
        found.ok_or_else(|| StoreError::NotFound { kind: "dead letter", id: id.to_string() }.into())
    }

    /// Puts them back into their queues; a dry run only says which.
    pub async fn redrive(&self, which: Redrive, by: &Requester, dry_run: bool) -> Result<Redriven, Error> {
        let (mut ids, more) = self.redrivable(which).await?;
        if !dry_run && !ids.is_empty() {
            ids = self.store()?.redrive(&ids, by).await?;
            tracing::info!(letters = ids.len(), by = by.name, "dead letters redriven");
        }
        Ok(Redriven { ids, more })
    }

    async fn redrivable(&self, which: Redrive) -> Result<(Vec<DeadLetterId>, bool), Error> {
        let store = self.store()?;
        match which {
            Redrive::These(ids) => {
                let found = store.dead_letters(&ids).await?;
                let redrivable = found.into_iter().filter(|letter| letter.redrivable);
                Ok((redrivable.map(|letter| letter.id).collect(), false))
            }
            Redrive::Of { tenant, direction, limit } => {
                store.get_tenant(&tenant).await?;
                let filter = DeadLetterFilter { tenant: Some(tenant), direction, redrivable: true };
                let found = store.list_dead_letters(&filter, None, limit + 1).await?;
                let more = found.len() > limit as usize;
                Ok((found.into_iter().take(limit as usize).map(|letter| letter.id).collect(), more))
            }
        }
    }
}
