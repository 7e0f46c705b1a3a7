//! Who may act as the controller.
//!
//! The leader is whoever created the key `leader`, for as long as the key is there; it is leased, so it goes with its
//! holder. Being leader is not a right to act but a guard: every write of a controller names the lease of its key, and
//! etcd refuses it once the key is gone or is another's. A controller that was frozen and wakes up
//! believing that it leads therefore changes nothing. etcd's own election is not used: its `campaign` returns
//! successfully although the lease has ended meanwhile, and its key is not of our naming.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use roost_model::{
    causes,
    ids::{Incarnation, Revision},
};

use crate::{
    clock::Clock,
    keys,
    lease::HeldKey,
    records::{ChallengerRecord, LeaderRecord},
    registry::{Change, Commit, Guard, Op, Registry, RegistryError},
    timing::Timing,
};

/// An election won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership {
    pub lease: Incarnation,
    /// The create revision of the leader's key: how far the store was.
    pub revision: Revision,
    /// The clock before the lease was asked for.
    pub sent_at: Duration,
}

impl Leadership {
    /// What is to be kept alive.
    pub fn held(&self) -> HeldKey {
        HeldKey { lease: self.lease, key: keys::LEADER.to_owned(), sent_at: self.sent_at }
    }

    /// What every write of the leader is guarded by.
    pub fn guard(&self) -> Guard {
        Guard::HeldBy { key: keys::LEADER.to_owned(), lease: self.lease }
    }
}

/// Where in a span this candidate's turn is. Candidates that all wait for the same moment do not all stand in it; the same
/// candidate's turn is always the same.
pub fn stagger(holder: &str, span: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    holder.hash(&mut hasher);
    span.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
}

/// Becomes the leader if there is none.
pub async fn stand(
    registry: &dyn Registry,
    clock: &dyn Clock,
    timing: &Timing,
    candidate: &LeaderRecord,
) -> Result<Option<Leadership>, RegistryError> {
    if registry.get(keys::LEADER).await?.is_some() {
        return Ok(None);
    }
    let sent_at = clock.now();
    let lease = registry.grant(timing.ttl).await?;
    let absent = Guard::Absent { key: keys::LEADER.to_owned() };
    let claim = Op::Put { key: keys::LEADER.to_owned(), value: keys::encode(candidate), lease: Some(lease) };
    match registry.commit(&[absent], &[claim]).await {
        Ok(Commit::Done { revision }) => Ok(Some(Leadership { lease, revision, sent_at })),
        Ok(Commit::Refused) => registry.revoke(lease).await.map(|()| None),
        Err(error) => {
            // The claim may have been taken or may be taken yet: without its lease it cannot be.
            if let Err(error) = registry.revoke(lease).await {
                tracing::debug!(error = %causes(&error), %lease, "the lease of a doubtful claim is left to end by itself");
            }
            Err(error)
        }
    }
}

/// Asks a leader that is a node to give way to `candidate`, once in that leader's term; `None` if there is none to ask.
pub async fn challenge(
    registry: &dyn Registry,
    timing: &Timing,
    candidate: &LeaderRecord,
    challenged: Option<Incarnation>,
) -> Result<Option<Incarnation>, RegistryError> {
    let Some(entry) = registry.get(keys::LEADER).await? else { return Ok(None) };
    let Some(leader) = entry.lease.filter(|_| !candidate.is_node()) else { return Ok(None) };
    if !keys::decode::<LeaderRecord>(&entry)?.is_node() {
        return Ok(None);
    }
    if challenged == Some(leader) {
        return Ok(challenged);
    }
    let lease = registry.grant(timing.ttl * 12).await?;
    let record = ChallengerRecord { holder: candidate.holder.clone(), leader };
    let leads = Guard::HeldBy { key: keys::LEADER.to_owned(), lease: leader };
    let put = Op::Put { key: keys::CHALLENGER.to_owned(), value: keys::encode(&record), lease: Some(lease) };
    match registry.commit(&[leads], &[put]).await? {
        Commit::Done { .. } => {
            tracing::info!(holder = candidate.holder, %leader, "a node leads: it is asked to give way");
            Ok(Some(leader))
        }
        Commit::Refused => registry.revoke(lease).await.map(|()| None),
    }
}

/// Resolves when standing is worth a try: the leader's key has gone, or nobody has looked for a while.
pub async fn vacancy(registry: &dyn Registry, timing: &Timing) -> Result<(), RegistryError> {
    let seen = registry.read(keys::LEADER).await?;
    if seen.entry.is_none() {
        return Ok(());
    }
    let mut changes = registry.watch_key(keys::LEADER, seen.revision).await?;
    let gone = async {
        while let Some(batch) = changes.recv().await {
            if batch.iter().any(|change| matches!(change, Change::Delete { .. })) {
                return;
            }
        }
    };
    // Both outcomes are the same: look again.
    let _either = tokio::time::timeout(timing.candidate_retry, gone).await;
    Ok(())
}
