//! Callers whose tokens are refused, again and again: counted, and answered ever later.
//!
//! By the peer's address, and never so that a right token is refused or slowed: behind one address there may be many
//! callers, as behind a proxy, and whoever guesses there must not lock the others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Mistakes that cost nothing.
const FREE: u32 = 5;
/// What the next one waits for its answer; each one after it waits twice as long as the one before.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// A peer that was refused nothing for so long starts afresh.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// The most peers that are remembered. When more are refused, the one that was longest not is forgotten.
const MOST_PEERS: usize = 4_096;

#[derive(Debug, Default)]
pub struct Refusals {
    peers: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    refused: u32,
    last: Instant,
}

impl Refusals {
    /// Notes one more refusal, and says how long its answer is to wait.
    pub fn note(&self, peer: IpAddr, now: Instant) -> Duration {
        let peer = network(peer);
        let refused = self.count(peer, now);
        // Told at 8, 16, 32, ...: a flood of calls is not one of lines.
        if refused > FREE && refused.is_power_of_two() {
            tracing::warn!(%peer, refused, "a peer's tokens are refused again and again");
        }
        match refused.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_DELAY.saturating_mul(1 << doublings.min(16)).min(LONGEST_DELAY),
        }
    }

    fn count(&self, peer: IpAddr, now: Instant) -> u32 {
        let is_over = |record: &Record| now.saturating_duration_since(record.last) >= FORGET_AFTER;
        let mut peers = self.peers.lock();
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, record| !is_over(record));
        }
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            let oldest = peers.iter().min_by_key(|(_, record)| record.last).map(|(peer, _)| *peer);
            oldest.and_then(|peer| peers.remove(&peer));
        }
        let record = peers.entry(peer).or_insert(Record { refused: 0, last: now });
        if is_over(record) {
            record.refused = 0;
        }
        record.refused = record.refused.saturating_add(1);
        record.last = now;
        record.refused
    }
}

/// One customer of a provider has a whole /64 of IPv6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn after_some_free_ones_every_refusal_is_answered_later_up_to_a_bound() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let delays: Vec<_> = (0..40).map(|_| refusals.note(PEER, now).as_millis()).collect();
        assert_eq!(delays[..12], [0, 0, 0, 0, 0, 100, 200, 400, 800, 1_600, 3_200, 5_000]);
        assert!(delays[12..].iter().all(|delay| *delay == 5_000));
        assert_eq!(refusals.note("10.0.0.2".parse().unwrap(), now), Duration::ZERO);
    }

    #[test]
    fn a_peer_that_stops_starts_afresh() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let last = (0..10).map(|_| refusals.note(PEER, now)).last();
        assert!(last > Some(Duration::ZERO));
        assert!(refusals.note(PEER, now + FORGET_AFTER / 2) > Duration::ZERO);
        assert_eq!(refusals.note(PEER, now + FORGET_AFTER * 2), Duration::ZERO);
    }

    #[test]
    fn the_addresses_of_one_network_are_one_peer() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let last = (0..8).map(|n| refusals.note(format!("2001:db8::{n}").parse().unwrap(), now)).last();
        assert_eq!(last, Some(Duration::from_millis(400)));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), PEER);
    }

    #[test]
    fn the_memory_of_peers_is_bounded() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..u32::try_from(MOST_PEERS).unwrap() + 100 {
            refusals
                .note(IpAddr::V4(Ipv4Addr::from_bits(number)), now + Duration::from_millis(number.into()));
        }
        assert_eq!(refusals.peers.lock().len(), MOST_PEERS);
        assert!(!refusals.peers.lock().contains_key(&IpAddr::V4(Ipv4Addr::from_bits(0))));
    }
}
