//! The rule of admission, clause by clause, and that everything which asks it has the same answer.

use super::{any::any_snapshot, *};

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
    let (pinned, sent) = match (&tenant.pin, &tenant.move_to) {
        (Some(pin), _) => (*pin != node.node, *pin == node.node),
        (None, Some(to)) => (false, *to == node.node),
        (None, None) => (false, false),
    };
    !pinned
        && match node.intake {
            Intake::Open | Intake::Suspect => true,
            Intake::Impaired => tenant.holds.is_empty() || sent,
            Intake::Cordoned | Intake::Shedding | Intake::Draining | Intake::Overdue | Intake::Leaving => {
                false
            }
        }
        && (tenant.holds.is_empty() || !tenant.unprepared.contains(&node.node))
        && hosted < node.capacity as usize
        && (node.weight > 0 || sent)
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
            prop_assert!(matches!(admitted, Ok(()) | Err(AdmissionDenial::Full { .. })), "{}: {:?}", decision, admitted);
        }
    }

    /// Likewise what is told of the nodes.
    #[test]
    fn an_explanation_denies_what_the_rule_denies(snapshot in any_snapshot()) {
        let is_full = |denial: &Option<AdmissionDenial>| matches!(denial, Some(AdmissionDenial::Full { .. }));
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
