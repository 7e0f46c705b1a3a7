//! Leases of the registry: what goes with them, and when.

use std::{sync::Arc, time::Duration};

use roost_cluster::registry::RegistryError;
use roost_model::ids::Incarnation;
use tokio::time::{Instant, sleep};

use crate::cluster::backend::{Backend, PATIENCE, TTL};

pub async fn keys_go_with_their_lease_and_not_before(on: Arc<Backend>) {
    let granted_at = Instant::now();
    let lease = on.registry.grant(TTL).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    on.put("nodes/b", "not leased").await;
    assert_eq!(on.get("nodes/a").await.unwrap().lease, Some(lease));
    while on.get("nodes/a").await.is_some() {
        assert!(granted_at.elapsed() < PATIENCE, "the key is still there");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(granted_at.elapsed() >= TTL, "gone after {:?}", granted_at.elapsed());
    assert!(on.get("nodes/b").await.is_some());
}

pub async fn a_lease_that_is_kept_alive_stays(on: Arc<Backend>) {
    let lease = on.registry.grant(TTL).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    let until = Instant::now() + TTL * 3;
    while Instant::now() < until {
        sleep(TTL / 4).await;
        on.registry.keep_alive(lease, "nodes/a").await.unwrap();
    }
    assert!(on.get("nodes/a").await.is_some());
}

pub async fn a_lease_that_has_ended_is_lost_to_its_keeper(on: Arc<Backend>) {
    let lease = on.registry.grant(TTL).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    let begun = Instant::now();
    while on.get("nodes/a").await.is_some() {
        assert!(begun.elapsed() < PATIENCE, "the key is still there");
        sleep(Duration::from_millis(20)).await;
    }
    is_lost(&on, lease).await;
}

pub async fn a_lease_that_was_never_granted_is_lost_to_its_keeper(on: Arc<Backend>) {
    is_lost(&on, Incarnation(4_242_424_242)).await;
}

async fn is_lost(on: &Backend, lease: Incarnation) {
    let answer = on.registry.keep_alive(lease, "nodes/a").await;
    assert!(matches!(answer, Err(RegistryError::LeaseLost { lease: lost }) if lost == lease), "{answer:?}");
}

pub async fn revoking_ends_a_lease_with_its_keys_and_may_be_repeated(on: Arc<Backend>) {
    let lease = on.registry.grant(TTL * 100).await.unwrap();
    on.put_leased("nodes/a", lease).await;
    on.put_leased("acks/a", lease).await;
    on.registry.revoke(lease).await.unwrap();
    assert_eq!(on.get("nodes/a").await, None);
    assert_eq!(on.get("acks/a").await, None);
    on.registry.revoke(lease).await.unwrap();
    is_lost(&on, lease).await;
}

pub async fn a_time_to_live_that_is_not_in_whole_seconds_is_refused(on: Arc<Backend>) {
    for ttl in [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(2_500)] {
        let answer = on.registry.grant(ttl).await;
        assert!(matches!(answer, Err(RegistryError::Refused { .. })), "{ttl:?}: {answer:?}");
    }
}
