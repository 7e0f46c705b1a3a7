//! That many are told by as many readings as one, without a gap, and sit out what passes.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

use super::*;

const EACH: bool = true;
const TOGETHER: bool = false;

/// What there is, how often it was read, and at what.
#[derive(Default)]
struct World {
    things: Mutex<BTreeMap<u32, u32>>,
    fails_with: Mutex<Option<StoreError>>,
    begun: AtomicU64,
    looks: Mutex<Vec<BTreeSet<u32>>>,
}

struct Given<const IS_EACH: bool>(Arc<World>);

impl<const IS_EACH: bool> Source for Given<IS_EACH> {
    type Key = u32;
    type State = u32;
    type Wakeups = mpsc::UnboundedReceiver<Look<u32>>;
    const EACH: bool = IS_EACH;

    async fn read(
        &mut self,
        look: Look<u32>,
        followed: BTreeSet<u32>,
    ) -> Result<Found<u32, u32>, StoreError> {
        // Somebody else has a turn, as when a database is asked.
        tokio::task::yield_now().await;
        if let Some(error) = &*self.0.fails_with.lock() {
            return Err(again(error));
        }
        let all: BTreeMap<u32, u32> = self.0.things.lock().clone();
        let looked_at = match look {
            _ if IS_EACH => Some(look.among(followed)),
            Look::At(things) => Some(things),
            Look::Everything | Look::Changed => None,
        };
        self.0.looks.lock().push(looked_at.clone().unwrap_or_else(|| all.keys().copied().collect()));
        let is_looked_at = |key: &u32| looked_at.as_ref().is_none_or(|keys| keys.contains(key));
        let states = all.into_iter().filter(|(key, _)| is_looked_at(key)).collect();
        Ok(Found { looked_at, states })
    }

    fn differs(before: &u32, now: &u32) -> bool {
        before != now
    }
}

impl Wakeups<u32> for mpsc::UnboundedReceiver<Look<u32>> {
    async fn next(&mut self) -> Look<u32> {
        match self.recv().await {
            Some(look) => look,
            None => std::future::pending().await,
        }
    }
}

fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { step, .. } => away(step),
        _ => StoreError::Corrupt { what: "a column", reason: String::new() },
    }
}

fn away(step: &'static str) -> StoreError {
    let gone = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    // As the store makes it of a connection that is refused.
    StoreError::Unavailable { step, source: gone.into() }
}

/// A feed over a world.
struct Bench<const IS_EACH: bool> {
    world: Arc<World>,
    feed: StateFeed<Given<IS_EACH>>,
    wake: Mutex<mpsc::UnboundedSender<Look<u32>>>,
}

impl<const IS_EACH: bool> Bench<IS_EACH> {
    fn new(things: &[(u32, u32)]) -> Self {
        let world = World { things: Mutex::new(things.iter().copied().collect()), ..World::default() };
        let unused = mpsc::unbounded_channel().0;
        Self { world: Arc::new(world), feed: StateFeed::default(), wake: Mutex::new(unused) }
    }

    async fn try_follow(&self, one: Option<u32>) -> Result<Follower<Given<IS_EACH>>, StoreError> {
        let begin = async {
            self.world.begun.fetch_add(1, Ordering::Relaxed);
            let (wake, wakeups) = mpsc::unbounded_channel();
            *self.wake.lock() = wake;
            (Given(self.world.clone()), wakeups)
        };
        self.feed.follow(one, begin).await
    }

    async fn follow(&self, one: Option<u32>) -> Follower<Given<IS_EACH>> {
        self.try_follow(one).await.unwrap()
    }

    fn set(&self, thing: u32, state: Option<u32>) {
        match state {
            Some(state) => drop(self.world.things.lock().insert(thing, state)),
            None => drop(self.world.things.lock().remove(&thing)),
        }
        self.wake();
    }

    fn wake(&self) {
        self.wake.lock().send(Look::Changed).unwrap();
    }

    fn readings(&self) -> usize {
        self.world.looks.lock().len()
    }
}

async fn told<const IS_EACH: bool>(follower: &mut Follower<Given<IS_EACH>>) -> Vec<(u32, bool)> {
    let changes = follower.next().await.unwrap();
    changes.into_iter().map(|change| (*change.state, change.is_gone)).collect()
}

#[tokio::test(start_paused = true)]
async fn fifty_are_told_of_a_change_by_as_many_readings_as_one() {
    let mut costs = vec![];
    for streams in [1, 50] {
        let bench = Bench::<TOGETHER>::new(&[(1, 10), (2, 20)]);
        let mut followers = vec![];
        for _ in 0..streams {
            followers.push(bench.follow(None).await);
        }
        for follower in &mut followers {
            assert_eq!(told(follower).await, [(10, false), (20, false)]);
        }
        let before = bench.readings();
        for state in [21, 22, 23] {
            bench.set(2, Some(state));
            for follower in &mut followers {
                assert_eq!(told(follower).await, [(state, false)]);
            }
        }
        costs.push((bench.readings() - before, bench.world.begun.load(Ordering::Relaxed)));
    }
    assert_eq!(costs, [(3, 1), (3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_begins_together_has_one_reading_and_none_is_told_what_was_read_before_it_asked() {
    let bench = Bench::<TOGETHER>::new(&[(1, 10)]);
    let first = bench.follow(None).await;
    // Nobody is woken of this.
    bench.world.things.lock().insert(1, 11);
    let together = futures::future::join_all((0..20).map(|_| bench.follow(None))).await;
    for mut follower in together {
        assert_eq!(told(&mut follower).await, [(11, false)]);
    }
    assert!(bench.readings() <= 1 + 2, "{} readings", bench.readings());
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn one_who_is_slow_holds_up_nobody_and_is_told_how_things_stand() {
    let bench = Bench::<TOGETHER>::new(&[(1, 10), (2, 20)]);
    let (mut slow, mut quick) = (bench.follow(None).await, bench.follow(None).await);
    for follower in [&mut slow, &mut quick] {
        told(follower).await;
    }
    for state in 11..200 {
        bench.set(1, Some(state));
        assert_eq!(told(&mut quick).await, [(state, false)]);
    }
    bench.set(2, None);
    assert_eq!(told(&mut quick).await, [(20, true)]);
    assert_eq!(told(&mut slow).await, [(199, false), (20, true)]);
    assert!(timeout(PATIENCE, slow.next()).await.is_err(), "it has been told all");
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_by_itself_is_read_while_it_is_followed() {
    let bench = Bench::<EACH>::new(&[(1, 10), (2, 20), (3, 30)]);
    let mut one = bench.follow(Some(1)).await;
    let (mut two, another) = (bench.follow(Some(2)).await, bench.follow(Some(2)).await);
    assert!(bench.follow(Some(7)).await.present().is_empty(), "there is none");
    assert_eq!((told(&mut one).await, told(&mut two).await), (vec![(10, false)], vec![(20, false)]));
    bench.set(3, Some(31));
    bench.set(2, Some(21));
    assert_eq!(told(&mut two).await, [(21, false)]);
    assert_eq!(bench.world.looks.lock().last(), Some(&BTreeSet::from([1, 2])));
    drop((two, another));
    bench.set(1, None);
    assert_eq!(told(&mut one).await, [(10, true)]);
    bench.set(1, Some(11));
    assert_eq!(told(&mut one).await, [(11, false)], "it is there again");
    assert_eq!(bench.world.looks.lock().last(), Some(&BTreeSet::from([1])));
}

#[tokio::test(start_paused = true)]
async fn the_reader_ends_when_all_have_left_and_another_one_begins() {
    let bench = Bench::<TOGETHER>::new(&[(1, 10)]);
    drop(bench.follow(None).await);
    bench.set(1, Some(11));
    while bench.feed.shared.reader.lock().await.source.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!((bench.readings(), bench.feed.shared.states.borrow().log.last()), (1, 0));
    assert_eq!(told(&mut bench.follow(None).await).await, [(11, false)]);
    assert_eq!(bench.world.begun.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_sat_out_and_a_fault_is_not() {
    let bench = Bench::<TOGETHER>::new(&[(1, 10)]);
    let mut follower = bench.follow(None).await;
    told(&mut follower).await;
    *bench.world.fails_with.lock() = Some(away("list the workers"));
    bench.set(1, Some(11));
    assert!(timeout(Duration::from_secs(5), follower.next()).await.is_err(), "it waits");
    assert!(bench.try_follow(None).await.is_err(), "one who begins is told");
    *bench.world.fails_with.lock() = None;
    assert_eq!(told(&mut follower).await, [(11, false)], "what has changed meanwhile");
    let corrupt = StoreError::Corrupt { what: "a column", reason: String::new() };
    *bench.world.fails_with.lock() = Some(corrupt);
    bench.wake();
    assert!(
        matches!(follower.next().await, Err(Error::Feed(error)) if matches!(*error, StoreError::Corrupt { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_ends_the_stream_with_its_reason() {
    let bench = Bench::<TOGETHER>::new(&[(1, 10)]);
    let mut follower = bench.follow(None).await;
    told(&mut follower).await;
    *bench.world.fails_with.lock() = Some(away("list the workers"));
    bench.wake();
    let begun = Instant::now();
    let Err(Error::Feed(error)) = follower.next().await else { panic!("it ends") };
    assert!(matches!(*error, StoreError::Unavailable { .. }) && begun.elapsed() >= PATIENCE);
}
