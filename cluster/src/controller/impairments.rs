//! What follows from what nodes say that they lack. Pure: the nodes' records and the time come in.
//!
//! ```text
//!   well ──impaired──► takes last ──60 s, few alike──► its tenants leave
//!    ▲                   │    ▲                              │    │
//!    └──── well, 10 s ───┴────┼────── many alike ────────────┘    │
//!    └──────────────────── well, 10 s ──────────────────────────┘
//! ```
//!
//! A fault that many nodes share is not theirs: a database that is away, a site that is. Moving tenants from one such node
//! to the next would only add to it, so nobody moves, and that is said. Whose tenants leave is noted in the
//! ledger, for those who ask and for the next controller, which goes on with it; of the others it counts the minute anew.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use roost_model::ids::{NodeId, TenantId};

use super::failure_detector::{Assessment, of_node};
use crate::{
    ledger::{Event, EventKind, LedgerRecord, NodeOrder},
    records::{ImpairmentKind, NodeRecord},
};

/// An impairment that lasts so long makes the node's tenants leave. That memory is short the node has made sure of itself, and a
/// minute later it may be over with it.
fn lasting(kind: ImpairmentKind) -> Duration {
    Duration::from_secs(if kind == ImpairmentKind::Memory { 0 } else { 60 })
}
/// A node that was well for so long takes tenants as before.
const WELL_FOR: Duration = Duration::from_secs(10);
/// One in so many of the live nodes may shed its tenants for the same kind of impairment; one may in any case.
const ONE_IN: usize = 5;

/// The nodes that are impaired, or were a moment ago.
#[derive(Debug, Default)]
pub(super) struct Impairments {
    nodes: BTreeMap<NodeId, Impaired>,
    /// The term has looked before.
    has_looked: bool,
}

#[derive(Debug, Default)]
struct Impaired {
    since: BTreeMap<ImpairmentKind, Duration>,
    /// An earlier term has found that this one lasts.
    resumed: Option<ImpairmentKind>,
    /// None while it is impaired.
    well_since: Option<Duration>,
    /// Who was said to leave it last, where they leave one at a time.
    named: Option<TenantId>,
    consequence: Consequence,
}

/// Of impairments that last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    #[default]
    None,
    /// Its tenants leave.
    Sheds(ImpairmentKind),
    /// They would, if fewer nodes were impaired alike.
    Shared(ImpairmentKind),
}

/// How many nodes are live, and of these impaired by each kind.
struct Extent {
    live: usize,
    by_kind: BTreeMap<ImpairmentKind, usize>,
}

impl Impairments {
    /// Adds to the assessment who takes last, who sheds, and what is new of it.
    pub(super) fn observe(
        &mut self,
        nodes: &BTreeMap<NodeId, NodeRecord>,
        noted: &[NodeOrder],
        now: Duration,
        assessment: &mut Assessment,
    ) {
        let noted = noted_shedding(noted);
        if !std::mem::replace(&mut self.has_looked, true) {
            self.resume(nodes, &noted);
        }
        self.nodes.retain(|node, _| nodes.contains_key(node));
        for (node, record) in nodes {
            self.take_in(node, record, now, &mut assessment.events);
        }
        let is_over = |impaired: &Impaired| impaired.well_since.is_some_and(|at| at + WELL_FOR <= now);
        self.nodes.retain(|_, impaired| !is_over(impaired));
        let extent = Extent::of(nodes);
        for (node, impaired) in &mut self.nodes {
            assessment.impaired.insert(node.clone());
            let consequence = impaired.consequence(&extent, now);
            if std::mem::replace(&mut impaired.consequence, consequence) != consequence {
                assessment.events.extend(told(node, consequence, &extent));
            }
            if let Consequence::Sheds(kind) = consequence {
                assessment.events.extend(impaired.names_another(node, kind, &nodes[node]));
                assessment.shedding.insert(node.clone(), kind);
            }
            let changes_after = impaired.changes_after(now);
            assessment.recheck_after = assessment.recheck_after.into_iter().chain(changes_after).min();
        }
        assessment.records.extend(self.news(&noted));
    }

    /// Goes on with what an earlier term has begun and its cause still there.
    fn resume(&mut self, nodes: &BTreeMap<NodeId, NodeRecord>, noted: &BTreeMap<&NodeId, ImpairmentKind>) {
        for (node, record) in nodes {
            let Some(&kind) = noted.get(node) else { continue };
            if record.impairments.iter().any(|impairment| impairment.kind == kind) {
                let (resumed, consequence) = (Some(kind), Consequence::Sheds(kind));
                self.nodes.insert(node.clone(), Impaired { resumed, consequence, ..Impaired::default() });
            }
        }
    }

    /// What the ledger has otherwise.
    fn news(&self, noted: &BTreeMap<&NodeId, ImpairmentKind>) -> Vec<LedgerRecord> {
        let sheds = |impaired: &Impaired| match impaired.consequence {
            Consequence::Sheds(kind) => Some(kind),
            Consequence::None | Consequence::Shared(_) => None,
        };
        let now: BTreeMap<&NodeId, ImpairmentKind> =
            self.nodes.iter().filter_map(|(node, impaired)| Some((node, sheds(impaired)?))).collect();
        let all: BTreeSet<&NodeId> = now.keys().chain(noted.keys()).copied().collect();
        let changed = all.into_iter().filter(|node| now.get(node) != noted.get(node));
        changed
            .map(|node| LedgerRecord::Shedding { node: node.clone(), because: now.get(node).copied() })
            .collect()
    }

    fn take_in(&mut self, node: &NodeId, record: &NodeRecord, now: Duration, events: &mut Vec<Event>) {
        if record.impairments.is_empty() && !self.nodes.contains_key(node) {
            return;
        }
        let impaired = self.nodes.entry(node.clone()).or_default();
        let present: BTreeSet<ImpairmentKind> =
            record.impairments.iter().map(|impairment| impairment.kind).collect();
        impaired.since.retain(|kind, _| {
            let lasts = present.contains(kind);
            if !lasts {
                tracing::info!(%node, %kind, "a node is no longer impaired by it");
                let text = format!("{node} is no longer impaired: {kind}");
                events.push(of_node(EventKind::NodeRecovered, node, text));
            }
            lasts
        });
        impaired.resumed = impaired.resumed.filter(|kind| present.contains(kind));
        for impairment in &record.impairments {
            if let Entry::Vacant(new) = impaired.since.entry(impairment.kind) {
                new.insert(now);
                tracing::warn!(%node, kind = %impairment.kind, reason = impairment.reason, "a node is impaired");
                let takes = match impairment.kind {
                    ImpairmentKind::Memory => "no tenants",
                    _ => "tenants last",
                };
                let text = format!("{node} is impaired and takes {takes}: {impairment}");
                events.push(of_node(EventKind::NodeImpaired, node, text));
            }
        }
        impaired.well_since = if present.is_empty() { impaired.well_since.or(Some(now)) } else { None };
    }
}

impl Impaired {
    fn consequence(&self, extent: &Extent, now: Duration) -> Consequence {
        let lasts = |kind: ImpairmentKind, since: Duration| {
            since + lasting(kind) <= now || self.resumed == Some(kind)
        };
        let lasting_kinds =
            || self.since.iter().filter(|(kind, since)| lasts(**kind, **since)).map(|(kind, _)| *kind);
        match (
            lasting_kinds().find(|kind| extent.is_its_own(*kind)),
            lasting_kinds().next(),
            self.consequence,
        ) {
            (Some(kind), ..) => Consequence::Sheds(kind),
            (None, Some(kind), _) => Consequence::Shared(kind),
            // Until it is known to be well for good, whoever was leaving goes on.
            (None, None, Consequence::Sheds(kind)) if self.well_since.is_some() => Consequence::Sheds(kind),
            (None, None, _) => Consequence::None,
        }
    }

    /// Said once of each that the node names.
    fn names_another(&mut self, node: &NodeId, kind: ImpairmentKind, record: &NodeRecord) -> Option<Event> {
        let impairment = record.impairments.iter().find(|impairment| impairment.kind == kind)?;
        let next = impairment.next_to_leave.as_ref()?;
        if self.named.replace(next.tenant.clone()).as_ref() == Some(&next.tenant) {
            return None;
        }
        let text = format!("{node} is short of memory and wants it elsewhere: {next}");
        let event = of_node(EventKind::ShedForMemory, node, text);
        Some(Event { tenant: Some(next.tenant.clone()), ..event })
    }

    fn changes_after(&self, now: Duration) -> Option<Duration> {
        let lasting = self.since.iter().map(|(kind, since)| *since + lasting(*kind));
        let well = self.well_since.map(|since| since + WELL_FOR);
        lasting.chain(well).filter(|at| *at > now).map(|at| at - now).min()
    }
}

/// By node, what its tenants leave it for as the ledger has it.
pub(super) fn noted_shedding(orders: &[NodeOrder]) -> BTreeMap<&NodeId, ImpairmentKind> {
    orders.iter().filter_map(|order| Some((&order.node, order.shedding?))).collect()
}

impl Extent {
    fn of(nodes: &BTreeMap<NodeId, NodeRecord>) -> Self {
        let live = nodes.values().filter(|record| !record.leaving);
        let mut by_kind = BTreeMap::new();
        for impairment in live.clone().flat_map(|record| &record.impairments) {
            *by_kind.entry(impairment.kind).or_default() += 1;
        }
        Self { live: live.count(), by_kind }
    }

    fn alike(&self, kind: ImpairmentKind) -> usize {
        self.by_kind.get(&kind).copied().unwrap_or_default()
    }

    /// The fault is the nodes' own and not everybody's.
    fn is_its_own(&self, kind: ImpairmentKind) -> bool {
        let alike = self.alike(kind);
        alike <= (self.live / ONE_IN).max(1) && alike < self.live
    }
}

fn told(node: &NodeId, consequence: Consequence, extent: &Extent) -> Option<Event> {
    let text = match consequence {
        Consequence::None => return None,
        Consequence::Sheds(ImpairmentKind::Memory) => {
            tracing::warn!(%node, "the tenants of a node without enough memory leave it one at a time");
            format!("the tenants of {node} leave it one at a time until it has enough memory")
        }
        Consequence::Sheds(kind) => {
            tracing::warn!(%node, %kind, "the tenants of an impaired node leave it");
            let secs = lasting(kind).as_secs();
            format!("the tenants of {node} leave it: it has been impaired for {secs} s ({kind})")
        }
        Consequence::Shared(kind) => {
            let (alike, live) = (extent.alike(kind), extent.live);
            tracing::error!(%node, %kind, alike, live, "an impairment is shared by many nodes: nobody is moved");
            format!("the tenants of {node} stay: {alike} of {live} live nodes are impaired alike ({kind})")
        }
    };
    Some(of_node(EventKind::NodeImpaired, node, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::tests::live_node,
        records::{Impairment, NextToLeave},
    };

    const BROWSER: ImpairmentKind = ImpairmentKind::Browser;

    /// So many nodes, `n0` and on, the first of them impaired by these.
    fn nodes(live: usize, impaired: &[&[ImpairmentKind]]) -> BTreeMap<NodeId, NodeRecord> {
        let record = |at: usize| {
            let kinds = impaired.get(at).copied().unwrap_or_default();
            let impairments = kinds.iter().map(|kind| Impairment::new(*kind, "x", 0)).collect();
            let record = NodeRecord { impairments, ..live_node(&format!("n{at}"), 1, "") };
            (record.node.clone(), record)
        };
        (0..live).map(record).collect()
    }

    fn observe(of: &mut Impairments, nodes: &BTreeMap<NodeId, NodeRecord>, secs: u64) -> Assessment {
        let mut assessment = Assessment::default();
        of.observe(nodes, &[], Duration::from_secs(secs), &mut assessment);
        assessment
    }

    fn names<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> Vec<&'a str> {
        nodes.into_iter().map(NodeId::as_str).collect()
    }

    #[test]
    fn a_node_takes_last_at_once_sheds_after_a_minute_and_takes_again_ten_seconds_after_it_is_well() {
        let mut impairments = Impairments::default();
        let (well, ill) = (nodes(3, &[]), nodes(3, &[&[BROWSER]]));
        assert_eq!(observe(&mut impairments, &well, 0), Assessment::default());
        let begun = observe(&mut impairments, &ill, 10);
        assert_eq!((names(&begun.impaired), names(begun.shedding.keys())), (vec!["n0"], vec![]));
        assert_eq!(begun.recheck_after, Some(Duration::from_secs(60)));
        assert_eq!(begun.events[0].text, "n0 is impaired and takes tenants last: browser: x");
        assert_eq!(observe(&mut impairments, &ill, 69).shedding, BTreeMap::new());
        let sheds = observe(&mut impairments, &ill, 70);
        assert_eq!(names(sheds.shedding.keys()), ["n0"]);
        assert_eq!(
            sheds.events[0].text,
            "the tenants of n0 leave it: it has been impaired for 60 s (browser)"
        );
        assert_eq!(observe(&mut impairments, &ill, 75).events, [], "it is told once");
        let ended = observe(&mut impairments, &well, 80);
        assert_eq!(ended.events[0].kind, EventKind::NodeRecovered);
        assert_eq!(names(ended.shedding.keys()), ["n0"], "it may not last");
        assert_eq!(ended.recheck_after, Some(Duration::from_secs(10)));
        assert_eq!(names(&observe(&mut impairments, &ill, 85).impaired), ["n0"]);
        observe(&mut impairments, &well, 86);
        assert_eq!(names(&observe(&mut impairments, &well, 95).impaired), ["n0"]);
        assert_eq!(observe(&mut impairments, &well, 96), Assessment::default());
    }

    #[test]
    fn who_sheds_is_noted_until_the_ledger_has_it_and_the_next_controller_goes_on_with_it() {
        let noted = |kind| {
            let (node, shedding) = (NodeId::new("n0").unwrap(), Some(kind));
            vec![NodeOrder { node, cordoned: false, restart_window: None, suspect_for: None, shedding }]
        };
        let at = |of: &mut Impairments, nodes: &BTreeMap<NodeId, NodeRecord>, noted: &[NodeOrder], secs| {
            let mut assessment = Assessment::default();
            of.observe(nodes, noted, Duration::from_secs(secs), &mut assessment);
            let texts: Vec<String> = assessment.events.iter().map(|event| event.text.clone()).collect();
            (assessment.records, names(assessment.shedding.keys()).len(), texts)
        };
        let record = |because| LedgerRecord::Shedding { node: NodeId::new("n0").unwrap(), because };
        let (ill, mut first) = (nodes(3, &[&[BROWSER]]), Impairments::default());
        assert_eq!(at(&mut first, &ill, &[], 0).0, []);
        for secs in [60, 61] {
            assert_eq!(at(&mut first, &ill, &[], secs).0, [record(Some(BROWSER))], "until it is noted");
        }
        assert_eq!(at(&mut first, &ill, &noted(BROWSER), 62).0, []);

        let mut next = Impairments::default();
        let (records, shedding, told) = at(&mut next, &ill, &noted(BROWSER), 63);
        assert_eq!((records, shedding), (vec![], 1), "no minute is counted anew");
        assert_eq!(told, ["n0 is impaired and takes tenants last: browser: x"]);
        at(&mut next, &nodes(3, &[]), &noted(BROWSER), 64);
        assert_eq!(at(&mut next, &nodes(3, &[]), &noted(BROWSER), 74).0, [record(None)]);
        // What has ended, or is another thing now, was another one's to shed.
        for now in [nodes(3, &[]), nodes(3, &[&[ImpairmentKind::Site]]), BTreeMap::new()] {
            let (records, shedding, _) = at(&mut Impairments::default(), &now, &noted(BROWSER), 80);
            assert_eq!((records, shedding), (vec![record(None)], 0));
        }
    }

    #[test]
    fn an_impairment_that_ends_within_the_minute_moves_nobody() {
        let mut impairments = Impairments::default();
        for at in 0..20 {
            let ill = observe(&mut impairments, &nodes(3, &[&[BROWSER]]), at * 70);
            let well = observe(&mut impairments, &nodes(3, &[]), at * 70 + 59);
            assert_eq!((ill.shedding, well.shedding), Default::default());
        }
    }

    #[test]
    fn what_everybody_lacks_moves_nobody_and_is_said() {
        let mut impairments = Impairments::default();
        let all = nodes(3, &[&[ImpairmentKind::Database] as &[_]; 3]);
        observe(&mut impairments, &all, 0);
        let shared = observe(&mut impairments, &all, 60);
        assert_eq!(shared.shedding, BTreeMap::new());
        assert_eq!(names(&shared.impaired), ["n0", "n1", "n2"]);
        let said = "the tenants of n0 stay: 3 of 3 live nodes are impaired alike (database)";
        assert_eq!(shared.events[0].text, said);
        let alone = nodes(1, &[&[BROWSER]]);
        let mut impairments = Impairments::default();
        observe(&mut impairments, &alone, 0);
        assert_eq!(observe(&mut impairments, &alone, 99).shedding, BTreeMap::new(), "where should they go");
    }

    #[test]
    fn one_node_or_a_fifth_of_them_may_shed_for_the_same_kind() {
        for (live, ill, shed) in [(2, 1, 1), (4, 2, 0), (9, 2, 0), (10, 2, 2), (10, 3, 0), (15, 3, 3)] {
            let mut impairments = Impairments::default();
            let nodes = nodes(live, &vec![&[BROWSER] as &[_]; ill]);
            observe(&mut impairments, &nodes, 0);
            let shedding = observe(&mut impairments, &nodes, 60).shedding;
            assert_eq!(shedding.len(), shed, "{ill} of {live}");
        }
    }

    #[test]
    fn another_kind_that_is_its_own_makes_a_node_shed() {
        let mut impairments = Impairments::default();
        let database = ImpairmentKind::Database;
        let nodes = nodes(3, &[&[database], &[database, ImpairmentKind::Site], &[database]]);
        observe(&mut impairments, &nodes, 0);
        assert_eq!(names(observe(&mut impairments, &nodes, 60).shedding.keys()), ["n1"]);
    }

    #[test]
    fn a_node_without_memory_sheds_at_once_and_each_that_it_names_is_told_once() {
        let mut impairments = Impairments::default();
        let mut look = |secs, next: Option<&str>| {
            let mut nodes = nodes(3, &[&[ImpairmentKind::Memory]]);
            let next_to_leave = next.map(|tenant| NextToLeave {
                tenant: TenantId::new(tenant).unwrap(),
                used_bytes: 300 << 20,
                requested_bytes: 128 << 20,
            });
            nodes.get_mut(&NodeId::new("n0").unwrap()).unwrap().impairments[0].next_to_leave = next_to_leave;
            let assessment = observe(&mut impairments, &nodes, secs);
            assert_eq!(names(assessment.shedding.keys()), ["n0"]);
            let told = assessment.events.into_iter();
            told.map(|event| (event.kind, event.tenant.map(|it| it.to_string()), event.text))
                .collect::<Vec<_>>()
        };
        let of_node = |text: &str| (EventKind::NodeImpaired, None, text.to_owned());
        let leaves = |tenant: &str| {
            let why =
                "n0 is short of memory and wants it elsewhere: it uses 300 MiB of memory and requests 128";
            (EventKind::ShedForMemory, Some(tenant.to_owned()), why.to_owned())
        };
        let told = look(0, Some("acme"));
        let expected = [
            of_node("n0 is impaired and takes no tenants: memory: x"),
            of_node("the tenants of n0 leave it one at a time until it has enough memory"),
            leaves("acme"),
        ];
        assert_eq!(told, expected);
        assert_eq!(look(5, Some("acme")), []);
        assert_eq!(look(10, None), [], "it eases");
        assert_eq!(look(15, Some("duka")), [leaves("duka")]);
        assert_eq!(look(20, Some("acme")), [leaves("acme")], "its turn again");
    }

    #[test]
    fn those_that_leave_stop_when_others_come_to_lack_the_same() {
        let mut impairments = Impairments::default();
        observe(&mut impairments, &nodes(3, &[&[BROWSER]]), 0);
        assert_eq!(names(observe(&mut impairments, &nodes(3, &[&[BROWSER]]), 60).shedding.keys()), ["n0"]);
        let two = observe(&mut impairments, &nodes(3, &[&[BROWSER], &[BROWSER]]), 61);
        assert_eq!(two.shedding, BTreeMap::new());
    }
}
