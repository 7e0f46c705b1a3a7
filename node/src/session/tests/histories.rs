//! Owners that save a session, one after the other, over a store whose calls fail, are held up and take effect late; each save
//! may be given up at any point, or its owner frozen there, deposed, and go on later. Now and then an object that the newest
//! snapshot needs is lost before an owner takes over ([`losses`]). Whatever happens, an owner begins from the newest snapshot that
//! is whole, the one that the pointer names from then on is, and the owner's next save works when the store does. Also what owners that
//! were deposed and frozen go on with removes nothing that a later one builds on, or went back to.
//!
//! `ROOST_HISTORIES=10000` draws so many (`make soak`); `ROOST_SEED=7` draws that one alone. Some are drawn over a bucket too
//! (`super::s3`).

use std::{
    collections::BTreeMap,
    env, fs,
    future::poll_fn,
    path::{Path, PathBuf},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::future::BoxFuture;
use object_store::{ObjectStore, memory::InMemory};
use parking_lot::Mutex;
use roost_engine::Page;
use roost_model::ids::Generation;

use super::{TABLE, World, dice::Dice, faulty_store::FaultyStore, files_below, write};
use crate::session::{
    FoundSession, LockedProfile, Preparation, SessionError, SnapshotRef, SnapshotStore, SnapshotTaker,
    objects::Objects,
};

mod losses;

/// Each takes some 50 ms.
const HISTORIES: u64 = 200;
const STEPS: u64 = 24;
/// Of a hundred calls so many fail.
const FAULTS: u64 = 6;
/// Files have more than one piece.
const PIECE: usize = 2;

/// The session's files by path.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// What Postgres has: who owns the tenant, the newest snapshot with what it must hold, and whether the session is to be
/// forgotten.
#[derive(Default)]
struct Pointer {
    owner: i64,
    newest: Option<(SnapshotRef, Contents)>,
    forgetting: bool,
    /// What each owner had in its profile when it began to save, of the session that there is now.
    had: Vec<(i64, Contents)>,
    /// What each snapshot must hold of which its owner knows that it is taken.
    taken: Vec<(SnapshotRef, Contents)>,
}

impl Pointer {
    /// `false` when the caller is deposed.
    fn set(&mut self, owner: i64, (taken, contents): (SnapshotRef, Contents)) -> bool {
        let order = |of: &SnapshotRef| (of.generation, of.sequence);
        if self.owner == owner && self.newest.as_ref().is_none_or(|(now, _)| order(now) < order(&taken)) {
            self.newest = Some((taken, contents));
        }
        self.owner == owner
    }

    /// An owner has this session from this snapshot.
    fn begun_from(&mut self, newest: SnapshotRef, contents: Contents) {
        assert!(self.had.contains(&(newest.generation.0, contents.clone())), "{newest:?} is of this session");
        if let Some((_, taken)) = self.taken.iter().find(|(taken, _)| taken.manifest == newest.manifest) {
            assert_eq!(*taken, contents, "of {}", newest.manifest);
        }
        self.newest = Some((newest, contents));
    }

    /// That the session is forgotten; `false` when the caller is deposed.
    fn clear(&mut self, owner: i64) -> bool {
        if self.owner == owner {
            (self.newest, self.forgetting) = (None, false);
            self.had.clear();
            self.taken.clear();
        }
        self.owner == owner
    }
}

/// A worker, as far as it saves.
struct Owner {
    generation: i64,
    page: Arc<dyn Page>,
    profile: Arc<LockedProfile>,
    state: tokio::sync::Mutex<OwnerState>,
}

struct OwnerState {
    taker: SnapshotTaker,
    unrecorded: Option<(SnapshotRef, Contents)>,
    /// It has begun to forget.
    forgetting: bool,
}

struct History {
    world: World,
    store: FaultyStore,
    pointer: Arc<Mutex<Pointer>>,
    owner: Arc<Owner>,
    /// What owners, deposed since or not, were doing when they were frozen.
    frozen: Vec<BoxFuture<'static, Result<(), SessionError>>>,
    dice: Dice,
    told: Arc<Mutex<Vec<String>>>,
    /// Some snapshot has named blobs of another generation.
    has_built: bool,
}

impl History {
    async fn begin(
        seed: u64,
        over: Arc<dyn ObjectStore>,
        call_within: Duration,
        told: Arc<Mutex<Vec<String>>>,
    ) -> Self {
        let store = FaultyStore::over(over, Dice::new(seed ^ 0x5eed));
        let objects = Objects::in_store(Arc::new(store.clone()), call_within);
        // In memory, where what is written counts as being on disk at once.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let world = World { snapshots: SnapshotStore::of(objects).in_pieces(PIECE), ..World::in_dir(dir) };
        let pointer = Arc::new(Mutex::new(Pointer::default()));
        let owner = begin_owner(&world, &pointer).await.expect("there is nothing yet");
        Self {
            world,
            store,
            pointer,
            owner,
            frozen: Vec::new(),
            dice: Dice::new(seed),
            told,
            has_built: false,
        }
    }

    async fn step(&mut self) {
        let drawn = self.dice.roll(20);
        self.store.set_faults(FAULTS);
        match drawn {
            0..10 => {
                if drawn < 7 {
                    self.write();
                }
                let save = save(self.owner.clone(), self.pointer.clone(), self.world.snapshots.clone());
                self.attempt("save", Box::pin(save)).await;
            }
            10..12 => {
                self.pointer.lock().forgetting = true;
                let forget = save(self.owner.clone(), self.pointer.clone(), self.world.snapshots.clone());
                self.attempt("forget", Box::pin(forget)).await;
            }
            12 => self.depose().await,
            13 => self.restart().await,
            14..16 => self.store.let_go(),
            _ => self.thaw().await,
        }
        self.check().await;
    }

    fn tell(&self, what: String) {
        self.told.lock().push(what);
    }

    /// One of few contents, so that what was there before comes back.
    fn write(&mut self) {
        let path = if self.dice.roll(2) == 0 { super::LOG } else { TABLE };
        let content = ["a", "bb", "bbaa", "d", "dd"][self.dice.roll(5) as usize];
        self.tell(format!("write {content} to {path}"));
        write(&self.owner.profile, path, content);
    }

    /// To its end, or until it is given up or frozen.
    async fn attempt(&mut self, what: &str, mut work: BoxFuture<'static, Result<(), SessionError>>) {
        let (polls, is_frozen) = (self.polls(), self.dice.roll(2) == 0);
        let came = polled(&mut work, polls).await;
        self.tell(format!("{what} by {}, {polls} polls: {came:?}", self.owner.generation));
        if came.is_none() && is_frozen {
            self.frozen.push(work);
            // Its lease is over: a node that is frozen has no other future.
            self.depose().await;
        }
    }

    fn polls(&mut self) -> u64 {
        if self.dice.roll(3) == 0 { u64::MAX } else { 1 + self.dice.roll(120) }
    }

    /// Somebody else takes over, from the newest snapshot that is whole.
    async fn depose(&mut self) {
        self.store.set_faults(0);
        self.lose_an_object().await;
        self.owner = begin_owner(&self.world, &self.pointer).await.expect("a snapshot is restored");
        self.tell(format!("{} takes over", self.owner.generation));
    }

    /// The worker begins anew under its generation.
    async fn restart(&mut self) {
        self.store.set_faults(0);
        let taker = self.world.taker(&self.owner.profile, self.owner.generation).await;
        self.tell("restart".into());
        let mut state = self.owner.state.lock().await;
        (state.taker, state.unrecorded) = (taker, None);
    }

    async fn thaw(&mut self) {
        if self.frozen.is_empty() {
            return;
        }
        let thawed = self.dice.roll(self.frozen.len() as u64) as usize;
        let polls = self.polls();
        let came = polled(&mut self.frozen[thawed], polls).await;
        self.tell(format!("thaw {thawed}, {polls} polls: {came:?}"));
        if came.is_some() {
            drop(self.frozen.swap_remove(thawed));
        }
    }

    /// The snapshot that the pointer names has what it had when it was taken.
    async fn check(&mut self) {
        self.store.set_faults(0);
        let Some((newest, contents)) = self.pointer.lock().newest.clone() else { return };
        assert_eq!(stored_contents(&self.world, &newest).await, contents, "of {}", newest.manifest);
        let manifest = self.world.snapshots.manifest(&self.world.name_of(&newest)).await.unwrap();
        let own = format!("{}/", newest.generation);
        self.has_built |= manifest.blobs().any(|blob| !blob.starts_with(&own));
    }

    /// Everything that was frozen or held up goes on, and the store works again. Answers with whether an owner has built on what
    /// another one had stored.
    async fn end(mut self) -> bool {
        for mut frozen in std::mem::take(&mut self.frozen) {
            self.store.let_go();
            let _whatever = polled(&mut frozen, u64::MAX).await;
            self.check().await;
        }
        self.store.let_go();
        // The first one forgets, if that was begun.
        for _ in 0..2 {
            self.write();
            let save = save(self.owner.clone(), self.pointer.clone(), self.world.snapshots.clone());
            save.await.expect("the next save works");
            self.check().await;
        }
        let newest = self.pointer.lock().newest.clone();
        let (newest, contents) = newest.expect("it is recorded");
        assert_eq!(newest.generation.0, self.owner.generation);
        assert_eq!(contents, contents_of(&self.owner.profile));
        assert!(self.world.snapshots.listing(self.world.uid).await.unwrap().manifests.len() <= 6, "pruned");
        self.has_built
    }
}

/// What is damaged is passed over until a session is ready.
async fn begin_owner(world: &World, pointer: &Arc<Mutex<Pointer>>) -> Result<Arc<Owner>, SessionError> {
    let generation = {
        let mut pointer = pointer.lock();
        pointer.owner += 1;
        pointer.owner
    };
    let profile = world.profile(&format!("node-{generation}"));
    let expected = world.newest_whole().await;
    let mut newest = find_newest(world, &profile, pointer, generation).await;
    let prepared = loop {
        let (snapshots, ours) = (&world.snapshots, Generation(generation));
        match profile.prepare_or_find_damage(snapshots, newest.as_ref(), ours).await? {
            Preparation::Ready(prepared) => break prepared,
            Preparation::Damaged(damage) => {
                profile.pass_over(snapshots, &damage).await?;
                newest = damage.newest;
            }
        }
    };
    let has_gone_back = profile.has_gone_back();
    assert_eq!(newest.as_ref().map(|newest| world.name_of(newest)), expected, "the newest that is whole");
    let mut taker = world.taker(&profile, generation).await;
    if let Some(newest) = newest {
        let contents = contents_of(&profile);
        assert_eq!(contents, stored_contents(world, &newest).await);
        let clean = newest.clean;
        pointer.lock().begun_from(newest, contents.clone());
        if has_gone_back {
            let taken = taker.take_restored(clean, prepared.local_storage.as_ref()).await?;
            pointer.lock().had.push((generation, contents.clone()));
            pointer.lock().set(generation, (taken, contents));
        }
    }
    let page = world.page(&profile).await;
    let state = OwnerState { taker, unrecorded: None, forgetting: false };
    Ok(Arc::new(Owner { generation, page, profile, state: state.into() }))
}

/// What the next owner tries first.
async fn find_newest(
    world: &World,
    profile: &LockedProfile,
    pointer: &Mutex<Pointer>,
    generation: i64,
) -> Option<SnapshotRef> {
    let pointed = pointer.lock().newest.as_ref().map(|(newest, _)| newest.clone());
    match profile.find_session(&world.snapshots, pointed.as_ref(), Generation(generation)).await {
        Ok(FoundSession::AsPointed(Some(newest)) | FoundSession::Unpointed(newest)) => Some(newest),
        Ok(FoundSession::AsPointed(None)) => {
            assert!(
                pointed.is_none() || pointer.lock().forgetting,
                "only what is being forgotten is not restored"
            );
            None
        }
        found => panic!("{found:?} is not for an owner that is there"),
    }
}

/// As a worker's session store does it, which has Postgres in the place of the pointer.
async fn save(
    owner: Arc<Owner>,
    pointer: Arc<Mutex<Pointer>>,
    snapshots: SnapshotStore,
) -> Result<(), SessionError> {
    let mut state = owner.state.lock().await;
    if state.forgetting || pointer.lock().forgetting {
        return forget(&owner, &mut state, &pointer, snapshots).await;
    }
    let contents = contents_of(&owner.profile);
    pointer.lock().had.push((owner.generation, contents.clone()));
    match state.taker.take_running(&owner.page).await {
        Ok(Some(taken)) => {
            pointer.lock().taken.push((taken.clone(), contents.clone()));
            state.unrecorded = Some((taken, contents));
        }
        Ok(None) | Err(SessionError::Empty { .. }) => {}
        Err(error) => return Err(error),
    }
    if let Some(unrecorded) = state.unrecorded.clone() {
        if !pointer.lock().set(owner.generation, unrecorded) {
            return Ok(());
        }
        state.unrecorded = None;
        // What is not removed now is the next time.
        let _removed = state.taker.recorded(&[]).await;
    }
    Ok(())
}

async fn forget(
    owner: &Owner,
    state: &mut OwnerState,
    pointer: &Mutex<Pointer>,
    snapshots: SnapshotStore,
) -> Result<(), SessionError> {
    (state.forgetting, state.unrecorded) = (true, None);
    owner.profile.wipe().await?;
    let tombstone = state.taker.forget().await?;
    if !pointer.lock().clear(owner.generation) {
        return Ok(());
    }
    snapshots.remove_forgotten(&tombstone).await?;
    owner.profile.prepare(&snapshots, None, Generation(owner.generation)).await?;
    state.forgetting = false;
    Ok(())
}

/// What a snapshot has in the store.
async fn stored_contents(world: &World, of: &SnapshotRef) -> Contents {
    let name = world.name_of(of);
    let manifest = world.snapshots.manifest(&name).await.expect("the manifest is there");
    let mut found = Contents::new();
    for file in &manifest.files {
        let content = world.snapshots.file(&name, file).await.expect("every file is there");
        found.insert(file.path.clone().into(), content);
    }
    found
}

fn contents_of(profile: &LockedProfile) -> Contents {
    let dir = profile.browser_dir();
    let read = |path: PathBuf| {
        let content = fs::read(&path).unwrap();
        (path.strip_prefix(&dir).map(Path::to_owned).unwrap(), content)
    };
    files_below(&dir.join("Default")).into_iter().map(read).collect()
}

/// What comes of work that is polled so often at most.
async fn polled<T>(work: &mut BoxFuture<'static, T>, mut polls: u64) -> Option<T> {
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// From its beginning to its end. Answers with whether an owner has built on what another one had stored.
pub(super) async fn live(
    seed: u64,
    over: Arc<dyn ObjectStore>,
    call_within: Duration,
    told: Arc<Mutex<Vec<String>>>,
) -> bool {
    let mut history = History::begin(seed, over, call_within, told).await;
    for _ in 0..STEPS {
        history.step().await;
    }
    history.end().await
}

#[test]
fn whatever_fails_the_recorded_snapshot_is_whole_and_the_next_save_works() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("ROOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOST_HISTORIES").unwrap_or(HISTORIES),
    };
    // Its clock stands still while anything is done, and a call that is held up is waited for in no time.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap();
    let (mut lives, mut built) = (0, 0);
    for seed in seeds {
        let told = Arc::new(Mutex::new(Vec::new()));
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(live(seed, Arc::new(InMemory::new()), Duration::from_secs(30), told.clone()))
        }));
        let Ok(has_built) = lived else { panic!("ROOST_SEED={seed}: {:#?}", told.lock()) };
        (lives, built) = (lives + 1, built + u64::from(has_built));
    }
    assert!(lives < 100 || built > lives / 4, "owners build on the snapshots of others: {built} of {lives}");
}
