//! Controllers, etcd and the ledger that go and come back.

use std::{sync::Arc, time::Duration};

use roost_model::ids::{Generation, Revision, Term};

use super::{
    severable_ledger::SeverableLedger,
    test_cluster::{TestCluster, node_id, tenant},
};
use crate::{
    controller::survey,
    keys,
    ledger::{ComplaintKind, EventKind, Ledger},
    plan,
    registry::{Entry, MemoryRegistry, Op, Registry},
    timing::Timing,
};

#[tokio::test(start_paused = true)]
async fn a_controller_that_stops_is_followed_at_once() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let second = cluster.controller("two");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!second.status.borrow().leading);
    let stopped_at = cluster.now();
    first.stop().await;
    cluster.until(async || second.status.borrow().last_pass_at.is_some()).await;
    assert!(cluster.now() - stopped_at < Duration::from_millis(100));
    assert_eq!(second.status.borrow().term, Some(Term(2)));
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_killed_is_followed_when_its_lease_ends_and_nothing_moves() {
    let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let second = cluster.controller("two");
    let before = cluster.published().await;
    first.kill();
    cluster.until(async || second.status.borrow().last_pass_at.is_some()).await;
    assert_eq!(cluster.published().await, before);
    cluster.ledger.add(&tenant(9), true);
    cluster.until(async || cluster.judge.browsers() == 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_etcd_moves_nothing() {
    let (cluster, controller, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let before = cluster.published().await;
    cluster.registry.cut_off();
    cluster.until(async || controller.status.borrow().complaint.is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.registry.reconnect();
    cluster.until(async || controller.status.borrow().complaint.is_none()).await;
    assert_eq!(cluster.published().await, before);
    assert_eq!(controller.status.borrow().term, Some(Term(1)));
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_of_etcd_everything_runs_again() {
    let (cluster, controller, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
    cluster.registry.cut_off();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.judge.browsers(), 0);
    assert!(!controller.status.borrow().leading);
    cluster.registry.reconnect();
    cluster.until(async || cluster.judge.browsers() == 4).await;
    assert_eq!(cluster.ledger.term(), Term(2));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_ledger_leaves_the_term_and_the_tenants_where_they_are() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    cluster.ledger.cut_off();
    let before = cluster.published().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.published().await, before);
    assert!(controller.status.borrow().complaint.is_some());
    // A node that is lost meanwhile waits for the ledger: without a new generation nothing may be placed.
    nodes[&node_id("a")].crash().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.judge.browsers(), 2);
    cluster.ledger.reconnect();
    cluster.until(async || cluster.judge.browsers() == 4).await;
    assert_eq!(controller.status.borrow().term, Some(Term(1)));
}

#[tokio::test(start_paused = true)]
async fn a_controller_starts_while_the_ledger_is_down() {
    let cluster = TestCluster::new();
    cluster.ledger.cut_off();
    let controller = cluster.controller("one");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(controller.status.borrow().complaint.is_some());
    cluster.ledger.reconnect();
    cluster.until(async || controller.status.borrow().last_pass_at.is_some()).await;
    assert_eq!(cluster.ledger.term(), Term(1));
}

#[tokio::test(start_paused = true)]
async fn in_a_new_store_nothing_is_placed_before_every_owner_of_the_old_one_has_had_to_stop() {
    let (mut cluster, controller, nodes) = TestCluster::settled(&["a"], 1).await;
    // The old store is lost with all it knew, its last keepalive answered just now.
    nodes[&node_id("a")].kill();
    controller.kill();
    cluster.registry = Arc::new(MemoryRegistry::new("memory"));
    let _node = cluster.node("b");
    let founded_at = cluster.now();
    let first = cluster.controller("one");
    tokio::time::sleep(Duration::from_secs(3)).await;
    // A controller that dies while it waits is followed by one that waits.
    first.stop().await;
    let second = cluster.controller("two");
    cluster.until(async || cluster.generation(&tenant(0)).await.is_some()).await;
    assert!(cluster.now() - founded_at >= Timing::default().ttl + Duration::from_secs(3));
    assert_eq!(cluster.generation(&tenant(0)).await, Some(Generation(2)));
    // It is waited for once.
    second.stop().await;
    let third = cluster.controller("three");
    let began_at = cluster.now();
    cluster.until(async || third.status.borrow().last_pass_at.is_some()).await;
    assert!(cluster.now() - began_at < Duration::from_secs(1));
}

/// A store in the place of the cluster's, with the mark of that one: its tenant is placed anew, and not before a TTL.
async fn founded_anew_after_a_ttl(cluster: &mut TestCluster, restored: MemoryRegistry, mark: Entry) {
    cluster.registry = Arc::new(restored);
    let put = Op::Put { key: keys::STORE.to_owned(), value: mark.value, lease: None };
    cluster.registry.commit(&[], &[put]).await.unwrap();
    let restored_at = cluster.now();
    let _controller = cluster.controller("one");
    let _node = cluster.node("b");
    cluster.until(async || cluster.generation(&tenant(0)).await == Some(Generation(2))).await;
    assert!(cluster.now() - restored_at >= Timing::default().ttl);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_gone_back_in_time_is_taken_for_a_new_one() {
    let (mut cluster, first, nodes) = TestCluster::settled(&["a"], 1).await;
    let store = cluster.registry.get(keys::STORE).await.unwrap().unwrap();
    for _ in 0..100 {
        let put = Op::Put { key: "other".to_owned(), value: Vec::new(), lease: None };
        cluster.registry.commit(&[], &[put]).await.unwrap();
    }
    first.stop().await;
    let controller = cluster.controller("one");
    cluster.until(async || controller.status.borrow().last_pass_at.is_some()).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    // A copy that knows of no node and whose revisions begin anew.
    founded_anew_after_a_ttl(&mut cluster, MemoryRegistry::new("memory"), store).await;
    assert_eq!(cluster.ledger.term(), Term(3));
}

/// One whose backup is younger than the last election: its leader's key tells nothing.
#[tokio::test(start_paused = true)]
async fn a_store_that_has_lost_its_last_assignments_alone_is_taken_for_a_new_one() {
    let (mut cluster, controller, nodes) = TestCluster::settled(&["a"], 1).await;
    let store = cluster.registry.get(keys::STORE).await.unwrap().unwrap();
    let leader = cluster.registry.get(keys::LEADER).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes[&node_id("a")].kill();
    controller.kill();
    let since = Revision(leader.create_revision.0 + 1);
    let restored = MemoryRegistry::gone_back_to("memory", since);
    founded_anew_after_a_ttl(&mut cluster, restored, store).await;
}

#[tokio::test(start_paused = true)]
async fn while_etcd_takes_no_writes_no_generation_is_counted_up_and_then_everything_is_placed() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let on_a = cluster.tenants_on("a").await;
    cluster.registry.refuse_puts(Some(keys::ALL));
    nodes[&node_id("a")].kill();
    cluster.until(async || controller.status.borrow().complaint.is_some()).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let why = controller.status.borrow().complaint.clone().unwrap().reason;
    assert!(why.contains("database space exceeded"), "{why}");
    // Longer than a leader waits: then nobody can be elected, for that is a write too.
    tokio::time::sleep(Duration::from_secs(100)).await;
    let complaint = controller.status.borrow().complaint.clone().unwrap();
    assert_eq!(complaint.kind, ComplaintKind::EtcdFull, "{complaint:?}");
    for tenant in &on_a {
        assert_eq!(cluster.ledger.desired(tenant).unwrap().generation, Generation(2), "{tenant}");
    }
    cluster.registry.refuse_puts(None);
    let disarmed_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 4).await;
    assert!(cluster.now() - disarmed_at < Timing::default().ttl * 2);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_etcd_refuses_does_not_stop_those_of_other_nodes() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
    let [refused, lost] = ["a", "c"].map(node_id);
    cluster.registry.refuse_puts(Some(&keys::assignments(&refused)));
    nodes[&lost].crash().await;
    cluster.until(async || cluster.judge.browsers() == 5).await;
    assert!(controller.status.borrow().complaint.is_some());
    cluster.registry.refuse_puts(None);
    cluster.until(async || cluster.judge.browsers() == 6).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_reach_the_ledger_gives_way_to_one_that_can() {
    let (cluster, sound, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    let severed = Arc::new(SeverableLedger::new(cluster.ledger.clone()));
    let ailing = cluster.controller_over(cluster.registry.clone(), severed.clone(), "two");
    sound.stop().await;
    cluster.until(async || ailing.status.borrow().last_pass_at.is_some()).await;
    let sound = cluster.controller("three");
    severed.sever();
    nodes[&node_id("a")].crash().await;
    let lost_at = cluster.now();
    cluster.until(async || cluster.judge.browsers() == 4).await;
    let took = cluster.now() - lost_at;
    assert!(took < Timing::default().resign_after + Timing::default().ttl, "{took:?}");
    assert!(sound.status.borrow().leading && !ailing.status.borrow().leading);
    // It does not stand again before it has seen the ledger.
    sound.stop().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!ailing.status.borrow().leading);
    severed.mend();
    cluster.until(async || ailing.status.borrow().leading).await;
}

/// With its lease, as a faulty version of the node would write it.
pub(super) async fn damage(cluster: &TestCluster, key: &str) -> Entry {
    let whole = cluster.registry.get(key).await.unwrap().unwrap();
    let put = Op::Put { key: key.to_owned(), value: b"?".to_vec(), lease: whole.lease };
    cluster.registry.commit(&[], &[put]).await.unwrap();
    whole
}

/// As it was before.
pub(super) async fn repair(cluster: &TestCluster, whole: Entry) {
    let put = Op::Put { key: whole.key, value: whole.value, lease: whole.lease };
    cluster.registry.commit(&[], &[put]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_holds_up_its_nodes_tenants_and_nobody_else() {
    for key in ["nodes/a", "assignments/a", "acks/a"] {
        let (cluster, controller, nodes) = TestCluster::settled(&["a", "b", "c"], 6).await;
        let on_a = cluster.tenants_on("a").await;
        let whole = damage(&cluster, key).await;
        let damaged_at = cluster.now();
        let is_named =
            || controller.status.borrow().complaint.clone().is_some_and(|told| told.reason.contains(key));
        cluster.until(async || is_named()).await;
        assert!(cluster.now() - damaged_at < Timing::default().ttl, "{key}");
        // Others come, go and are failed over as ever; nobody is sent to it, and none of its own moves.
        cluster.ledger.add(&tenant(7), true);
        nodes[&node_id("b")].crash().await;
        cluster.until(async || cluster.judge.browsers() == 7).await;
        for tenant in &on_a {
            assert_eq!(cluster.ledger.desired(tenant).unwrap().generation, Generation(1), "{key}: {tenant}");
            assert_eq!(cluster.ledger.desired(tenant).unwrap().node, Some(node_id("a")));
        }
        let survey = survey(cluster.registry.as_ref(), cluster.ledger.as_ref()).await.unwrap();
        let told = plan::explain(&survey.snapshot, &on_a[0]).unwrap().to_string();
        assert!(told.contains(key), "{told}");
        // Its other records stay as they are, and so does this one.
        let found = cluster.registry.get(key).await.unwrap().unwrap();
        assert_eq!(found.value, b"?", "{key}");
        // Whole again, all goes on: what was ordered meanwhile is done.
        cluster.ledger.set_running(&on_a[0], false);
        tokio::time::sleep(Timing::default().ttl * 2).await;
        assert_eq!(cluster.judge.browsers(), 7, "{key}");
        repair(&cluster, whole).await;
        cluster.until(async || cluster.judge.browsers() == 6 && !is_named()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_term_begins_beside_a_record_that_cannot_be_read() {
    for key in ["nodes/a", "assignments/a", "acks/a"] {
        let (cluster, first, _nodes) = TestCluster::settled(&["a", "b"], 4).await;
        first.stop().await;
        damage(&cluster, key).await;
        let second = cluster.controller("two");
        cluster.ledger.add(&tenant(7), true);
        cluster.until(async || cluster.judge.browsers() == 5).await;
        assert!(
            second.status.borrow().complaint.clone().is_some_and(|told| told.reason.contains(key)),
            "{key}"
        );
    }
}

/// Its lease has ended with it, or its key was deleted by hand.
#[tokio::test(start_paused = true)]
async fn a_node_whose_record_could_not_be_read_is_failed_over_when_it_is_gone() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 4).await;
    damage(&cluster, "nodes/a").await;
    damage(&cluster, "assignments/a").await;
    tokio::time::sleep(Timing::default().ttl).await;
    assert_eq!(cluster.judge.browsers(), 4);
    nodes[&node_id("a")].crash().await;
    cluster.until(async || cluster.judge.browsers() == 4).await;
    cluster.until(async || cluster.loads().await.get(&node_id("b")) == Some(&4)).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_let_go_is_named_once_and_its_tenant_stays_there() {
    let (cluster, controller, nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let tenant = cluster.tenants_on("a").await[0].clone();
    nodes[&node_id("a")].keep_browsers(true);
    cluster.ledger.set_running(&tenant, false);
    let patience = Timing::default().release_patience;
    tokio::time::sleep(patience - Duration::from_secs(1)).await;
    assert_eq!(controller.status.borrow().complaint, None);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let why = controller.status.borrow().complaint.clone().unwrap().reason;
    assert!(why.contains(tenant.as_str()) && why.contains("on a"), "{why}");
    tokio::time::sleep(patience).await;
    let told = cluster.ledger.events().into_iter().filter(|event| event.kind == EventKind::ReleaseOverdue);
    assert_eq!(told.count(), 1);
    nodes[&node_id("a")].keep_browsers(false);
    cluster.until(async || controller.status.borrow().complaint.is_none()).await;
    cluster.until(async || cluster.judge.browsers() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_which_of_its_tenants_are_not_let_go_of() {
    let (cluster, _controller, nodes) = TestCluster::settled(&["a", "b"], 2).await;
    let tenant = cluster.tenants_on("a").await[0].clone();
    nodes[&node_id("a")].keep_browsers(true);
    let drain = cluster.ledger.start_drain(&node_id("a"));
    let patience = Timing::default().release_patience;
    tokio::time::sleep(patience).await;
    let expected = format!("a has not let go of {tenant} for {patience:?} or longer");
    cluster.until(async || cluster.ledger.operation_waits_for(drain).as_ref() == Some(&expected)).await;
    nodes[&node_id("a")].keep_browsers(false);
    cluster.until(async || cluster.ledger.operation_end(drain).is_some()).await;
}

/// Counts in revisions of the registry: nothing is written again and again.
#[tokio::test(start_paused = true)]
async fn a_node_that_leads_gives_way_to_a_coordinator_that_has_seen_the_ledger() {
    let (cluster, coordinator, _nodes) = TestCluster::settled(&["a"], 2).await;
    coordinator.stop().await;
    let node = cluster.candidate("node/a", cluster.ledger.clone());
    cluster.until(async || node.status.borrow().last_pass_at.is_some()).await;
    let severed = Arc::new(SeverableLedger::new(cluster.ledger.clone()));
    severed.sever();
    let _ailing = cluster.candidate("coordinator/ailing", severed);
    tokio::time::sleep(Timing::default().ttl * 4).await;
    assert!(node.status.borrow().leading, "nobody who is well asks for it");

    let before = cluster.registry.list(keys::ALL).await.unwrap().revision;
    let well = cluster.candidate("coordinator/well", cluster.ledger.clone());
    let asked_at = cluster.now();
    cluster.until(async || well.status.borrow().last_pass_at.is_some()).await;
    assert!(cluster.now() - asked_at < Timing::default().ttl / 10);
    assert!(!node.status.borrow().leading);
    tokio::time::sleep(Timing::default().ttl * 30).await;
    assert!(well.status.borrow().leading, "it is asked by nobody");
    // The challenge, the end of the node's lead, the coordinator's, and the end of the challenge.
    let after = cluster.registry.list(keys::ALL).await.unwrap().revision;
    assert_eq!(after.0 - before.0, 4);
    // Without a coordinator the node leads again.
    well.stop().await;
    cluster.until(async || node.status.borrow().leading).await;
    tokio::time::sleep(Timing::default().ttl * 4).await;
    assert!(cluster.registry.get(keys::CHALLENGER).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn workers_that_are_silent_are_marked_once_and_those_that_are_seen_are_not() {
    let (cluster, _controller, _nodes) = TestCluster::settled(&["a"], 2).await;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        cluster.ledger.seen(&tenant(0));
    }
    let left = cluster.ledger.mark_stale(cluster.ledger.term(), Duration::from_secs(120)).await.unwrap();
    assert_eq!(left, [], "the controller has marked t1 and there is no other");
    cluster.ledger.seen(&tenant(1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let left = cluster.ledger.mark_stale(cluster.ledger.term(), Duration::from_secs(30)).await.unwrap();
    assert_eq!(left, [tenant(0), tenant(1)]);
}
