//! One request goes wrong, whichever it is of a save with its prune or of a restore, and however it does: the next save works, and
//! what was recorded is restored.

use std::time::{Duration, Instant};

use futures::future::join_all;
use roost_devcluster::{HttpFault, HttpRelay};
use roost_model::ids::Generation;
use roost_store::{SNAPSHOTS_KEPT, SnapshotId};

use super::{CALL_WITHIN, LOG, Server, World, read, write};
use crate::session::{SessionError, SnapshotRef, SnapshotTaker};

const KINDS: [HttpFault; 9] = [
    HttpFault::Hang,
    HttpFault::LoseAnswer,
    HttpFault::Slow(Duration::from_millis(100)),
    HttpFault::CutRequest,
    HttpFault::CutAnswer,
    HttpFault::Refuse(503, "SlowDown"),
    HttpFault::Refuse(500, "InternalError"),
    HttpFault::Refuse(429, "TooManyRequests"),
    HttpFault::RefuseAfter(503, "ServiceUnavailable"),
];
/// A kind's requests are shared out among so many tenants, for those that hang take their time.
const SHARES: usize = 6;
const PIECE: usize = 1 << 10;
/// More requests than a save or a restore makes.
const MANY: usize = 60;
/// Beside the call that hangs, for all that goes on as it should.
const SLACK: Duration = Duration::from_secs(10);

/// The tries of a call that is refused: the first and three more, as `s3::client` says.
const TRIES: usize = 4;

/// Whether a request that is tried again is all that it takes.
fn is_made_up_for(kind: HttpFault) -> bool {
    matches!(kind, HttpFault::Slow(_) | HttpFault::Refuse(..) | HttpFault::RefuseAfter(..))
}

/// An owner whose saves have faults, and what it must find again.
struct Owner {
    world: World,
    relay: HttpRelay,
    kind: HttpFault,
    taker: SnapshotTaker,
    profile: std::sync::Arc<crate::session::LockedProfile>,
    writes: usize,
    recorded: Vec<(SnapshotRef, String)>,
}

impl Owner {
    async fn begin(server: &Server, kind: HttpFault, prefix: &str) -> Self {
        let (world, relay) = server.world(prefix, PIECE).await;
        let profile = world.used("a", 1, &[]).await;
        let taker = world.taker(&profile, 1).await;
        let mut owner = Self { world, relay, kind, taker, profile, writes: 0, recorded: Vec::new() };
        for _ in 0..4 {
            owner.save().await.unwrap();
        }
        owner
    }

    /// Several pieces, of which each save changes all, so that a prune finds something to do.
    fn content(&self) -> String {
        format!("{:06} ", self.writes).repeat(4 * PIECE / 7)
    }

    async fn save(&mut self) -> Result<(), SessionError> {
        self.writes += 1;
        let content = self.content();
        write(&self.profile, LOG, &content);
        let taken = self.taker.take_stopped(false, None).await?;
        // As the database does it, before anything is removed.
        self.recorded.push((taken, content));
        let listed = self
            .kept()
            .map(|(taken, _)| SnapshotId { generation: taken.generation, sequence: taken.sequence });
        let listed: Vec<_> = listed.collect();
        self.taker.recorded(&listed).await
    }

    /// Newest first.
    fn kept(&self) -> impl Iterator<Item = &(SnapshotRef, String)> {
        self.recorded.iter().rev().take(SNAPSHOTS_KEPT)
    }

    async fn restore(&self, node: &str, from: &(SnapshotRef, String)) -> Result<(), SessionError> {
        let there = self.world.profile_let_go(node).await;
        there.prepare(&self.world.snapshots, Some(&from.0), Generation(2)).await?;
        assert_eq!(read(&there, LOG), from.1, "{}", from.0.manifest);
        Ok(())
    }

    /// The request of this number has the fault.
    fn spoil(&self, number: usize) {
        let kind = self.kind;
        self.relay.set(move |request| (request.number == number).then_some(kind));
    }

    /// The number of requests that there were, if the fault was among them.
    async fn save_with_a_fault_at(&mut self, number: usize) -> bool {
        self.spoil(number);
        let begun = Instant::now();
        let saved = self.save().await;
        self.judge(number, begun, &saved);
        self.relay.mend();
        let was_hit = self.relay.take().len() > number;
        self.save().await.unwrap_or_else(|error| panic!("{:?} at {number}: {error:?}", self.kind));
        for recorded in self.kept() {
            let node = format!("check-{number}-{}", recorded.0.sequence);
            self.restore(&node, recorded).await.unwrap();
            std::fs::remove_dir_all(self.world.dir.path().join(node)).unwrap();
        }
        self.relay.take();
        was_hit
    }

    async fn restore_with_a_fault_at(&mut self, number: usize) -> bool {
        let newest = self.recorded.last().unwrap().clone();
        self.spoil(number);
        let begun = Instant::now();
        let node = format!("restore-{number}");
        let restored = self.restore(&node, &newest).await;
        self.judge(number, begun, &restored);
        self.relay.mend();
        let was_hit = self.relay.take().len() > number;
        self.restore(&node, &newest).await.unwrap();
        self.relay.take();
        was_hit
    }

    fn judge(&self, number: usize, begun: Instant, done: &Result<(), SessionError>) {
        let (kind, took) = (self.kind, begun.elapsed());
        assert!(took < CALL_WITHIN + SLACK, "{kind:?} at {number}: {took:?}");
        if let Err(error) = done {
            assert!(!is_made_up_for(kind), "{kind:?} at {number}: {error:?}");
            assert!(!error.shows_damage(), "{kind:?} at {number} looks like damage: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_request_the_next_save_works_and_what_was_recorded_is_restored() {
    let server = Server::start().await;
    let shares =
        KINDS.iter().enumerate().flat_map(|(at, kind)| (0..SHARES).map(move |share| (at, *kind, share)));
    let lives = shares.map(async |(at, kind, share)| {
        let mut owner = Owner::begin(&server, kind, &format!("kind-{at}-{share}")).await;
        let (mut saves, mut restores) = (0, 0);
        for number in (share..MANY).step_by(SHARES) {
            if !owner.save_with_a_fault_at(number).await {
                break;
            }
            saves += 1;
        }
        for number in (share..MANY).step_by(SHARES) {
            if !owner.restore_with_a_fault_at(number).await {
                break;
            }
            restores += 1;
        }
        (saves, restores)
    });
    let hit = join_all(lives).await;
    let (saves, restores) = hit.iter().fold((0, 0), |sum, hit| (sum.0 + hit.0, sum.1 + hit.1));
    println!("{saves} requests of saves and {restores} of restores had a fault");
    assert!(saves >= KINDS.len() * 12 && restores >= KINDS.len() * 6, "{saves} and {restores}");
    assert!(hit.iter().all(|(saves, restores)| saves * SHARES < MANY && restores * SHARES < MANY), "{hit:?}");
}

/// A busy server is asked a few times, more and more slowly, and no more.
#[tokio::test]
async fn a_server_that_goes_on_refusing_is_asked_so_often_and_no_more() {
    let server = Server::start().await;
    let (world, relay) = server.world("busy", PIECE).await;
    for refused in [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")] {
        relay.set(move |_| Some(HttpFault::Refuse(refused.0, refused.1)));
        let begun = Instant::now();
        let listed = world.snapshots.listing(world.uid).await;
        assert!(matches!(listed, Err(SessionError::Store { .. })), "{listed:?}");
        assert!(
            begun.elapsed() >= Duration::from_millis(600),
            "it was not left alone: {:?}",
            begun.elapsed()
        );
        assert_eq!(relay.take().len(), TRIES, "{refused:?}");
    }
}
