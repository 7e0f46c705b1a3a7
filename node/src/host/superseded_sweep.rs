//! The hour's sweep of profiles whose tenants have moved to other nodes. They hold credentials, and nobody opens them any more: a
//! later owner's snapshot is newer. They stay for a time in which that owner's snapshots may turn out to be damaged.
//!
//! What a crash has left between two renames, and directories without a stamp, go by the names of the profiles' directories.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use roost_model::{
    causes,
    ids::{Generation, NodeId},
};
use roost_store::{SessionPlace, StoreError};

use super::env::HostEnv;
use crate::{
    blocking::run_blocking,
    session::{LockedProfile, Profile, Profiles, SessionError},
};

const EVERY: Duration = Duration::from_secs(3600);
/// Tenants that the database is asked about at once.
const BATCH: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub(super) enum SupersededSweepError {
    #[error("the database could not be asked where the sessions are")]
    Store(#[from] StoreError),
    #[error("the profiles could not be listed")]
    Listing(#[source] SessionError),
}

pub(super) struct SupersededSweep {
    host: Arc<HostEnv>,
    node: NodeId,
    retention: Duration,
    swept_at: Option<Instant>,
}

impl SupersededSweep {
    /// `retention`: for how long a later snapshot has to be known before a profile goes.
    pub(super) fn new(host: Arc<HostEnv>, node: NodeId, retention: Duration) -> Self {
        Self { host, node, retention, swept_at: None }
    }

    /// The hour's sweep, if it is due.
    pub(super) async fn round(&mut self) -> Result<(), SupersededSweepError> {
        if self.swept_at.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        let profiles = self.host.node.profiles.clone();
        let listed = run_blocking(move || profiles.tenants()).await;
        let tenants: Vec<_> = listed.map_err(SupersededSweepError::Listing)?.into_iter().collect();
        let mut removed = 0;
        for batch in tenants.chunks(BATCH) {
            let places = self.host.node.store.session_places(batch).await?;
            removed += sweep(&self.host.node.profiles, &self.node, self.retention, places).await;
        }
        if removed > 0 {
            tracing::info!(removed, "removed the profiles of tenants that have moved to other nodes");
        }
        self.swept_at = Some(Instant::now());
        Ok(())
    }
}

/// Answers with how many profiles are removed. One that cannot be holds up no other: the next sweep tries it again.
async fn sweep(profiles: &Profiles, node: &NodeId, retention: Duration, places: Vec<SessionPlace>) -> usize {
    let mut removed = 0;
    for place in places {
        let tenant = place.tenant.clone();
        let (profile, node) = (profiles.of(&place.tenant, place.uid), node.clone());
        let swept = async {
            match run_blocking(move || take_due(&profile, &node, retention, &place)).await? {
                Some(due) => due.remove().await.map(|()| true),
                None => Ok(false),
            }
        };
        match swept.await {
            Ok(is_removed) => removed += usize::from(is_removed),
            Err(error) => {
                tracing::warn!(%tenant, error = %causes(&error), "the profile of a tenant that has moved was not removed");
            }
        }
    }
    removed
}

/// The profile, if it is to go and nobody holds it. Blocking.
fn take_due(
    profile: &Profile,
    node: &NodeId,
    retention: Duration,
    place: &SessionPlace,
) -> Result<Option<LockedProfile>, SessionError> {
    // The directory is of another tenant of that name.
    if !profile.exists() {
        return Ok(None);
    }
    let last = profile.last_generation()?;
    if !is_superseded(last, place, node) {
        profile.is_not_superseded()?;
        return Ok(None);
    }
    if profile.superseded_for(last, SystemTime::now())? < retention {
        return Ok(None);
    }
    let locked = match profile.lock() {
        Ok(locked) => locked,
        Err(SessionError::InUse { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    // It may have been used between the look and the lock.
    Ok((profile.last_generation()? <= last).then_some(locked))
}

/// Whether nothing that this generation has left here is opened any more: a later owner, elsewhere, goes on from a snapshot that
/// is newer. As long as that is not recorded the profile here may be the newest there is.
fn is_superseded(last: Generation, place: &SessionPlace, node: &NodeId) -> bool {
    let is_elsewhere = place.node.as_ref().is_some_and(|owner| owner != node);
    is_elsewhere && place.generation > last && place.snapshot.is_some_and(|snapshot| snapshot > last)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use roost_engine::run_as::RunAs;
    use roost_model::ids::TenantId;
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;
    use crate::session::{SnapshotKeys, SnapshotStore};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn name(node: &str) -> NodeId {
        NodeId::new(node).unwrap()
    }

    /// Where `t` is.
    fn place(node: Option<&str>, generation: i64, snapshot: Option<i64>) -> SessionPlace {
        SessionPlace {
            tenant: TenantId::new("t").unwrap(),
            uid: Uuid::from_u128(7 << 96),
            node: node.map(name),
            generation: Generation(generation),
            snapshot: snapshot.map(Generation),
        }
    }

    #[test]
    fn a_profile_is_superseded_once_a_later_owner_elsewhere_has_saved() {
        let decided = |node, generation, snapshot| {
            is_superseded(Generation(5), &place(node, generation, snapshot), &name("here"))
        };
        assert!(decided(Some("there"), 6, Some(6)));
        assert!(decided(Some("there"), 9, Some(6)), "an owner in between has saved");
        assert!(!decided(Some("here"), 6, Some(6)), "it is back");
        assert!(!decided(None, 6, Some(6)), "it is nobody's");
        assert!(!decided(Some("there"), 6, Some(5)), "what is here went on after that");
        assert!(!decided(Some("there"), 6, None), "nothing was saved");
        assert!(!decided(Some("there"), 5, Some(6)), "the database has gone back");
    }

    /// The disk of the node `here`.
    struct Disk {
        dir: TempDir,
        profiles: Profiles,
    }

    impl Disk {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let profiles = Profiles::open(&dir.path().join("profiles"), RunAs::Caller).unwrap();
            Self { dir, profiles }
        }

        fn profile(&self) -> Profile {
            let place = place(None, 1, None);
            self.profiles.of(&place.tenant, place.uid)
        }

        /// It was used by this generation.
        async fn used(&self, generation: i64) {
            let keys = SnapshotKeys::from_hex(&"07".repeat(32)).unwrap();
            let objects = self.dir.path().join("objects");
            let snapshots = SnapshotStore::open(objects.to_str().unwrap(), keys).unwrap();
            let locked = self.profile().lock().unwrap();
            locked.prepare(&snapshots, None, Generation(generation)).await.unwrap();
        }

        fn in_profile(&self, below: &str) -> std::path::PathBuf {
            self.dir.path().join("profiles/t-00000007").join(below)
        }

        async fn sweep(&self, retention: Duration, place: SessionPlace) -> usize {
            let tenants: Vec<_> = self.profiles.tenants().unwrap().into_iter().collect();
            assert_eq!(tenants, std::slice::from_ref(&place.tenant), "it is listed");
            sweep(&self.profiles, &name("here"), retention, vec![place]).await
        }

        /// The sweep has noted so long ago that there is a later snapshot.
        fn noted_ago(&self, ago: Duration) {
            let noted = File::options().write(true).open(self.in_profile("superseded")).unwrap();
            noted.set_modified(SystemTime::now() - ago).unwrap();
        }
    }

    fn moved() -> SessionPlace {
        place(Some("there"), 6, Some(6))
    }

    #[tokio::test]
    async fn what_was_left_goes_when_a_later_snapshot_has_been_known_for_the_time_that_is_set() {
        let disk = Disk::new();
        disk.used(5).await;
        for beside in ["damaged/browser", "aside/browser", "discarded/browser", "staging"] {
            fs::create_dir_all(disk.in_profile(beside)).unwrap();
        }
        assert_eq!(disk.sweep(Duration::ZERO, place(Some("there"), 6, Some(5))).await, 0, "not saved since");
        assert_eq!(disk.sweep(DAY, moved()).await, 0, "it is known since now");
        disk.noted_ago(DAY);
        assert_eq!(disk.sweep(2 * DAY, moved()).await, 0);
        assert_eq!(disk.sweep(DAY, moved()).await, 1);
        assert!(!disk.in_profile("").exists());
        disk.used(5).await;
        assert_eq!(disk.sweep(Duration::ZERO, moved()).await, 1, "at once");
    }

    #[tokio::test]
    async fn one_that_was_used_again_or_is_of_use_again_is_counted_anew() {
        let disk = Disk::new();
        disk.used(5).await;
        disk.sweep(DAY, moved()).await;
        disk.noted_ago(DAY);
        assert_eq!(disk.sweep(DAY, place(Some("here"), 7, Some(6))).await, 0, "it is back");
        assert_eq!(disk.sweep(DAY, moved()).await, 0, "and away again");
        disk.noted_ago(DAY);
        // Between two sweeps.
        disk.used(7).await;
        assert_eq!(disk.sweep(DAY, place(Some("there"), 8, Some(8))).await, 0);
        assert!(disk.in_profile("current/browser").exists());
    }

    #[tokio::test]
    async fn one_that_is_held_stays() {
        let disk = Disk::new();
        disk.used(5).await;
        let held = disk.profile().lock().unwrap();
        held.make_standby_dir().unwrap();
        assert_eq!(disk.sweep(Duration::ZERO, moved()).await, 0);
        drop(held);
        assert_eq!(disk.sweep(Duration::ZERO, moved()).await, 1);
    }

    #[tokio::test]
    async fn what_a_crash_has_left_between_two_renames_goes_too_by_the_last_of_its_stamps() {
        for place_left in ["aside", "discarded", "incoming", "damaged"] {
            let disk = Disk::new();
            disk.used(5).await;
            fs::rename(disk.in_profile("current"), disk.in_profile(place_left)).unwrap();
            let older = place(Some("there"), 6, Some(4));
            assert_eq!(
                disk.sweep(Duration::ZERO, older).await,
                0,
                "{place_left} is newer than that snapshot"
            );
            assert_eq!(disk.sweep(Duration::ZERO, moved()).await, 1, "{place_left}");
        }
    }

    #[tokio::test]
    async fn a_directory_without_a_readable_stamp_goes_by_its_name() {
        for stamp in [None, Some("{")] {
            let disk = Disk::new();
            disk.used(5).await;
            fs::remove_file(disk.in_profile("current/stamp.json")).unwrap();
            if let Some(stamp) = stamp {
                fs::write(disk.in_profile("current/stamp.json"), stamp).unwrap();
            }
            assert_eq!(
                disk.sweep(Duration::ZERO, place(Some("there"), 6, None)).await,
                0,
                "nothing was saved"
            );
            assert_eq!(disk.sweep(Duration::ZERO, moved()).await, 1, "{stamp:?}");
        }
    }

    #[tokio::test]
    async fn a_tenant_of_the_same_name_has_a_profile_of_its_own() {
        let disk = Disk::new();
        disk.used(5).await;
        let other = SessionPlace { uid: Uuid::from_u128(8 << 96), ..moved() };
        assert_eq!(disk.sweep(Duration::ZERO, other).await, 0);
        assert!(disk.in_profile("current").exists());
    }
}
