//! The mirror of the registry: it is what the registry is, or it is read anew.

use roost_model::ids::NodeId;

use super::live_node;
use crate::{
    clock::RuntimeClock,
    controller::{error::ControllerError, plan_inputs::Mirror},
    election::{self, Leadership},
    keys,
    records::LeaderRecord,
    registry::{MemoryRegistry, Op, Registry},
    timing::Timing,
};

async fn elected(registry: &MemoryRegistry) -> Leadership {
    let candidate = LeaderRecord { holder: "coordinator/one".to_owned(), address: String::new() };
    let (clock, timing) = (RuntimeClock::start(), Timing::default());
    election::stand(registry, &clock, &timing, &candidate).await.unwrap().unwrap()
}

async fn write(registry: &MemoryRegistry, ops: &[Op]) {
    registry.commit(&[], ops).await.unwrap();
}

fn node(name: &str, life: i64) -> Op {
    let record = live_node(name, life, "");
    Op::Put { key: keys::node(&record.node), value: keys::encode(&record), lease: None }
}

fn lives(mirror: &Mirror) -> Vec<(&str, i64)> {
    mirror.view().nodes.values().map(|record| (record.node.as_str(), record.incarnation.0)).collect()
}

#[tokio::test(start_paused = true)]
async fn it_follows_what_is_written_and_what_goes() {
    let registry = MemoryRegistry::new("memory");
    let leadership = elected(&registry).await;
    let mut mirror = Mirror::default();
    write(&registry, &[node("a", 1), node("b", 1)]).await;
    mirror.refresh(&registry, &leadership).await.unwrap();
    assert_eq!(lives(&mirror), [("a", 1), ("b", 1)]);
    write(&registry, &[node("b", 2), node("c", 1), Op::Delete { key: "nodes/a".to_owned() }]).await;
    mirror.refresh(&registry, &leadership).await.unwrap();
    assert_eq!(lives(&mirror), [("b", 2), ("c", 1)]);
    assert_eq!(mirror.view().revision, registry.list("").await.unwrap().revision);

    registry.revoke(leadership.lease).await.unwrap();
    let refreshed = mirror.refresh(&registry, &leadership).await;
    assert!(matches!(refreshed, Err(ControllerError::Superseded)), "{refreshed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_another_one_is_read_anew() {
    let (old, new) = (MemoryRegistry::new("memory"), MemoryRegistry::new("memory"));
    let leadership = elected(&old).await;
    assert_eq!(elected(&new).await.revision, leadership.revision, "the backup has the leader's key");
    write(&old, &[node("a", 1), node("b", 1)]).await;
    write(&old, &[Op::Put { key: "other".to_owned(), value: Vec::new(), lease: None }]).await;
    let mut mirror = Mirror::default();
    mirror.refresh(&old, &leadership).await.unwrap();
    write(&new, &[node("c", 7)]).await;
    write(&new, &[node("a", 7), node("b", 7)]).await;
    write(&new, &[Op::Delete { key: "nodes/c".to_owned() }, node("b", 8)]).await;
    // First it is later than what was read, but has `a` from a revision that is no news; then it is earlier.
    mirror.refresh(&new, &leadership).await.unwrap();
    assert_eq!(lives(&mirror), [("a", 7), ("b", 8)]);
    mirror.refresh(&old, &leadership).await.unwrap();
    assert_eq!(lives(&mirror), [("a", 1), ("b", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_is_remembered_with_its_node_until_it_is_whole_or_gone() {
    let registry = MemoryRegistry::new("memory");
    let leadership = elected(&registry).await;
    let mut mirror = Mirror::default();
    for key in ["nodes/b", "assignments/b", "acks/b"] {
        write(&registry, &[node("a", 1), node("b", 1)]).await;
        let damaged = Op::Put { key: key.to_owned(), value: b"{".to_vec(), lease: None };
        write(&registry, &[damaged]).await;
        mirror.refresh(&registry, &leadership).await.unwrap();
        let found: Vec<_> = mirror.view().unreadable_records().collect();
        assert!(matches!(found.as_slice(), [(at, record)] if *at == key && record.reason.contains(key)));
        assert!(
            mirror.view().nodes.contains_key(&NodeId::new("b").unwrap()),
            "a node that is there lives, whatever it says"
        );
        assert!(!mirror.view().is_unreadable(&NodeId::new("a").unwrap()));
        if key == "nodes/b" {
            write(&registry, &[node("b", 2)]).await;
        } else {
            write(&registry, &[Op::Delete { key: key.to_owned() }]).await;
        }
        mirror.refresh(&registry, &leadership).await.unwrap();
        assert_eq!(mirror.view().unreadable_records().count(), 0, "{key}");
    }
    // Of a node that is gone nothing is alive.
    let damaged = Op::Put { key: "assignments/b".to_owned(), value: b"{".to_vec(), lease: None };
    write(&registry, &[damaged, Op::Delete { key: "nodes/b".to_owned() }]).await;
    mirror.refresh(&registry, &leadership).await.unwrap();
    assert_eq!(mirror.view().unreadable_records().count(), 0);
}
