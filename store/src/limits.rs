//! The state of a tenant's reply limit. It is read off the outbound queue and the windows that [`Store::complete`]
//! writes, so the next owner goes on where the last one stopped: a failover gives nobody a fresh budget.

use std::time::Duration;

use crate::{Fence, Store, StoreError};

/// What the last 60 s, by the database's clock, have seen. Ages instead of times: the owner's clock has no part in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyWindow {
    /// How long ago each counted reply was queued, youngest first.
    pub counted_ages: Vec<Duration>,
    /// How long ago the last warning was queued.
    pub warned_age: Option<Duration>,
}

impl Store {
    pub async fn reply_window(&self, fence: &Fence) -> Result<ReplyWindow, StoreError> {
        let query = sqlx::query!(
            r#"with owner as (
                select tenant_id from worker_processes where tenant_id = $1 and generation = $2
            )
            select exists(select from owner) as "owns!",
                extract(epoch from now() - open_reply_window($1))::float8 as warned_age_s,
                array(
                    select extract(epoch from now() - created_at)::float8 from bm_out
                    where tenant_id = $1 and counted and created_at > now() - interval '60 seconds'
                    order by created_at desc
                ) as "counted_ages_s!""#,
            fence.tenant.as_str(),
            fence.generation.0,
        );
        let row = self.one("read the reply window", query).await?;
        fence.check(row.owns)?;
        Ok(ReplyWindow {
            counted_ages: row.counted_ages_s.into_iter().map(age).collect(),
            warned_age: row.warned_age_s.map(age),
        })
    }
}

/// A row may be younger than the transaction that reads it.
fn age(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
