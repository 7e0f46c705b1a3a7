//! The rule of admission, clause by clause, and that everything which asks it has the same answer.

use super::{any::any_snapshot, *};
use crate::records::NodeMemory;

/// One tenant more than there are, which is nowhere.
fn newcomer() -> TenantView {
    running(9_999)
}

fn denial(node: NodeView, tenant: &TenantView) -> Option<AdmissionDenial> {
    let name = node.node.clone();
    Snapshot::new(vec![node], Vec::new()).admits(&name, tenant).err()
}

#[test]
fn a_node_that_is_open_and_has_room_admits() {
    assert_eq!(denial(open_node("a"), &newcomer()), None);
    assert_eq!(denial(NodeView { intake: Intake::Suspect, ..open_node("a") }, &newcomer()), None);
}

#[test]
fn each_clause_denies_by_itself() {
    let pinned = TenantView { pin: Some(node_id("b")), ..newcomer() };
    let closed = |intake| NodeView { intake, ..open_node("a") };
    let elsewhere = AdmissionDenial::PinnedElsewhere { pin: node_id("b") };
    assert_eq!(denial(open_node("a"), &pinned), Some(elsewhere));
    assert_eq!(denial(closed(Intake::Cordoned), &newcomer()), Some(AdmissionDenial::Cordoned));
    assert_eq!(denial(closed(Intake::Draining), &newcomer()), Some(AdmissionDenial::Draining));
    assert_eq!(denial(closed(Intake::Overdue), &newcomer()), Some(AdmissionDenial::Draining));
    let mut damaged = Snapshot::new(vec![open_node("a")], Vec::new());
    damaged.unreadable = BTreeMap::from([(node_id("a"), "damaged".to_owned())]);
    assert_eq!(damaged.admits(&node_id("a"), &newcomer()), Err(AdmissionDenial::Unreadable));
    assert_eq!(denial(closed(Intake::Leaving), &newcomer()), Some(AdmissionDenial::Leaving));
    let full = NodeView { capacity: 0, ..open_node("a") };
    assert_eq!(denial(full, &newcomer()), Some(AdmissionDenial::Full { capacity: 0 }));
    let weightless = NodeView { weight: 0, ..open_node("a") };
    assert_eq!(denial(weightless, &newcomer()), Some(AdmissionDenial::WithoutWeight));
    let gone = Snapshot::new(vec![open_node("a")], Vec::new()).admits(&node_id("b"), &newcomer());
    assert_eq!(gone, Err(AdmissionDenial::NodeGone));
}

#[test]
fn what_is_sent_to_a_node_needs_no_weight_of_it() {
    let weightless = || NodeView { weight: 0, ..open_node("a") };
    let pinned = TenantView { pin: Some(node_id("a")), ..newcomer() };
    let moved = TenantView { move_to: Some(node_id("a")), ..newcomer() };
    assert_eq!(denial(weightless(), &pinned), None);
    assert_eq!(denial(weightless(), &moved), None);
    let moved_elsewhere = TenantView { move_to: Some(node_id("b")), ..newcomer() };
    assert_eq!(denial(weightless(), &moved_elsewhere), Some(AdmissionDenial::WithoutWeight));
}

#[test]
fn entries_and_preparations_of_others_take_room_and_the_tenants_own_do_not() {
    let mut releasing = active_on(1, "a");
    releasing.holds[0].phase = Phase::Releasing;
    let preparing =
        TenantView { preparations: vec![Preparation { node: node_id("a"), ready: false }], ..running(2) };
    let node = NodeView { capacity: 2, ..open_node("a") };
    let snapshot = Snapshot::new(vec![node], vec![releasing.clone(), preparing.clone(), active_on(3, "b")]);
    let admits = |tenant: &TenantView| snapshot.admits(&node_id("a"), tenant);
    assert_eq!(admits(&newcomer()), Err(AdmissionDenial::Full { capacity: 2 }));
    assert_eq!(admits(&releasing), Ok(()));
    assert_eq!(admits(&preparing), Ok(()));
}

/// The rule said once more, without what it is made of.
fn expected(snapshot: &Snapshot, node: &NodeView, tenant: &TenantView) -> bool {
    let is_on_it = |other: &&TenantView| {
        other.tenant != tenant.tenant
            && (other.holds.iter().any(|hold| hold.node == node.node)
                || other.preparations.iter().any(|preparation| preparation.node == node.node))
    };
    let hosted = snapshot.tenants.iter().filter(is_on_it).count();
    let has_memory = node.memory.is_none_or(|memory| {
        let request = |of: &TenantView| memory.request_bytes(of.memory_request_bytes);
        let given: u64 = snapshot
            .tenants
            .iter()
            .filter(is_on_it)
            .map(|other| {
                let holds = other.holds.iter().filter(|hold| hold.node == node.node).count();
                let prepared = other.preparations.iter().filter(|of| of.node == node.node).count();
                request(other) * (holds + prepared) as u64
            })
            .sum();
        given + request(tenant) <= memory.allocatable_bytes
    });
    let (pinned, sent) = match (&tenant.pin, &tenant.move_to) {
        (Some(pin), _) => (*pin != node.node, *pin == node.node),
        (None, Some(to)) => (false, *to == node.node),
        (None, None) => (false, false),
    };
    let is_left =
        tenant.leaves.as_ref() == Some(&node.node) && tenant.pin.is_none() && tenant.move_to.is_none();
    !pinned
        && (tenant.holds.is_empty() || !is_left)
        && match node.intake {
            Intake::Open | Intake::Suspect => true,
            Intake::Impaired => tenant.holds.is_empty() || sent,
            Intake::Cordoned | Intake::Shedding | Intake::Draining | Intake::Overdue | Intake::Leaving => {
                false
            }
        }
        && (tenant.holds.is_empty() || !tenant.unprepared.contains(&node.node))
        && hosted < node.capacity as usize
        && has_memory
        && (node.weight > 0 || sent)
}

impl AdmissionDenial {
    /// What may be other once a plan is carried out.
    fn is_of_room(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::NotEnoughMemory { .. })
    }
}

const MIB: u64 = 1 << 20;

fn with_memory(name: &str, allocatable_mib: u64) -> NodeView {
    let memory = NodeMemory { allocatable_bytes: allocatable_mib * MIB, p95_bytes: Some(100 * MIB) };
    NodeView { memory: Some(memory), ..open_node(name) }
}

fn requesting(number: usize, mib: u64) -> TenantView {
    TenantView { memory_request_bytes: Some(mib * MIB), ..running(number) }
}

#[test]
fn a_node_takes_what_fits_into_its_memory_and_says_what_is_free() {
    let snapshot = Snapshot::new(vec![with_memory("a", 250)], vec![active_on(1, "a")]);
    let admits = |tenant: &TenantView| snapshot.admits(&node_id("a"), tenant);
    assert_eq!(admits(&newcomer()), Ok(()), "150 are free, and one that requests nothing takes 100");
    assert_eq!(admits(&requesting(9, 150)), Ok(()));
    let denial = admits(&requesting(9, 151)).unwrap_err();
    let (request_bytes, free_bytes) = (151 * MIB, 150 * MIB);
    assert_eq!(denial, AdmissionDenial::NotEnoughMemory { request_bytes, free_bytes });
    assert_eq!(denial.to_string(), "has too little memory: it needs 151 MiB and 150 MiB are free");
}

#[test]
fn tenants_go_where_their_requests_fit_and_those_that_fit_nowhere_wait_and_say_so() {
    let nodes = vec![with_memory("a", 500), with_memory("b", 300)];
    let tenants = vec![requesting(1, 450), requesting(2, 250), requesting(3, 100), running(4)];
    let plan = plan(&Snapshot::new(nodes, tenants));
    let placed: BTreeMap<_, _> =
        plan.placements().map(|(tenant, node)| (tenant.clone(), node.clone())).collect();
    assert_eq!(placed.get(&tenant_id(1)), Some(&node_id("a")), "{plan}");
    assert_eq!(placed.get(&tenant_id(2)), Some(&node_id("b")), "{plan}");
    assert_eq!(placed.len(), 2);
    assert!(
        plan.to_string().contains("it needs 100 MiB of memory and no node has more than 50 MiB free"),
        "{plan}"
    );
}

#[test]
fn a_drain_and_a_rebalance_leave_where_it_is_what_fits_nowhere_else() {
    let large = TenantView { memory_request_bytes: Some(400 * MIB), ..active_on(1, "a") };
    let small = TenantView { memory_request_bytes: Some(100 * MIB), ..active_on(2, "a") };
    let drained = NodeView { intake: Intake::Draining, ..with_memory("a", 1_000) };
    let nodes = vec![drained, with_memory("b", 300)];
    let snapshot = Snapshot::new(nodes, vec![large.clone(), small.clone()]);
    let state = |number| {
        let moves = moves(&snapshot);
        moves.into_iter().find(|one| one.tenant == tenant_id(number)).unwrap().state
    };
    let (request_bytes, free_bytes) = (400 * MIB, 300 * MIB);
    let stuck = WaitReason::NotEnoughMemory { node: None, request_bytes, free_bytes };
    assert_eq!(state(1), MoveState::Stuck(stuck));
    assert_eq!(state(2), MoveState::Preparing);
    let nodes = vec![with_memory("a", 1_000), with_memory("b", 300)];
    let mut snapshot = Snapshot::new(nodes, vec![large, small]);
    snapshot.goal = Goal::Rebalance;
    let moved: Vec<_> = moves(&snapshot).into_iter().map(|one| one.tenant).collect();
    assert_eq!(moved, [tenant_id(2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_node_admits_a_tenant_if_no_clause_is_against_it(snapshot in any_snapshot()) {
        for (node, tenant) in pairs(&snapshot) {
            let admitted = snapshot.admits(&node.node, tenant);
            prop_assert_eq!(admitted.is_ok(), expected(&snapshot, node, tenant), "{:?}", admitted);
        }
    }

    /// Room that the plan itself makes or takes apart, the plan gives a tenant only to a node that admits it.
    #[test]
    fn a_plan_gives_nothing_to_a_node_that_does_not_admit_it(snapshot in any_snapshot()) {
        for decision in plan(&snapshot).decisions {
            let (Action::Place { node, .. } | Action::Prepare { node, .. }) = &decision.action else { continue };
            let tenant = snapshot.tenants.iter().find(|view| view.tenant == decision.tenant).unwrap();
            let admitted = snapshot.admits(node, tenant);
            let of_room = AdmissionDenial::is_of_room;
            prop_assert!(admitted.as_ref().err().is_none_or(of_room), "{}: {:?}", decision, admitted);
        }
    }

    /// Likewise what is told of the nodes.
    #[test]
    fn an_explanation_denies_what_the_rule_denies(snapshot in any_snapshot()) {
        let is_full = |denial: &Option<AdmissionDenial>| denial.as_ref().is_some_and(AdmissionDenial::is_of_room);
        for tenant in snapshot.tenants.iter().take(3) {
            for candidate in explain(&snapshot, &tenant.tenant).unwrap().candidates {
                let told = match candidate.verdict {
                    Verdict::Here | Verdict::Prepares { .. } => continue,
                    Verdict::Denies(denial) => Some(denial),
                    _ => None,
                };
                let ruled = snapshot.admits(&candidate.node, tenant).err();
                if !is_full(&told) && !is_full(&ruled) {
                    prop_assert_eq!(told, ruled, "{}", candidate.node);
                }
            }
        }
    }
}

fn pairs(snapshot: &Snapshot) -> impl Iterator<Item = (&NodeView, &TenantView)> {
    snapshot.nodes.iter().flat_map(|node| snapshot.tenants.iter().map(move |tenant| (node, tenant)))
}
