//! The registry in etcd.
//!
//! Decisions, each against something that bites:
//! - One client per endpoint, one of them in use, the next after a call that failed (`members`). The client's own
//!   balancer picks at random and would go on sending its share of the keepalives to a member that is frozen.
//! - Every call has a timeout, for a connection to a frozen member fails only after pings have gone unanswered.
//! - `hasleader` on every call: a member that is cut off from its quorum refuses at once and ends its watches.
//! - A keepalive is a stream of its own. The client's keeper only enqueues, so an answer read from a shared stream
//!   might belong to an earlier request, and a deadline counted from the later one would be too late. And it proves
//!   nothing by itself (`renewal`).
//! - Linearizable answers are compared with what was known before: a store that went back is another (`lineage`).
//! - A write whose answer did not come is `Unavailable`: it may have happened, and may still happen.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use etcd_client::{Client, Error, GetOptions, KeyValue, Txn, WatchOptions, WatchStream};
use parking_lot::Mutex;
use roost_model::{
    causes,
    ids::{ClusterName, Incarnation, Revision},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Change, Commit, Guard, Listing, Op, Reading, Registry, RegistryError, Update, WATCH_BUFFER,
    lineage::{Known, Lineage},
};

mod access;
mod connect;
mod convert;
mod fault;
mod logins;
mod members;
mod open_watch;
mod renewal;

pub use access::{EtcdAccess, EtcdAccessArgs, EtcdAccessError};
use convert::{Linearizable, changes, compare, end_of_prefix, entry, relative, successor, write};
use fault::Fault;
use logins::Logins;
use members::Rotation;
use open_watch::open_watch;
use renewal::Renewals;

/// Keys of one page of a listing: far below [`LISTING_LIMIT`] with records of the usual kilobytes.
const PAGE_KEYS: i64 = 512;
/// Likewise of one without values.
const BARE_PAGE_KEYS: i64 = 8_192;
/// The largest page that is taken in; the client's own limit is 4 MiB.
const LISTING_LIMIT: usize = 64 << 20;
/// A member that was silent is passed over for so many timeouts; that is a TTL.
const SHUNNED_FOR: u32 = 5;

/// A client of one cluster's keys. Survives restarts of etcd: each call connects anew when it must.
pub struct EtcdRegistry {
    prefix: String,
    endpoints: Vec<String>,
    /// One for each endpoint.
    members: Vec<Client>,
    logins: Logins,
    rotation: Mutex<Rotation>,
    lineage: Mutex<Lineage>,
    renewals: Mutex<Renewals>,
    request_timeout: Duration,
}

impl EtcdRegistry {
    /// Does not wait for etcd, which may be down. `request_timeout` is [`crate::timing::Timing::request_timeout`].
    pub async fn connect(
        endpoints: &[String],
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, RegistryError> {
        Self::connect_by(endpoints, cluster, request_timeout, EtcdAccess::default()).await
    }

    /// The same, by certificates and as a user.
    pub async fn connect_by(
        endpoints: &[String],
        cluster: &str,
        request_timeout: Duration,
        access: EtcdAccess,
    ) -> Result<Self, RegistryError> {
        const STEP: &str = "connect";
        let refused = |reason: String| RegistryError::Refused { step: STEP, reason };
        let cluster = ClusterName::new(cluster).map_err(|error| refused(error.to_string()))?;
        if endpoints.is_empty() {
            return Err(refused("no endpoint was given".to_owned()));
        }
        let members =
            connect::each(endpoints, request_timeout, access.tls.as_ref()).await.map_err(refused)?;
        // Anyone first, so that a member that fails is not everybody's.
        let first = usize::from(Uuid::now_v7().into_bytes()[15]);
        Ok(Self {
            prefix: format!("/roost/v1/{cluster}/"),
            rotation: Mutex::new(Rotation::new(members.len(), first, request_timeout * SHUNNED_FOR)),
            endpoints: endpoints.to_vec(),
            logins: Logins::new(access.user, members.len()),
            members,
            lineage: Mutex::default(),
            renewals: Mutex::default(),
            request_timeout,
        })
    }

    /// Returns when etcd has answered. Its refusal of the simplest of questions is an error, for no waiting mends that.
    pub async fn until_answered(&self, retry: Duration) -> Result<(), RegistryError> {
        const STEP: &str = "the first question";
        loop {
            let key = self.prefix.clone();
            let asked =
                self.call(STEP, |client| async move { client.kv_client().get(key, None).await }).await;
            match asked {
                Ok(_) => return Ok(()),
                Err(Fault::Unauthorised { step, reason }) => {
                    return Err(RegistryError::Refused { step, reason: self.logins.not_let_in(&reason) });
                }
                Err(
                    Fault::Unavailable { .. }
                    | Fault::TokenGone { .. }
                    | Fault::LeaseGone { .. }
                    | Fault::Refused { .. }
                    | Fault::Replaced { .. },
                ) => {
                    tokio::time::sleep(retry).await;
                }
            }
        }
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A linearizable read or a transaction: its answer shows whether this is still the same store.
    async fn ask<T, F>(&self, step: &'static str, call: impl FnOnce(Client) -> F) -> Result<T, Fault>
    where
        T: Linearizable,
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let before = self.lineage.lock().known();
        let answer = self.call(step, call).await?;
        self.take_in(step, before, &answer)?;
        Ok(answer)
    }

    fn take_in(&self, step: &'static str, before: Known, answer: &impl Linearizable) -> Result<(), Fault> {
        let header = answer.header_of().ok_or_else(|| Fault::bare_answer(step))?;
        let mut lineage = self.lineage.lock();
        let same = lineage.answered(before, header.cluster_id(), Revision(header.revision()));
        same.map_err(|replaced| Fault::Replaced { step, reason: replaced.to_string() })
    }

    /// One call to the member in use; the next call goes to another one when this one fails for its sake.
    async fn call<T, F>(&self, step: &'static str, call: impl FnOnce(Client) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let member = self.rotation.lock().current();
        self.call_to(member, step, call).await
    }

    async fn call_to<T, F>(
        &self,
        member: usize,
        step: &'static str,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let client = self.members[member].clone();
        let called = async {
            self.logins.log_in(member, &client).await?;
            call(client).await
        };
        let Ok(answered) = tokio::time::timeout(self.request_timeout, called).await else {
            self.rotation.lock().silent(member, Instant::now());
            return Err(Fault::timed_out(step, self.request_timeout));
        };
        let outcome = answered.map_err(|error| Fault::from_client(step, error));
        if matches!(outcome, Err(Fault::Unauthorised { .. } | Fault::TokenGone { .. })) {
            self.logins.refused(member).await;
        }
        let mut rotation = self.rotation.lock();
        match &outcome {
            Err(Fault::Unavailable { .. }) => rotation.failed(member, Instant::now()),
            Ok(_)
            | Err(
                Fault::LeaseGone { .. }
                | Fault::Refused { .. }
                | Fault::Replaced { .. }
                | Fault::TokenGone { .. }
                | Fault::Unauthorised { .. },
            ) => {
                rotation.answered(member);
            }
        }
        drop(rotation);
        outcome
    }

    /// Everything under a prefix, page after page at one revision, with that revision.
    async fn range(&self, prefix: &str, pages: Pages) -> Result<(Vec<KeyValue>, i64), Fault> {
        const STEP: &str = "listing keys";
        let Pages { of, options, mut revision } = pages;
        let mut from = self.full_key(prefix).into_bytes();
        let end = end_of_prefix(&from);
        let mut all = Vec::new();
        loop {
            let options = options.clone().with_range(end.clone()).with_limit(of).with_revision(revision);
            let start = from.clone();
            let mut page = self
                .ask(STEP, |client| async move {
                    client
                        .kv_client()
                        .max_decoding_message_size(LISTING_LIMIT)
                        .get(start, Some(options))
                        .await
                })
                .await?;
            if revision == 0 {
                // The first page fixes the revision of all.
                revision = page.header().ok_or_else(|| Fault::bare_answer(STEP))?.revision();
            }
            let more = page.more();
            let found = page.take_kvs();
            if let Some(last) = found.last() {
                from = successor(last.key());
            }
            all.extend(found);
            if !more {
                return Ok((all, revision));
            }
        }
    }
}

/// Renewing.
impl EtcdRegistry {
    async fn renew(&self, lease: Incarnation, key: &str) -> Result<(), Fault> {
        const STEP: &str = "renewing a lease";
        let (may_live, before) = {
            let lineage = self.lineage.lock();
            (lineage.may_live(lease), lineage.known())
        };
        if !may_live {
            return Err(Fault::LeaseGone { step: STEP });
        }
        let member = self.rotation.lock().current();
        let term_before = self.renewals.lock().term(lease, member);
        let full_key = self.full_key(key);
        let renewed = self.call_to(member, STEP, |client| async move {
            let term = match term_before {
                Some(term) => term,
                None => self.meet(member, &client).await?,
            };
            renewal::renew_and_read(&client, lease, &full_key, term).await
        });
        let mut read = renewed.await?;
        // First of all: a store that went back may well know the lease and the key.
        self.take_in(STEP, before, &read)?;
        if let Some(header) = read.header() {
            self.renewals.lock().renewed(lease, member, header.raft_term());
        }
        match read.take_kvs().pop() {
            Some(found) if found.lease() == lease.0 => Ok(()),
            _ => Err(Fault::LeaseGone { step: STEP }),
        }
    }

    /// The raft term of a member that has not renewed this lease before.
    async fn meet(&self, member: usize, client: &Client) -> Result<u64, Error> {
        let status = client.maintenance_client().status().await?;
        self.renewals.lock().look_at(member, &self.endpoints[member], status.version());
        Ok(status.raft_term())
    }

    fn forget(&self, lease: Incarnation) {
        self.lineage.lock().ended(lease);
        self.renewals.lock().ended(lease);
    }
}

/// How a listing is asked for.
struct Pages {
    /// Keys of one page.
    of: i64,
    options: GetOptions,
    /// 0 for the latest.
    revision: i64,
}

#[async_trait]
impl Registry for EtcdRegistry {
    async fn cluster_id(&self) -> Result<String, RegistryError> {
        const STEP: &str = "reading the cluster id";
        let key = self.prefix.clone();
        let answer = self.ask(STEP, |client| async move { client.kv_client().get(key, None).await }).await?;
        let header = answer.header().ok_or_else(|| Fault::bare_answer(STEP))?;
        Ok(format!("{:016x}", header.cluster_id()))
    }

    async fn grant(&self, ttl: Duration) -> Result<Incarnation, RegistryError> {
        const STEP: &str = "granting a lease";
        if ttl.is_zero() || ttl.subsec_nanos() != 0 {
            let reason = format!("a TTL of {ttl:?} is not in whole seconds");
            return Err(RegistryError::Refused { step: STEP, reason });
        }
        let wanted = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let before = self.lineage.lock().known();
        let lease =
            self.call(STEP, |client| async move { client.lease_client().grant(wanted, None).await }).await?;
        if lease.ttl() < wanted {
            // A longer one is safe: the holder stops earlier than it must. A shorter one is not.
            let reason = format!("it granted {} s instead of {wanted} s", lease.ttl());
            return Err(RegistryError::Refused { step: STEP, reason });
        }
        let lease = Incarnation(lease.id());
        self.lineage.lock().granted(lease, before);
        Ok(lease)
    }

    async fn keep_alive(&self, lease: Incarnation, key: &str) -> Result<(), RegistryError> {
        let renewed = self.renew(lease, key).await;
        if matches!(renewed, Err(Fault::LeaseGone { .. } | Fault::Replaced { .. })) {
            self.forget(lease);
        }
        renewed.map_err(|fault| fault.about(Some(lease)))
    }

    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        let outcome = self
            .call("revoking a lease", |client| async move { client.lease_client().revoke(lease.0).await })
            .await;
        match outcome {
            Ok(_) | Err(Fault::LeaseGone { .. }) => {
                self.forget(lease);
                Ok(())
            }
            Err(
                fault @ (Fault::Unavailable { .. }
                | Fault::Refused { .. }
                | Fault::Replaced { .. }
                | Fault::TokenGone { .. }
                | Fault::Unauthorised { .. }),
            ) => Err(fault.into()),
        }
    }

    async fn read(&self, key: &str) -> Result<Reading, RegistryError> {
        const STEP: &str = "reading a key";
        let key = self.full_key(key);
        let mut answer =
            self.ask(STEP, |client| async move { client.kv_client().get(key, None).await }).await?;
        let revision = answer.header().ok_or_else(|| Fault::bare_answer(STEP))?.revision();
        let entry = answer.take_kvs().pop().map(|found| entry(&self.prefix, found));
        Ok(Reading { entry, revision: Revision(revision) })
    }

    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let pages = Pages { of: PAGE_KEYS, options: GetOptions::new(), revision: 0 };
        let (found, revision) = self.range(prefix, pages).await?;
        let entries = found.into_iter().map(|one| entry(&self.prefix, one)).collect();
        Ok(Listing { entries, revision: Revision(revision) })
    }

    /// Two listings at the first one's revision: the keys without their values, and the values that are new. etcd
    /// looks through all of them and sends few.
    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        let pages = Pages { of: BARE_PAGE_KEYS, options: GetOptions::new().with_keys_only(), revision: 0 };
        let (found, revision) = self.range(prefix, pages).await?;
        let keys: Vec<(String, Revision)> = found
            .iter()
            .map(|one| (relative(&self.prefix, one.key()), Revision(one.mod_revision())))
            .collect();
        let mut written = Vec::new();
        if keys.iter().any(|(_, modified)| *modified > since) {
            let options = GetOptions::new().with_min_mod_revision(since.0 + 1);
            let (found, _) = self.range(prefix, Pages { of: PAGE_KEYS, options, revision }).await?;
            written.extend(found.into_iter().map(|one| entry(&self.prefix, one)));
        }
        Ok(Update { keys, written, revision: Revision(revision) })
    }

    async fn commit(&self, guards: &[Guard], ops: &[Op]) -> Result<Commit, RegistryError> {
        const STEP: &str = "a commit";
        super::check_commit(guards, ops)?;
        let lease = ops.iter().find_map(|op| match op {
            Op::Put { lease, .. } => *lease,
            Op::Delete { .. } => None,
        });
        let compares: Vec<_> = guards.iter().map(|guard| compare(&self.prefix, guard)).collect();
        let writes: Vec<_> = ops.iter().map(|op| write(&self.prefix, op)).collect();
        let txn = Txn::new().when(compares).and_then(writes);
        let answer = self
            .ask(STEP, |client| async move { client.kv_client().txn(txn).await })
            .await
            .map_err(|fault| fault.about(lease))?;
        if !answer.succeeded() {
            return Ok(Commit::Refused);
        }
        let header = answer.header().ok_or_else(|| Fault::bare_answer(STEP))?;
        Ok(Commit::Done { revision: Revision(header.revision()) })
    }

    async fn compact(&self, revision: Revision) -> Result<(), RegistryError> {
        let compacted = self
            .call("compacting", |client| async move { client.kv_client().compact(revision.0, None).await })
            .await;
        match compacted {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_out_of_range() => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.begin_watch(prefix, WatchOptions::new().with_prefix(), after).await
    }

    async fn watch_key(
        &self,
        key: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        self.begin_watch(key, WatchOptions::new(), after).await
    }
}

/// Watching.
impl EtcdRegistry {
    async fn begin_watch(
        &self,
        key: &str,
        keys: WatchOptions,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        let key = self.full_key(key);
        let (member, ended) = {
            let rotation = self.rotation.lock();
            (rotation.current(), rotation.watches_of(rotation.current()))
        };
        let stream =
            self.call_to(member, "starting a watch", |client| open_watch(client, key, keys, after)).await?;
        Ok(follow(stream, self.prefix.clone(), ended))
    }
}

/// A watch as a channel that ends when the watch cannot go on: with the stream, with the reader, or when `ended` is
/// cancelled. Waits for a slow reader: etcd keeps what it has not sent.
fn follow(mut stream: WatchStream, prefix: String, ended: CancellationToken) -> mpsc::Receiver<Vec<Change>> {
    let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = stream.message() => message,
                () = sender.closed() => return,
                () = ended.cancelled() => {
                    tracing::debug!("a watch is on a member that is silent");
                    return;
                }
            };
            match message {
                Ok(Some(answer)) if !answer.canceled() && answer.compact_revision() == 0 => {
                    let changes = changes(&prefix, &answer);
                    if !changes.is_empty() && sender.send(changes).await.is_err() {
                        return;
                    }
                }
                Ok(Some(answer)) => {
                    tracing::debug!(reason = answer.cancel_reason(), "etcd canceled a watch");
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(error = %causes(&error), "a watch was cut off");
                    return;
                }
            }
        }
    });
    receiver
}
