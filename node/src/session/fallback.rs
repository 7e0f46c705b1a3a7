//! What is used of a session when the newest of it is damaged: the next older one of the profile on this node and the snapshots,
//! in the order of their generations, never one of a session that was forgotten.
//!
//! Going back replays an older ratchet, so it is done for proven damage only: an object that is missing, or does not open under
//! a key that is here, or is not what it should be, each twice; or a database that a browser would throw away. What cannot be
//! read for now, or not with the keys that are here, is waited for.
//!
//! One that was passed over is told by [`LockedProfile::prepare_or_find_damage`], and counts for nothing once
//! [`LockedProfile::pass_over`] has marked it: then the next try finds the next older one, here and on any node.

use std::fmt;
use std::time::Duration;

use roost_model::{causes, ids::Generation};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

use super::manifest::ManifestName;
use super::profile::{LockedProfile, ProfileStamp};
use super::restore::{PreparedProfile, SessionSource, choose};
use super::{INDEXED_DB, SessionError, SnapshotRef, SnapshotStore, leveldb};

/// From what looks like damage to the second look.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What came of making a profile ready.
#[derive(Debug)]
pub enum Preparation {
    Ready(PreparedProfile),
    Damaged(Box<Damage>),
}

/// Something of a session is damaged, and there is something else to go on from.
#[derive(Debug)]
pub struct Damage {
    part: SessionPart,
    error: SessionError,
    /// The newest snapshot without it.
    pub newest: Option<SnapshotRef>,
    /// What the session goes on from; none when the tenant has to scan.
    next: Option<SessionPart>,
}

/// Of what a session may be opened from.
#[derive(Debug, Clone)]
enum SessionPart {
    Profile(Generation),
    Snapshot(SnapshotRef),
}

impl LockedProfile {
    /// As [`LockedProfile::prepare`], but tells of damage where there is something older to go on from.
    pub async fn prepare_or_find_damage(
        &self,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        generation: Generation,
    ) -> Result<Preparation, SessionError> {
        if let Some(stamp) = self.stamp()
            && choose(Some(&stamp), newest) == SessionSource::Local
            && let Some(error) = self.damage_here(&stamp).await?
            && let Some(damage) = self.without_profile(snapshots, newest, &stamp, error).await?
        {
            return Ok(Preparation::Damaged(Box::new(damage)));
        }
        match self.prepare(snapshots, newest, generation).await {
            Err(error) if error.shows_damage() => sleep(ASK_AGAIN_AFTER).await,
            done => return done.map(Preparation::Ready),
        }
        match (self.prepare(snapshots, newest, generation).await, newest) {
            (Err(error), Some(newest)) if error.shows_damage() => self
                .without_snapshot(snapshots, newest, error)
                .await
                .map(|damage| Preparation::Damaged(Box::new(damage))),
            (done, _) => done.map(Preparation::Ready),
        }
    }

    /// From now on what is damaged counts for nothing. A profile is set aside once there is another one in its place.
    pub async fn pass_over(&self, snapshots: &SnapshotStore, damage: &Damage) -> Result<(), SessionError> {
        match &damage.part {
            SessionPart::Snapshot(snapshot) => {
                self.beginning.after(self.named(snapshot));
                snapshots.mark_damaged(&self.named(snapshot)).await
            }
            SessionPart::Profile(_) => {
                let stamp = self.stamp().map(|stamp| ProfileStamp { is_damaged: true, ..stamp });
                stamp.map_or(Ok(()), |stamp| self.write_stamp(&stamp))
            }
        }
    }

    /// Why a browser would find less here than the stamp says.
    async fn damage_here(&self, stamp: &ProfileStamp) -> Result<Option<SessionError>, SessionError> {
        let (browser_dir, has_session) = (self.browser_dir(), stamp.has_session);
        let looked = move || {
            let found = match browser_dir.try_exists() {
                Ok(false) => Vec::new(),
                _ => leveldb::check_in_place(&browser_dir)?,
            };
            if has_session && !found.iter().any(|file| file.path.starts_with(INDEXED_DB)) {
                return Err(SessionError::Torn { database: INDEXED_DB.into(), reason: "it is gone".into() });
            }
            Ok(())
        };
        match self.work_on_files(looked).await {
            Err(error) if error.shows_damage() => Ok(Some(error)),
            looked => looked.map(|()| None),
        }
    }

    /// None when nothing would be lost with it: it never had a session, as far as is known, and no other is known.
    async fn without_profile(
        &self,
        snapshots: &SnapshotStore,
        newest: Option<&SnapshotRef>,
        stamp: &ProfileStamp,
        error: SessionError,
    ) -> Result<Option<Damage>, SessionError> {
        if newest.is_none() && !stamp.has_session {
            return Ok(None);
        }
        // Also what this generation has saved and the pointer does not name.
        let newest = self.newest_before(snapshots, None).await?.or_else(|| newest.cloned());
        let part = SessionPart::Profile(stamp.generation);
        Ok(Some(Damage { part, error, next: newest.clone().map(SessionPart::Snapshot), newest }))
    }

    /// The error itself when there is nothing older.
    async fn without_snapshot(
        &self,
        snapshots: &SnapshotStore,
        damaged: &SnapshotRef,
        error: SessionError,
    ) -> Result<Damage, SessionError> {
        if snapshots.listing(self.uid()).await?.is_empty() {
            return Err(error);
        }
        let newest = self.newest_before(snapshots, Some(&self.named(damaged))).await?;
        let stamp = self.stamp();
        let next = match choose(stamp.as_ref(), newest.as_ref()) {
            SessionSource::Local => stamp.map(|stamp| SessionPart::Profile(stamp.generation)),
            SessionSource::Restored { .. } => newest.clone().map(SessionPart::Snapshot),
            SessionSource::Fresh => return Err(error),
        };
        Ok(Damage { part: SessionPart::Snapshot(damaged.clone()), error, newest, next })
    }

    async fn newest_before(
        &self,
        snapshots: &SnapshotStore,
        before: Option<&ManifestName>,
    ) -> Result<Option<SnapshotRef>, SessionError> {
        let listing = snapshots.listing(self.uid()).await?;
        for name in listing.restorable().rev().filter(|name| before.is_none_or(|before| *name < before)) {
            if let Some(manifest) = snapshots.readable(name).await?
                && self.takes_up(&manifest)
            {
                return Ok(Some(manifest.reference()));
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged ({}); ", self.part, causes(&self.error))?;
        match &self.next {
            Some(next) => write!(f, "the session goes on from {next}"),
            None => f.write_str("nothing else was saved of the session, and the tenant has to scan"),
        }
    }
}

impl fmt::Display for SessionPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(generation) => write!(f, "the profile of generation {generation} on this node"),
            Self::Snapshot(SnapshotRef { generation, sequence, taken_at, .. }) => {
                write!(f, "the snapshot {generation}-{sequence} of {}", to_the_second(*taken_at))
            }
        }
    }
}

fn to_the_second(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}
