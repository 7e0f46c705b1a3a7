//! Messages and replies that were given up: what they are, and their way back into the queues.
//!
//! A redrive is an order. It sets the rows back to PENDING, with all tries before them, and raises the revision of their
//! tenants' specs, by which the owners learn that there is something to read; without an owner the next one reads them. A
//! reply goes out under its first id, so that one which WhatsApp has after all is found and not sent twice (I6). It is
//! claimed anew before that: the order is to send it once, whatever the tenant's resend policy says.

use std::{fmt, str::FromStr};

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Direction, Requester, Store, StoreError, columns::unsigned};

/// `in-7` and `out-7` are the messages and replies of these numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeadLetterId {
    pub direction: Direction,
    pub id: i64,
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
        };
        write!(f, "{direction}-{}", self.id)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{given:?} is no id of a dead letter: they are like in-7 and out-7")]
pub struct InvalidDeadLetterId {
    given: String,
}

impl FromStr for DeadLetterId {
    type Err = InvalidDeadLetterId;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (direction, id) = given.split_once('-')?;
            let direction = match direction {
                "in" => Direction::In,
                "out" => Direction::Out,
                _ => return None,
            };
            Some(Self { direction, id: id.parse().ok().filter(|id| *id > 0)? })
        };
        read().ok_or_else(|| InvalidDeadLetterId { given: given.to_owned() })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub tenant: TenantId,
    pub chat: String,
    pub body: String,
    pub whatsapp_id: String,
    /// Why it was given up.
    pub reason: String,
    pub attempts: u64,
    /// When the message was received, or the reply was made.
    pub created_at: OffsetDateTime,
    /// False for what cannot be tried again; see [`crate::inbound`].
    pub redrivable: bool,
}

/// The place of a letter in the list.
pub type DeadLetterKey = (TenantId, DeadLetterId);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub tenant: Option<TenantId>,
    pub direction: Option<Direction>,
    /// Only those that can be tried again.
    pub redrivable: bool,
}

impl Store {
    /// By tenant and then in the order of the ids, from the one after `after` on.
    pub async fn list_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterKey>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let tenant = filter.tenant.as_ref().map(TenantId::as_str);
        let begin = (tenant.unwrap_or_default(), 0, Direction::In);
        let (after_tenant, after_id, after_direction) =
            after.map_or(begin, |(tenant, letter)| (tenant.as_str(), letter.id, letter.direction));
        // Every id is below "~", so that the index is read no further than the tenant goes.
        let query = sqlx::query_as!(
            DeadLetterRow,
            r#"select direction as "direction!: Direction", id as "id!", tenant_id as "tenant_id!", chat_id as "chat_id!",
                body as "body!", whatsapp_id as "whatsapp_id!", reason as "reason!", attempts as "attempts!",
                created_at as "created_at!", redrivable as "redrivable!"
            from dead_letters
            where (tenant_id, id, direction) > ($1::text, $2::bigint, $3::message_direction)
                and tenant_id <= coalesce($4::text, '~')
                and ($5::message_direction is null or direction = $5) and (redrivable or not $6)
                and tenant_id <> all (array(select id from tenants where deleting_since is not null))
            order by tenant_id, id, direction limit $7"#,
            after_tenant,
            after_id,
            after_direction as Direction,
            tenant,
            filter.direction as Option<Direction>,
            filter.redrivable,
            i64::from(limit),
        );
        self.all("list the dead letters", query).await?.into_iter().map(DeadLetter::try_from).collect()
    }

    /// Those of them that are there.
    pub async fn dead_letters(&self, ids: &[DeadLetterId]) -> Result<Vec<DeadLetter>, StoreError> {
        let (inbound, outbound) = by_direction(ids);
        let query = sqlx::query_as!(
            DeadLetterRow,
            r#"select direction as "direction!: Direction", id as "id!", tenant_id as "tenant_id!", chat_id as "chat_id!",
                body as "body!", whatsapp_id as "whatsapp_id!", reason as "reason!", attempts as "attempts!",
                created_at as "created_at!", redrivable as "redrivable!"
            from dead_letters
            where ((direction = 'IN' and id = any($1)) or (direction = 'OUT' and id = any($2)))
                and tenant_id <> all (array(select id from tenants where deleting_since is not null))
            order by tenant_id, id, direction"#,
            &inbound,
            &outbound,
        );
        self.all("read dead letters", query).await?.into_iter().map(DeadLetter::try_from).collect()
    }

    /// Puts letters back into their queues. Answers with those that were there to be put back.
    pub async fn redrive(
        &self,
        ids: &[DeadLetterId],
        by: &Requester,
    ) -> Result<Vec<DeadLetterId>, StoreError> {
        let (inbound, outbound) = by_direction(ids);
        let (requested_by, reason) = by.columns();
        let query = sqlx::query!(
            r#"with owners as materialized (
                select tenant_id from worker_processes
                where tenant_id in (
                    select tenant_id from bm_in where id = any($1) and dead_from is not null
                    union select tenant_id from bm_out where id = any($2) and dead_from is not null)
                order by tenant_id for no key update
            ), inbound as (
                update bm_in b set
                    state = 'PENDING', attempts = 0, last_error = '', next_attempt_at = now(), done_at = null
                from owners
                where b.id = any($1) and b.tenant_id = owners.tenant_id and b.dead_from is not null
                    and not b.set_apart
                returning b.tenant_id, b.id
            ), outbound as (
                update bm_out b set
                    state = 'PENDING', attempts = 0, last_error = '', next_attempt_at = now(), claimed_at = null,
                    redriven = true
                from owners where b.id = any($2) and b.tenant_id = owners.tenant_id
                    and b.dead_from is not null
                returning b.tenant_id, b.id
            ), redriven as materialized (
                select 'IN'::message_direction as direction, tenant_id, id from inbound
                union all select 'OUT', tenant_id, id from outbound
            ), waiting as (
                insert into bm_pending (tenant_id, direction, id) select tenant_id, direction, id from redriven
            ), told as (
                update worker_processes w set spec_revision = nextval('spec_revisions')
                where tenant_id in (select tenant_id from redriven)
            ), policy_lock as materialized (
                select singleton from cluster_policy where exists(select from redriven) for no key update
            ), noted as (
                insert into cluster_events (kind, tenant_id, text, requested_by, reason)
                select 'DEAD_LETTERS_REDRIVEN', tenant_id,
                    format('dead letters of tenant %s are tried again (%s)', tenant_id, count(*)), $3, $4
                from redriven, policy_lock group by tenant_id order by tenant_id
            )
            select direction as "direction!: Direction", id as "id!" from redriven order by tenant_id, id, direction"#,
            &inbound,
            &outbound,
            requested_by,
            reason,
        );
        let rows = self.all("redrive dead letters", query).await?;
        Ok(rows.into_iter().map(|row| DeadLetterId { direction: row.direction, id: row.id }).collect())
    }
}

fn by_direction(ids: &[DeadLetterId]) -> (Vec<i64>, Vec<i64>) {
    let of = |direction| ids.iter().filter(|id| id.direction == direction).map(|id| id.id).collect();
    (of(Direction::In), of(Direction::Out))
}

/// As the columns come, before they are checked.
struct DeadLetterRow {
    direction: Direction,
    id: i64,
    tenant_id: String,
    chat_id: String,
    body: String,
    whatsapp_id: String,
    reason: String,
    attempts: i32,
    created_at: OffsetDateTime,
    redrivable: bool,
}

impl TryFrom<DeadLetterRow> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: DeadLetterRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: DeadLetterId { direction: row.direction, id: row.id },
            tenant: TenantId::new(&row.tenant_id).map_err(StoreError::corrupt_id)?,
            chat: row.chat_id,
            body: row.body,
            whatsapp_id: row.whatsapp_id,
            reason: row.reason,
            attempts: unsigned("attempts", row.attempts.into())?,
            created_at: row.created_at,
            redrivable: row.redrivable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_nothing_else_is_one() {
        for id in ["in-7", "out-9223372036854775807"] {
            assert_eq!(id.parse::<DeadLetterId>().unwrap().to_string(), id);
        }
        for given in ["", "7", "in-", "in-0", "in--7", "up-7", "in-7 ", "IN-7"] {
            assert!(given.parse::<DeadLetterId>().is_err(), "{given}");
        }
    }
}
