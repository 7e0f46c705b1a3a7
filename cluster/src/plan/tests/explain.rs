//! What an explanation says of each node, and of what would move a tenant.

use super::*;

#[test]
fn an_explanation_goes_through_the_tenants_order_and_what_would_move_it() {
    let nodes = vec![
        open_node("a"),
        NodeView { intake: Intake::Cordoned, ..open_node("b") },
        NodeView { capacity: 0, ..open_node("c") },
        NodeView { intake: Intake::Suspect, ..open_node("d") },
        NodeView { weight: 0, zone: "far".to_owned(), ..open_node("e") },
        NodeView { zone: "far".to_owned(), ..open_node("f") },
    ];
    let mut tenants: Vec<_> = (0..10).map(|number| active_on(number, "a")).collect();
    tenants.push(active_on(10, "b"));
    let snapshot = Snapshot::new(nodes, tenants);
    let explained = explain(&snapshot, &tenant_id(1)).unwrap();
    assert!(explained.stays());
    let expected = "\
t0001 is on a
now: it stays
d in default: is suspect: it takes what no other has room for
b in default: is cordoned
f in far: has room, with 0 of 5
a in default: has it
c in default: is full with its 0
e in far: has no weight: it takes only what is sent there
the loss of its node would move it to f
a drain of its node would move it to f
an operator's move or pin would move it";
    assert_eq!(explained.to_string(), expected);
    assert_eq!(explain(&snapshot, &tenant_id(99)), None);
}

#[test]
fn a_pinned_tenant_has_nowhere_else_to_go() {
    let tenant = TenantView { pin: Some(node_id("a")), ..active_on(1, "a") };
    let explained =
        explain(&Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant]), &tenant_id(1)).unwrap();
    let verdicts: BTreeMap<_, _> = explained.candidates.into_iter().map(|of| (of.node, of.verdict)).collect();
    let expected = [
        (node_id("a"), Verdict::Here),
        (node_id("b"), Verdict::Denies(AdmissionDenial::PinnedElsewhere { pin: node_id("a") })),
    ];
    assert_eq!(verdicts, BTreeMap::from(expected));
    let expected = [Trigger::Loss { to: None }, Trigger::Drain { to: None }, Trigger::Order { pinned: true }];
    assert_eq!(explained.triggers, expected);
}

#[test]
fn a_tenant_on_its_way_is_explained_by_its_move() {
    let tenant = TenantView {
        preparations: vec![Preparation { node: node_id("b"), ready: false }],
        move_to: Some(node_id("b")),
        ..active_on(1, "a")
    };
    let explained =
        explain(&Snapshot::new(vec![open_node("a"), open_node("b")], vec![tenant]), &tenant_id(1)).unwrap();
    assert!(!explained.stays() && explained.triggers.is_empty());
    let told = explained.to_string();
    assert!(
        told.contains("move t0001 from a to b: an operator moves it to b; it is being prepared"),
        "{told}"
    );
    assert!(told.contains("b in default: prepares for it"), "{told}");
}

#[test]
fn the_outlook_of_a_tenant_without_a_node_is_what_is_done_about_it() {
    let stopped = TenantView { wanted: Wanted::Stopped, ..running(1) };
    let mut leaving = active_on(3, "a");
    leaving.holds[0].phase = Phase::Releasing;
    let snapshot =
        Snapshot::new(vec![NodeView { capacity: 1, ..open_node("a") }], vec![stopped, running(2), leaving]);
    let outlook = |number| explain(&snapshot, &tenant_id(number)).unwrap().outlook;
    assert_eq!(outlook(1), Outlook::Absent);
    assert_eq!(outlook(2), Outlook::Acts(Action::Wait { reason: WaitReason::EveryNodeFull }));
    assert_eq!(outlook(3), Outlook::LetsGo);
}

#[test]
fn those_that_a_rebalance_would_move_are_told_so() {
    let tenants: Vec<_> = (0..10).map(|number| active_on(number, "a")).collect();
    let snapshot = Snapshot::new(vec![open_node("a"), open_node("b")], tenants);
    let rebalance = Trigger::Rebalance { to: Some(node_id("b")) };
    let told = (0..10)
        .filter(|&number| explain(&snapshot, &tenant_id(number)).unwrap().triggers.contains(&rebalance));
    assert_eq!(told.count(), 5);
}
