//! What can happen, and in which order a seed makes it happen. Pure.

use std::{fmt, time::Duration};

use super::dice::Dice;

/// One in so many steps has two faults at a time.
const PAIRED: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    KillChild,
    KillMachine,
    /// Half of the machines at once.
    KillHalf,
    KillBrowser,
    KillCoordinator,
    /// Whoever holds the leader key.
    KillController,
    KillEtcdLeader,
    FreezeChild,
    FreezeGuard,
    /// Guard and child, and not the browsers.
    FreezePair,
    /// Guard, child and browsers together.
    FreezeMachine,
    FreezeController,
    FreezeEtcdLeader,
    /// It goes on answering what it need not write.
    StallEtcdLeader,
    FreezePostgres,
    CutFromEtcd,
    CutFromPostgres,
    CutFromBoth,
    SlowNetwork,
    FillDisk,
    /// Its browsers are dead and no other starts: it lives, and is of no use.
    GreyNode,
    /// SIGTERM: the node hands its tenants over. The next step finds it started again.
    Leave,
}

impl Kind {
    pub const ALL: [Self; 22] = [
        Self::KillChild,
        Self::KillMachine,
        Self::KillHalf,
        Self::KillBrowser,
        Self::KillCoordinator,
        Self::KillController,
        Self::KillEtcdLeader,
        Self::FreezeChild,
        Self::FreezeGuard,
        Self::FreezePair,
        Self::FreezeMachine,
        Self::FreezeController,
        Self::FreezeEtcdLeader,
        Self::StallEtcdLeader,
        Self::FreezePostgres,
        Self::CutFromEtcd,
        Self::CutFromPostgres,
        Self::CutFromBoth,
        Self::SlowNetwork,
        Self::FillDisk,
        Self::GreyNode,
        Self::Leave,
    ];

    /// By its name in this file, as `GreyNode`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| format!("{kind:?}") == name)
    }

    fn shortest(self, ttl: Duration) -> Duration {
        match self {
            // The others elect another leader first, and its leases begin anew: nothing can go wrong before these end.
            Self::StallEtcdLeader => ttl * 2,
            _ => ttl / 2,
        }
    }

    fn longest(self, ttl: Duration) -> Duration {
        match self {
            Self::StallEtcdLeader => ttl * 5,
            _ => ttl * 3,
        }
    }

    /// What it is done to. Two faults at a time have different subjects: a dead process cannot be frozen.
    fn subject(self) -> Subject {
        match self {
            Self::KillCoordinator | Self::KillController | Self::FreezeController => Subject::Control,
            Self::KillEtcdLeader | Self::FreezeEtcdLeader | Self::StallEtcdLeader => Subject::Etcd,
            Self::FreezePostgres => Subject::Postgres,
            Self::FillDisk => Subject::Disk,
            Self::KillChild
            | Self::KillMachine
            | Self::KillHalf
            | Self::KillBrowser
            | Self::FreezeChild
            | Self::FreezeGuard
            | Self::FreezePair
            | Self::FreezeMachine
            | Self::CutFromEtcd
            | Self::CutFromPostgres
            | Self::CutFromBoth
            | Self::SlowNetwork
            | Self::GreyNode
            | Self::Leave => Subject::Node,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Node,
    Control,
    Etcd,
    Postgres,
    Disk,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillChild => "kill a node's child",
            Self::KillMachine => "kill guard and child together",
            Self::KillHalf => "kill half of the machines",
            Self::KillBrowser => "kill a browser",
            Self::KillCoordinator => "kill a coordinator",
            Self::KillController => "kill the controller",
            Self::KillEtcdLeader => "kill etcd's leader",
            Self::FreezeChild => "freeze a node's child",
            Self::FreezeGuard => "freeze a guard",
            Self::FreezePair => "freeze guard and child, not browsers",
            Self::FreezeMachine => "freeze guard, child and browsers",
            Self::FreezeController => "freeze the controller",
            Self::FreezeEtcdLeader => "freeze etcd's leader",
            Self::StallEtcdLeader => "stall the disk of etcd's leader",
            Self::FreezePostgres => "freeze PostgreSQL",
            Self::CutFromEtcd => "cut a node off from etcd",
            Self::CutFromPostgres => "cut a node off from PostgreSQL",
            Self::CutFromBoth => "cut a node off from both",
            Self::SlowNetwork => "slow a node's network",
            Self::FillDisk => "fill the disk of the snapshots",
            Self::GreyNode => "break the browser of a node",
            Self::Leave => "stop a node in order",
        })
    }
}

/// How a node is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToNode,
    Both,
    /// Connections are reset and refused.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// Taken modulo the number of what there is.
    pub victim: usize,
    pub way: Way,
    /// Of what is frozen, cut off, slowed or filled; what is killed stays dead until the tenants have recovered.
    pub lasts: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (victim {}", self.kind, self.victim)?;
        if matches!(self.kind, Kind::CutFromEtcd | Kind::CutFromPostgres | Kind::CutFromBoth) {
            write!(f, ", {:?}", self.way)?;
        }
        write!(f, ", {:.1} s)", self.lasts.as_secs_f64())
    }
}

/// The endless list of a seed's steps. Every kind comes once before any comes again.
#[derive(Debug)]
pub struct Schedule {
    dice: Dice,
    ttl: Duration,
    nodes: usize,
    kinds: Vec<Kind>,
    deck: Vec<Kind>,
}

impl Schedule {
    /// Of these kinds, of which there must be one.
    pub fn new(seed: u64, ttl: Duration, nodes: usize, kinds: Vec<Kind>) -> Self {
        assert!(!kinds.is_empty(), "a schedule of nothing has no next step");
        Self { dice: Dice::new(seed), ttl, nodes, kinds, deck: vec![] }
    }

    fn draw(&mut self) -> Kind {
        loop {
            if let Some(kind) = self.deck.pop() {
                return kind;
            }
            self.deck.clone_from(&self.kinds);
            self.dice.shuffle(&mut self.deck);
        }
    }

    fn fault(&mut self, kind: Kind) -> Fault {
        let ways = [Way::ToServer, Way::ToNode, Way::Both, Way::Refused];
        Fault {
            kind,
            victim: self.dice.roll(self.nodes),
            way: ways[self.dice.roll(ways.len())],
            lasts: self.dice.between(kind.shortest(self.ttl), kind.longest(self.ttl)),
        }
    }
}

impl Iterator for Schedule {
    type Item = Vec<Fault>;

    fn next(&mut self) -> Option<Vec<Fault>> {
        let first = self.draw();
        let mut step = vec![self.fault(first)];
        let another = self.deck.iter().rposition(|kind| kind.subject() != first.subject());
        if self.dice.roll(PAIRED) == 0
            && let Some(another) = another
        {
            let kind = self.deck.remove(another);
            step.push(self.fault(kind));
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TTL: Duration = Duration::from_secs(3);

    #[test]
    fn a_seed_gives_the_same_steps_again_and_another_seed_others() {
        let steps = |seed| Schedule::new(seed, TTL, 4, Kind::ALL.into()).take(40).collect::<Vec<_>>();
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn every_kind_comes_once_before_any_comes_again() {
        for seed in 0..50 {
            let drawn: Vec<Kind> = Schedule::new(seed, TTL, 4, Kind::ALL.into())
                .flatten()
                .map(|f| f.kind)
                .take(Kind::ALL.len())
                .collect();
            assert_eq!(
                drawn.iter().collect::<BTreeSet<_>>().len(),
                Kind::ALL.len(),
                "seed {seed}: {drawn:?}"
            );
        }
    }

    #[test]
    fn faults_last_as_long_as_their_kind_may_and_pairs_have_different_subjects() {
        let steps: Vec<_> = Schedule::new(3, TTL, 4, Kind::ALL.into()).take(400).collect();
        for fault in steps.iter().flatten() {
            let may = fault.kind.shortest(TTL)..=fault.kind.longest(TTL);
            assert!(may.contains(&fault.lasts), "{fault}");
        }
        let pairs: Vec<_> = steps.iter().filter(|step| step.len() == 2).collect();
        assert!(pairs.len() > 50, "{} pairs", pairs.len());
        assert!(pairs.iter().all(|pair| pair[0].kind.subject() != pair[1].kind.subject()));
    }
}
