//! What goes of the two queues, without an index on the state or on the end of a message: an update that changes such a column
//! would touch every index ([`crate::inbound`]).
//!
//! ```text
//!   walk     in the order of the ids, from where the last one stopped to the first that is young: what is finished goes, and
//!            what is not is marked, once
//!   outlast  those that the walk has marked, and which have finished since
//!   dead     dead letters, by an index of theirs
//! ```
//!
//! Ids grow with time, so the walk meets a row a little later than it is old, and never looks at one again. Two purges do not
//! walk along one queue at once, for its place is a row that they hold: the second one passes over it.

use std::time::Duration;

use super::{BATCH, Batch, KEPT_DONE, batches};
use crate::{Store, StoreError};

/// The statements for one queue. `$came`: when a row came, or earlier; `$stays`: whether it is not finished, or not for long.
/// Times in them count from `$2`, in seconds.
macro_rules! walk {
    ($queue:literal, $came:literal, $stays:literal) => {
        sqlx::query_as!(
            Batch,
            "with place as materialized (
                select after_id from purge_walks where queue = '"
                + $queue
                + "' for update skip locked
            ), page as materialized (
                select ahead.id, ahead.is_old from place cross join lateral (
                    select id, "
                + $came
                + " < now() - make_interval(secs => $2) as is_old from "
                + $queue
                + " where id > place.after_id order by id limit $1
                ) as ahead
            ), old as materialized (
                select id from page
                where id < coalesce((select min(id) from page where not is_old), 9223372036854775807)
            ), held as materialized (
                select id, "
                + $stays
                + " as stays from "
                + $queue
                + " where id = any(array(select id from old)) for update skip locked
            ), reached as materialized (
                -- No further than to what somebody else holds.
                select coalesce(
                    (select min(id) - 1 from (select id from old except select id from held) as others),
                    (select max(id) from old)) as id
            ), gone as (
                delete from "
                + $queue
                + " where id = any(array(select id from held where not stays)) returning id
            ), marked as (
                update "
                + $queue
                + " set outlasted_purge = true where id = any(array(select id from held where stays))
            ), moved as (
                update purge_walks set after_id = reached.id from reached
                where queue = '"
                + $queue
                + "' and reached.id > after_id
            )
            select (select count(*) from gone) as \"gone!\",
                coalesce((select count(*) from page) = $1 and (select max(id) from page) = reached.id, false) as \"more!\"
            from reached",
            BATCH,
            KEPT_DONE.as_secs_f64(),
        )
    };
}

macro_rules! outlast {
    ($queue:literal, $stays:literal) => {
        sqlx::query_as!(
            Batch,
            "with doomed as materialized (
                select id from "
                + $queue
                + " where outlasted_purge and dead_from is null and $2::float8 is not null and not "
                + $stays
                + " order by id limit $1 for update skip locked
            ), gone as (
                delete from "
                + $queue
                + " where id = any(array(select id from doomed)) returning id
            )
            select count(*) as \"gone!\", count(*) = $1 as \"more!\" from gone",
            BATCH,
            KEPT_DONE.as_secs_f64(),
        )
    };
}

macro_rules! dead {
    ($queue:literal, $kept:expr) => {
        sqlx::query_as!(
            Batch,
            "with doomed as materialized (
                select id from "
                + $queue
                + " where dead_from < now() - (
                    select greatest(make_interval(days => message_retention_days), make_interval(secs => $2))
                    from cluster_policy
                ) order by dead_from limit $1 for update skip locked
            ), gone as (
                delete from "
                + $queue
                + " where id = any(array(select id from doomed)) returning id
            )
            select count(*) as \"gone!\", count(*) = $1 as \"more!\" from gone",
            BATCH,
            $kept.as_secs_f64(),
        )
    };
}

impl Store {
    /// What is finished stays for [`KEPT_DONE`] after its end. No id goes before its message is too old to be answered,
    /// whatever the retention of dead letters is.
    pub(super) async fn purge_inbound(&self, max_batches: u32) -> Result<u64, StoreError> {
        let walked = batches(max_batches, || {
            self.one(
                "purge the inbound queue",
                walk!(
                    "bm_in",
                    "received_at",
                    "(state in ('PENDING', 'DEAD') or coalesce(done_at >= now() - make_interval(secs => $2), false))"
                ),
            )
        });
        let outlasted = batches(max_batches, || {
            self.one(
                "purge what the walk along the inbound queue has left",
                outlast!(
                    "bm_in",
                    "(state in ('PENDING', 'DEAD') or coalesce(done_at >= now() - make_interval(secs => $2), false))"
                ),
            )
        });
        let dead = batches(max_batches, || self.one("purge the dead messages", dead!("bm_in", KEPT_DONE)));
        Ok(walked.await? + outlasted.await? + dead.await?)
    }

    /// A sent reply is kept for [`KEPT_DONE`] after it was made, and needed by nothing.
    pub(super) async fn purge_outbound(&self, max_batches: u32) -> Result<u64, StoreError> {
        let walked = batches(max_batches, || {
            self.one(
                "purge the outbound queue",
                walk!("bm_out", "created_at", "(state in ('PENDING', 'DEAD'))"),
            )
        });
        let outlasted = batches(max_batches, || {
            self.one(
                "purge what the walk along the outbound queue has left",
                outlast!("bm_out", "(state in ('PENDING', 'DEAD'))"),
            )
        });
        let dead =
            batches(max_batches, || self.one("purge the dead replies", dead!("bm_out", Duration::ZERO)));
        Ok(walked.await? + outlasted.await? + dead.await?)
    }
}
