//! What a run came to, and whether it holds. Pure.

use std::{collections::BTreeMap, fmt, time::Duration};

use roost_devcluster::{Connections, Overlap};

use super::{
    fault::Kind, fences::Seen, load::Count, nemesis::Standstill, observer::Observed, operator::Orders,
};
use crate::resends::Resends;

/// A machine that stood still runs its browsers for a moment before its guard, which wakes with them, has killed them.
/// No software on it can prevent that; what such a browser could do in it is judged by the answers.
const AFTER_A_STANDSTILL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Report {
    pub seed: u64,
    pub ran_for: Duration,
    pub tenants: usize,
    pub nodes: usize,
    pub skewed: String,
    pub disk: &'static str,
    pub faults: BTreeMap<Kind, Tally>,
    pub pairs: Tally,
    pub orders: Orders,
    pub count: Count,
    pub resends: Resends,
    /// Sends that are not what was claimed.
    pub unclaimed: Vec<String>,
    pub connections: usize,
    pub overlaps: Overlaps,
    pub observed: Observed,
    pub fences: Seen,
    /// ERROR lines of the product's logs, without their variable parts, and how often each came.
    pub errors: BTreeMap<String, usize>,
    pub panics: Vec<String>,
    /// Why the run could not go on.
    pub failure: Option<String>,
}

/// Of one kind of fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub injected: usize,
    /// How many of them came alone, so that the recovery was theirs.
    pub alone: usize,
    /// From the fault until every tenant had answered again.
    pub slowest: Duration,
    /// The same from the end of a fault that lasts.
    pub slowest_from_end: Duration,
}

impl Tally {
    pub fn add(&mut self, from_fault: Duration, from_end: Duration) {
        self.injected += 1;
        self.alone += 1;
        self.slowest = self.slowest.max(from_fault);
        self.slowest_from_end = self.slowest_from_end.max(from_end);
    }
}

/// Two live connections of one phone at a time.
#[derive(Debug, Clone, Default)]
pub struct Overlaps {
    pub of_running_browsers: Vec<Overlap>,
    /// The older one's machine stood still all the time but at the most `AFTER_A_STANDSTILL`.
    pub of_machines_that_stood_still: usize,
    /// The longest that such a browser lived on after its machine had woken.
    pub longest_after_waking: Duration,
}

impl Overlaps {
    pub fn judge(connections: &Connections, standstills: &[Standstill]) -> Self {
        let mut overlaps = Self::default();
        for overlap in &connections.overlaps {
            match standstills.iter().find_map(|still| after_waking(overlap, still, connections)) {
                Some(after) => {
                    overlaps.of_machines_that_stood_still += 1;
                    overlaps.longest_after_waking = overlaps.longest_after_waking.max(after);
                }
                None => overlaps.of_running_browsers.push(overlap.clone()),
            }
        }
        overlaps
    }
}

/// How long the older browser ran beside the newer one, if a standstill explains the overlap.
fn after_waking(overlap: &Overlap, still: &Standstill, connections: &Connections) -> Option<Duration> {
    let older = connections.connections.iter().find(|connection| connection.id == overlap.older)?;
    let explained = still.phones.contains(&overlap.phone)
        && older.opened_at_ms <= still.from
        && (still.from..still.until).contains(&overlap.from_ms);
    let after = Duration::from_millis(overlap.until_ms?.saturating_sub(still.until));
    (explained && after <= AFTER_A_STANDSTILL).then_some(after)
}

impl Report {
    /// What is wrong; nothing when the run holds.
    pub fn violations(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.failure.iter().cloned().collect();
        let overlaps = self.overlaps.of_running_browsers.iter();
        wrong.extend(overlaps.map(|overlap| format!("two live connections of one phone (I1): {overlap:?}")));
        wrong.extend(self.observed.violations.iter().cloned());
        wrong.extend(self.fences.violations.iter().cloned());
        wrong.extend(self.count.twice.iter().map(|what| format!("answered twice (I6): {what}")));
        wrong.extend(
            self.resends.needless.iter().map(|what| format!("sent again with its acknowledgement: {what}")),
        );
        wrong.extend(self.unclaimed.iter().map(|what| format!("not as it was claimed (I6): {what}")));
        wrong.extend(self.count.out_of_order.iter().map(|what| format!("out of order: {what}")));
        if self.count.missing > 0 {
            wrong.push(format!("{} messages were lost (I6)", self.count.missing));
        }
        wrong.extend(self.panics.iter().cloned());
        let nothing_judged = self.count.answered == 0
            || self.connections == 0
            || self.observed.publications == 0
            || self.fences.looks == 0;
        if nothing_judged {
            wrong.push("a judge saw nothing: this run proves nothing".to_owned());
        }
        wrong
    }

    fn injected(&self) -> usize {
        self.faults.values().map(|tally| tally.injected).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ran_for.as_secs();
        writeln!(
            f,
            "chaos, seed {}: {seconds} s, {} nodes, {} tenants",
            self.seed, self.nodes, self.tenants
        )?;
        writeln!(f, "  tenant-seconds observed   {}", seconds * self.tenants as u64)?;
        writeln!(f, "  faults injected           {}", self.injected())?;
        let running = self.overlaps.of_running_browsers.len();
        writeln!(f, "  overlaps                  {running} among {} connections", self.connections)?;
        writeln!(
            f,
            "    with a machine that stood still  {}; its browsers lived {:.3} s after waking at the most",
            self.overlaps.of_machines_that_stood_still,
            self.overlaps.longest_after_waking.as_secs_f64()
        )?;
        let unordered = self.observed.violations.len() + self.fences.violations.len();
        writeln!(
            f,
            "  generations out of order  {unordered} in {} publications and {} looks at PostgreSQL",
            self.observed.publications, self.fences.looks
        )?;
        writeln!(f, "  messages lost             {} of {}", self.count.missing, self.count.asked)?;
        writeln!(f, "  answered twice            {}", self.count.twice.len())?;
        writeln!(f, "  out of order in a chat    {}", self.count.out_of_order.len())?;
        writeln!(f, "  sent again, shown once    {}", self.resends.explained.values().sum::<usize>())?;
        for (explanation, times) in &self.resends.explained {
            writeln!(f, "    {times:>4}  {explanation}")?;
        }
        writeln!(
            f,
            "  leases lost, leaders, term {}, {}, {}",
            self.observed.leases_lost, self.observed.leaders, self.fences.term
        )?;
        writeln!(f, "  operations meanwhile      {}", self.orders)?;
        for failure in &self.orders.failures {
            writeln!(f, "    failed: {failure}")?;
        }
        writeln!(f, "  clocks                    {}", self.skewed)?;
        writeln!(f, "  disk of the snapshots     {}", self.disk)?;
        writeln!(f, "  slowest recovery          times  from the fault  from its end")?;
        for (kind, tally) in &self.faults {
            row(f, &kind.to_string(), tally)?;
        }
        row(f, "two of these at a time", &self.pairs)?;
        for (error, times) in &self.errors {
            writeln!(f, "  logged as ERROR {times} times: {error}")?;
        }
        for wrong in self.violations() {
            writeln!(f, "  WRONG: {wrong}")?;
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    if tally.alone == 0 {
        return writeln!(f, "    {name:<36} {:>3}  {:>12}    {:>10}", tally.injected, "-", "-");
    }
    let (all, end) = (tally.slowest.as_secs_f64(), tally.slowest_from_end.as_secs_f64());
    writeln!(f, "    {name:<36} {:>3}  {all:>12.1} s  {end:>10.1} s", tally.injected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::connection;

    fn connections(from_ms: u64, until_ms: Option<u64>) -> Connections {
        let overlap = Overlap { phone: "1".into(), older: 1, newer: 2, from_ms, until_ms };
        Connections { connections: vec![connection(1, 10), connection(2, from_ms)], overlaps: vec![overlap] }
    }

    #[test]
    fn an_overlap_is_explained_only_by_a_standstill_that_covers_it() {
        let still = Standstill { phones: vec!["1".into()], from: 1_000, until: 5_000 };
        let running = |from, until, still: &Standstill| {
            Overlaps::judge(&connections(from, until), std::slice::from_ref(still)).of_running_browsers.len()
        };
        assert_eq!(running(2_000, Some(5_300), &still), 0);
        assert_eq!(running(2_000, Some(6_500), &still), 1, "it lived too long after waking");
        assert_eq!(running(2_000, None, &still), 1, "it still lives");
        assert_eq!(running(900, Some(5_000), &still), 1, "it began before");
        assert_eq!(running(5_100, Some(5_200), &still), 1, "it began afterwards");
        let elsewhere = Standstill { phones: vec!["2".into()], ..still };
        assert_eq!(running(2_000, Some(5_000), &elsewhere), 1, "another machine stood still");
    }
}
