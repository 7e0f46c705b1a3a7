//! A node that runs out of memory says so, takes nobody, and gives some of it back: the tenant that is furthest over what it requests
//! comes first, one at a time.
//!
//! ```text
//!   short, 15 s --> a turn: named, for the controller to move it --> it has left ---------------------> the next turn
//!                     |  ^                                                                                   ^
//!                     |  '-- easing: nobody else is named          still here, 45 s: over its request, and   |
//!                     |                                            its browser is not young                  |
//!                     |------------------------------------------> restarted at a quiet moment --------------|
//!                     '------------------------------------------> 2 min are over ---------------------------'
//! ```
//!
//! The move is an impairment's as others are (`self_check`), but for that: the controller moves the named one and no other, for each
//! that leaves gives some memory back. The node does not know whether there is room elsewhere, nor whether somebody is pinned to it;
//! it waits, and does what it can do by itself. A browser that began a short while ago is not restarted: it would be as large again.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use roost_cluster::records::{ImpairmentKind, NextToLeave};
use roost_model::ids::{NodeId, TenantId};

use super::{impairments::Impairments, node_memory::PublishedMemory};
use crate::{
    blocking::run_blocking,
    resources::{MachineMemory, MemoryDemand, MemoryLook, MemoryPressure, Resources, Shortage},
};

const EVERY: Duration = Duration::from_secs(5);
/// From when it is named: a move that there is room for has ended by then, or is on its way.
const MOVES_WITHIN: Duration = Duration::from_secs(45);
/// One that has not left by then may be pinned here, or fit nowhere: it is another's turn.
const TURN: Duration = Duration::from_secs(120);
/// A browser that began within this has just been restarted, or comes from elsewhere.
const YOUNG: Duration = Duration::from_secs(600);

pub(super) struct MemoryWatch {
    pub(super) node: NodeId,
    pub(super) machine: MachineMemory,
    pub(super) published: PublishedMemory,
    pub(super) resources: Resources,
    pub(super) impairments: Impairments,
}

impl MemoryWatch {
    /// Runs for as long as the process.
    pub(super) async fn run(self) {
        let (mut pressure, mut turns) = (MemoryPressure::default(), Turns::default());
        loop {
            tokio::time::sleep(EVERY).await;
            let proc = self.machine.proc.clone();
            if let Some(look) = run_blocking(move || MemoryLook::take(&proc)).await {
                let shortage = pressure.observe(look, &self.machine);
                self.take(shortage, &mut turns, Instant::now());
            }
        }
    }

    fn take(&self, shortage: Shortage, turns: &mut Turns, now: Instant) {
        let kind = ImpairmentKind::Memory;
        let told = match shortage {
            Shortage::None => {
                *turns = Turns::default();
                self.resources.ask_back(None);
                self.impairments.is_over(kind);
                return;
            }
            Shortage::Easing => None,
            Shortage::Short { told } => Some(told),
        };
        // What is told first stands: a number that changes with each look would be written with each.
        if let Some(told) = told.as_ref().filter(|_| !self.impairments.has(kind)) {
            self.impairments.found(kind, told);
        }
        let default = self.published.present().map_or(0, |memory| memory.request_bytes(None));
        let demands = Demands { of: self.resources.memory_demands(), default_request_bytes: default };
        let turn = turns.present(&demands, told.is_some(), now);
        self.impairments.name_next_to_leave(kind, turn.map(|turn| turn.next.clone()));
        let asked = turn.filter(|turn| turn.is_asked_back(&demands, now));
        let why = asked.map(|turn| format!("{} is short of memory: {}", self.node, turn.next));
        self.resources.ask_back(asked.map(|turn| &turn.next.tenant).zip(why.as_deref()));
    }
}

/// What the node's browsers use, and request.
struct Demands {
    of: Vec<MemoryDemand>,
    /// Of one that requests nothing.
    default_request_bytes: u64,
}

impl Demands {
    fn find(&self, tenant: &TenantId) -> Option<&MemoryDemand> {
        self.of.iter().find(|demand| demand.tenant == *tenant)
    }

    fn requested_bytes(&self, demand: &MemoryDemand) -> u64 {
        demand.requested_bytes.unwrap_or(self.default_request_bytes)
    }

    /// By how much it uses more than it requests, or less.
    fn excess(&self, demand: &MemoryDemand) -> i128 {
        i128::from(demand.used_bytes) - i128::from(self.requested_bytes(demand))
    }
}

/// Whose turn it is.
#[derive(Debug)]
struct Turn {
    next: NextToLeave,
    since: Instant,
}

impl Turn {
    /// It is here still, with the browser that it was named for.
    fn goes_on(&self, demands: &Demands, now: Instant) -> bool {
        let same = |demand: &MemoryDemand| demand.since <= self.since;
        now < self.since + TURN && demands.find(&self.next.tenant).is_some_and(same)
    }

    fn is_asked_back(&self, demands: &Demands, now: Instant) -> bool {
        let helps = |demand: &MemoryDemand| demands.excess(demand) > 0 && demand.since + YOUNG <= now;
        self.since + MOVES_WITHIN <= now && demands.find(&self.next.tenant).is_some_and(helps)
    }
}

/// Whose turn it is, and whose it was.
#[derive(Debug, Default)]
struct Turns {
    present: Option<Turn>,
    had: HashSet<TenantId>,
}

impl Turns {
    /// `is_short`: another one's begins when one is over.
    fn present(&mut self, demands: &Demands, is_short: bool, now: Instant) -> Option<&Turn> {
        if let Some(turn) = self.present.take() {
            if turn.goes_on(demands, now) {
                return Some(self.present.insert(turn));
            }
            self.had.insert(turn.next.tenant);
        }
        if !is_short {
            return None;
        }
        if demands.of.iter().all(|demand| self.had.contains(&demand.tenant)) {
            self.had.clear();
        }
        let waiting = demands.of.iter().filter(|demand| !self.had.contains(&demand.tenant));
        let first = waiting.max_by_key(|demand| (demands.excess(demand), &demand.tenant))?;
        let next = NextToLeave {
            tenant: first.tenant.clone(),
            used_bytes: first.used_bytes,
            requested_bytes: demands.requested_bytes(first),
        };
        Some(self.present.insert(Turn { next, since: now }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn tenant(id: &str) -> TenantId {
        TenantId::new(id).unwrap()
    }

    /// Each with what it uses and requests, in MiB.
    fn demands(since: Instant, of: &[(&str, u64, Option<u64>)]) -> Demands {
        let demand = |&(id, used, requested): &(&str, u64, Option<u64>)| MemoryDemand {
            tenant: tenant(id),
            used_bytes: used * MIB,
            requested_bytes: requested.map(|mib| mib * MIB),
            since,
        };
        Demands { of: of.iter().map(demand).collect(), default_request_bytes: 128 * MIB }
    }

    const ALL: [(&str, u64, Option<u64>); 3] =
        [("large", 500, Some(480)), ("over", 300, None), ("small", 90, None)];

    #[test]
    fn the_one_furthest_over_its_request_is_first_and_each_has_its_turn() {
        let (mut turns, began) = (Turns::default(), Instant::now());
        let mut next = |of: &[_], is_short, secs| {
            let demands = demands(began, of);
            let turn = turns.present(&demands, is_short, began + Duration::from_secs(secs));
            turn.map(|turn| turn.next.tenant.to_string()).unwrap_or_default()
        };
        assert_eq!(next(&ALL, true, 0), "over");
        let grown = [("large", 900, Some(480)), ALL[1], ALL[2]];
        assert_eq!(next(&grown, true, 119), "over", "whoever is on its way is not called back");
        assert_eq!(next(&grown, false, 119), "over", "nor where it eases");
        assert_eq!(next(&ALL, true, 120), "large", "the first stays for some reason");
        assert_eq!(next(&ALL[1..], false, 125), "", "it has left, and it eases");
        assert_eq!(next(&ALL[1..], true, 130), "small");
        assert_eq!(next(&ALL[1..], true, 250), "over", "all have had their turn");
        assert_eq!(next(&[], true, 255), "");
    }

    #[test]
    fn a_turn_says_what_was_used_when_it_began_and_ends_with_the_browser() {
        let (mut turns, began) = (Turns::default(), Instant::now());
        let later = |secs| began + Duration::from_secs(secs);
        turns.present(&demands(began, &ALL), true, later(1));
        let grown = [("over", 900, None)];
        let turn = turns.present(&demands(began, &grown), true, later(5)).unwrap();
        let said = turn.next.to_string();
        assert_eq!(
            said, "it uses 300 MiB of memory and requests 128",
            "a number that changes is written anew"
        );
        let restarted = demands(later(10), &[("over", 80, None), ("small", 90, None)]);
        let turn = turns.present(&restarted, true, later(15)).unwrap();
        assert_eq!(turn.next.tenant, tenant("small"));
    }

    #[test]
    fn one_that_has_not_left_is_asked_for_memory_if_it_uses_more_than_it_requests_and_is_not_young() {
        let began = Instant::now();
        let now = began + YOUNG + TURN;
        let is_asked = |since, of, named_for: Duration| {
            let next = NextToLeave { tenant: tenant("x"), used_bytes: 0, requested_bytes: 0 };
            Turn { next, since: now - named_for }.is_asked_back(&demands(since, &[of]), now)
        };
        assert!(is_asked(began, ("x", 129, None), MOVES_WITHIN));
        assert!(!is_asked(began, ("x", 129, None), MOVES_WITHIN - EVERY), "it may be on its way");
        assert!(!is_asked(began, ("x", 128, None), MOVES_WITHIN), "it keeps to what it requests");
        assert!(!is_asked(now - YOUNG + EVERY, ("x", 129, None), MOVES_WITHIN), "it would be as large again");
        assert!(!is_asked(began, ("y", 129, None), MOVES_WITHIN), "it has left");
    }

    #[test]
    fn a_shortage_is_an_impairment_that_names_who_leaves_and_asks_for_memory_until_it_is_over() {
        let (resources, mut meter) = Resources::with_usage("over", 300 * MIB);
        let (total_bytes, reserve_bytes, short_bytes) = (3, 2, 1);
        let proc = "/proc".into();
        let watch = MemoryWatch {
            node: NodeId::new("n1").unwrap(),
            machine: MachineMemory {
                total_bytes,
                reserve_bytes,
                spares_bytes: 0,
                short_bytes,
                stall_percent: 10,
                proc,
            },
            published: PublishedMemory::new(None),
            resources: resources.clone(),
            impairments: Impairments::default(),
        };
        let (mut turns, began) = (Turns::default(), Instant::now() + YOUNG);
        let mut says = |shortage, secs| {
            watch.take(shortage, &mut turns, began + Duration::from_secs(secs));
            resources.look_again();
            let present = watch.impairments.present();
            let said = present.first().map(|it| {
                let next = it.next_to_leave.as_ref().map(|next| next.tenant.to_string());
                (it.reason.clone(), next.unwrap_or_default())
            });
            (said, meter.excess().map(|excess| excess.told))
        };
        let short = |told: &str| Shortage::Short { told: told.to_owned() };
        let named = Some(("1 MiB".to_owned(), "over".to_owned()));
        assert_eq!(says(short("1 MiB"), 0), (named.clone(), None));
        assert_eq!(says(Shortage::Easing, 5), (named.clone(), None));
        let asked = "n1 is short of memory: it uses 300 MiB of memory and requests 0".to_owned();
        assert_eq!(says(short("2 MiB"), 45), (named, Some(asked)), "the first words stand");
        assert_eq!(says(Shortage::None, 50), (None, None));
    }
}
