//! The registry, judged by one suite on both of its implementations: in memory, where the simulations run, and a real
//! etcd, where the product runs. What holds of one and not of the other would make the simulations worthless.
//!
//! Then what only a real etcd does: it restarts, it freezes, its members fail one by one. And the controller on it,
//! for the time that a failover takes.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test, in its helpers too")]

mod backend;
mod commits;
mod controller;
mod failures;
mod leases;
mod listings;
mod watches;

use std::{future::Future, pin::Pin, sync::Arc};

use backend::Backend;

type Check = (&'static str, fn(Arc<Backend>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// Names of async functions over a [`Backend`], as [`Check`]s.
macro_rules! checks {
    ($($module:ident: $($check:ident),+ $(,)?;)+) => {
        [$($((stringify!($check), |backend| Box::pin($module::$check(backend)))),+),+]
    };
}

const CHECKS: &[Check] = &checks! {
    leases:
        keys_go_with_their_lease_and_not_before,
        a_lease_that_is_kept_alive_stays,
        a_lease_that_has_ended_is_lost_to_its_keeper,
        a_lease_that_was_never_granted_is_lost_to_its_keeper,
        revoking_ends_a_lease_with_its_keys_and_may_be_repeated,
        a_time_to_live_that_is_not_in_whole_seconds_is_refused;
    commits:
        a_key_is_read_as_it_was_written,
        a_guard_that_does_not_hold_keeps_everything_from_being_written,
        all_guards_have_to_hold,
        a_key_that_was_deleted_and_made_anew_is_another_for_its_guards,
        a_commit_takes_so_many_operations_and_no_more,
        a_key_is_written_once_in_a_commit,
        a_put_under_a_lease_that_has_ended_writes_nothing,
        deleting_what_is_not_there_is_fine;
    listings:
        a_listing_has_what_begins_with_the_prefix_in_order_of_keys,
        a_listing_of_more_keys_than_a_page_is_whole,
        a_listing_of_more_bytes_than_the_client_takes_at_once_is_whole,
        a_listing_since_a_revision_has_every_key_and_what_was_written_after,
        a_listing_since_a_revision_says_what_is_gone_and_what_came_back,
        a_listing_since_a_revision_is_whole_when_it_is_large;
    watches:
        a_watch_sees_the_changes_under_its_prefix_in_order,
        a_watch_begins_after_the_revision_it_is_given,
        a_key_alone_is_read_and_watched_without_those_that_begin_with_it,
        a_watch_sees_a_lease_end,
        a_watch_sees_a_large_commit_whole;
};

#[tokio::test]
async fn the_registry_in_memory_keeps_its_promises() {
    run_all(|_| Backend::memory()).await;
    watches::a_watch_from_before_a_compaction_ends(Backend::memory().await).await;
}

#[tokio::test]
async fn the_registry_in_etcd_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    let etcd = roost_devcluster::Etcd::start(dir.path()).await.unwrap();
    run_all(|number| Backend::etcd(etcd.endpoint().to_owned(), number)).await;
    // Alone, for it ends the watches of everyone.
    let backend = Backend::etcd(etcd.endpoint().to_owned(), CHECKS.len()).await;
    watches::a_watch_from_before_a_compaction_ends(backend).await;
}

/// All at once, for most of what they do is to wait for leases to end; each has keys of its own.
async fn run_all<F: Future<Output = Backend>>(backend: impl Fn(usize) -> F) {
    let mut running = Vec::new();
    for (number, (name, check)) in CHECKS.iter().enumerate() {
        let backend = Arc::new(backend(number).await);
        running.push((*name, tokio::spawn(check(backend))));
    }
    let mut failed = Vec::new();
    for (name, check) in running {
        if check.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
