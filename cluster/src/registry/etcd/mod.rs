//! The registry in etcd.
//!
//! Decisions, each against something that bites:
//! - One client per endpoint, one of them in use, the next after a call that failed (`members`). The client's own
//!   balancer picks at random and would go on sending its share of the keepalives to a member that is frozen.
//! - Every call has a timeout, for a connection to a frozen member fails only after pings have gone unanswered.
//! - `hasleader` on every call: a member that is cut off from its quorum refuses at once and ends its watches.
//! - A keepalive is a stream of its own. The client's keeper only enqueues, so an answer read from a shared stream
//!   might belong to an earlier request, and a deadline counted from the later one would be too late.
//! - A write whose answer did not come is `Unavailable`: it may have happened, and may still happen.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use etcd_client::{Client, ConnectOptions, GetOptions, KeyValue, Txn};
use parking_lot::Mutex;
use roost_model::ids::{ClusterName, Incarnation, Revision};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Change, Commit, Entry, Guard, Listing, Op, Registry, RegistryError, Update};

mod convert;
mod fault;
mod members;
mod watch;

use fault::Fault;
use members::Rotation;

/// Keys of one page of a listing: far below [`LISTING_LIMIT`] with records of the usual kilobytes.
const PAGE_KEYS: i64 = 512;
/// Likewise of one without values.
const BARE_PAGE_KEYS: i64 = 8_192;
/// The largest page that is taken in; the client's own limit is 4 MiB.
const LISTING_LIMIT: usize = 64 << 20;
/// A member that was silent is passed over for so many timeouts; that is a TTL.
const SHUNNED_FOR: u32 = 5;
/// etcd drops clients that ping more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(6);

/// A client of one cluster's keys. Survives restarts of etcd: each call connects anew when it must.
pub struct EtcdRegistry {
    prefix: String,
    members: Vec<Client>,
    rotation: Mutex<Rotation>,
    request_timeout: Duration,
}

impl EtcdRegistry {
    /// Does not wait for etcd, which may be down. `request_timeout` is [`crate::timing::Timing::request_timeout`].
    pub async fn connect(
        endpoints: &[String],
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, RegistryError> {
        const STEP: &str = "connect";
        let refused = |reason: String| RegistryError::Refused { step: STEP, reason };
        let cluster = ClusterName::new(cluster).map_err(|error| refused(error.to_string()))?;
        if endpoints.is_empty() {
            return Err(refused("no endpoint was given".to_owned()));
        }
        let options = ConnectOptions::new()
            .with_connect_timeout(request_timeout)
            .with_keep_alive(PING_EVERY, request_timeout * 2)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        let mut members = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let member = Client::connect([endpoint], Some(options.clone()))
                .await
                .map_err(|error| refused(format!("endpoint {endpoint:?}: {error}")))?;
            members.push(member);
        }
        // Anyone first, so that a member that fails is not everybody's.
        let first = usize::from(Uuid::now_v7().into_bytes()[15]);
        Ok(Self {
            prefix: format!("/roost/v1/{cluster}/"),
            rotation: Mutex::new(Rotation::new(members.len(), first, request_timeout * SHUNNED_FOR)),
            members,
            request_timeout,
        })
    }

    fn full_key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
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
        let called = call(self.members[member].clone());
        let Ok(answered) = tokio::time::timeout(self.request_timeout, called).await else {
            self.rotation.lock().silent(member, Instant::now());
            return Err(Fault::timed_out(step, self.request_timeout));
        };
        let outcome = answered.map_err(|error| Fault::from_client(step, error));
        let mut rotation = self.rotation.lock();
        match &outcome {
            Err(Fault::Unavailable { .. }) => rotation.failed(member, Instant::now()),
            Ok(_) | Err(Fault::LeaseGone { .. } | Fault::Refused { .. }) => rotation.answered(member),
        }
        drop(rotation);
        outcome
    }

    /// Everything under a prefix, page after page at one revision, with that revision.
    async fn range(&self, prefix: &str, pages: Pages) -> Result<(Vec<KeyValue>, i64), Fault> {
        const STEP: &str = "listing keys";
        let Pages { of, options, mut revision } = pages;
        let mut from = self.full_key(prefix).into_bytes();
        let end = convert::end_of_prefix(&from);
        let mut all = Vec::new();
        loop {
            let options = options.clone().with_range(end.clone()).with_limit(of).with_revision(revision);
            let start = from.clone();
            let mut page = self
                .call(STEP, |client| async move {
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
                from = convert::successor(last.key());
            }
            all.extend(found);
            if !more {
                return Ok((all, revision));
            }
        }
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
        let answer = self.call(STEP, |client| async move { client.kv_client().get(key, None).await }).await?;
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
        let lease =
            self.call(STEP, |client| async move { client.lease_client().grant(wanted, None).await }).await?;
        if lease.ttl() < wanted {
            // A longer one is safe: the holder stops earlier than it must. A shorter one is not.
            let reason = format!("it granted {} s instead of {wanted} s", lease.ttl());
            return Err(RegistryError::Refused { step: STEP, reason });
        }
        Ok(Incarnation(lease.id()))
    }

    async fn keep_alive(&self, lease: Incarnation) -> Result<(), RegistryError> {
        self.call("renewing a lease", |client| async move {
            client.lease_client().keep_alive(lease.0).await.map(|_the_first_answer_is_all_we_want| ())
        })
        .await
        .map_err(|fault| fault.about(Some(lease)))
    }

    async fn revoke(&self, lease: Incarnation) -> Result<(), RegistryError> {
        let outcome = self
            .call("revoking a lease", |client| async move { client.lease_client().revoke(lease.0).await })
            .await;
        match outcome {
            Ok(_) | Err(Fault::LeaseGone { .. }) => Ok(()),
            Err(fault @ (Fault::Unavailable { .. } | Fault::Refused { .. })) => Err(fault.into()),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Entry>, RegistryError> {
        let key = self.full_key(key);
        let mut answer = self
            .call("reading a key", |client| async move { client.kv_client().get(key, None).await })
            .await?;
        Ok(answer.take_kvs().pop().map(|found| convert::entry(&self.prefix, found)))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, RegistryError> {
        let pages = Pages { of: PAGE_KEYS, options: GetOptions::new(), revision: 0 };
        let (found, revision) = self.range(prefix, pages).await?;
        let entries = found.into_iter().map(|one| convert::entry(&self.prefix, one)).collect();
        Ok(Listing { entries, revision: Revision(revision) })
    }

    /// Two listings at the first one's revision: the keys without their values, and the values that are new. etcd
    /// looks through all of them and sends few.
    async fn list_since(&self, prefix: &str, since: Revision) -> Result<Update, RegistryError> {
        let pages = Pages { of: BARE_PAGE_KEYS, options: GetOptions::new().with_keys_only(), revision: 0 };
        let (found, revision) = self.range(prefix, pages).await?;
        let keys: Vec<(String, Revision)> = found
            .iter()
            .map(|one| (convert::relative(&self.prefix, one.key()), Revision(one.mod_revision())))
            .collect();
        let mut written = Vec::new();
        if keys.iter().any(|(_, modified)| *modified > since) {
            let options = GetOptions::new().with_min_mod_revision(since.0 + 1);
            let (found, _) = self.range(prefix, Pages { of: PAGE_KEYS, options, revision }).await?;
            written.extend(found.into_iter().map(|one| convert::entry(&self.prefix, one)));
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
        let compares: Vec<_> = guards.iter().map(|guard| convert::compare(&self.prefix, guard)).collect();
        let writes: Vec<_> = ops.iter().map(|op| convert::write(&self.prefix, op)).collect();
        let txn = Txn::new().when(compares).and_then(writes);
        let answer = self
            .call(STEP, |client| async move { client.kv_client().txn(txn).await })
            .await
            .map_err(|fault| fault.about(lease))?;
        if !answer.succeeded() {
            return Ok(Commit::Refused);
        }
        let header = answer.header().ok_or_else(|| Fault::bare_answer(STEP))?;
        Ok(Commit::Done { revision: Revision(header.revision()) })
    }

    async fn watch(
        &self,
        prefix: &str,
        after: Revision,
    ) -> Result<mpsc::Receiver<Vec<Change>>, RegistryError> {
        let key = self.full_key(prefix);
        let (member, ended) = {
            let rotation = self.rotation.lock();
            (rotation.current(), rotation.watches_of(rotation.current()))
        };
        let stream =
            self.call_to(member, "starting a watch", |client| watch::open(client, key, after)).await?;
        Ok(watch::pump(stream, self.prefix.clone(), ended))
    }
}
