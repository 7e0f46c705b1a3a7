//! What is wrong with a store, or with what was said of it, is told with what to do.

use std::time::Duration;

use roost_devcluster::{HttpFault, HttpRelay, S3Keys};
use roost_model::{causes, ids::NodeId};

use super::{BUCKET, LOG, Server, World, location};
use crate::session::{SessionError, SnapshotStore, manifest::ManifestName, objects::Objects};

const CALL_WITHIN: Duration = Duration::from_secs(10);

async fn proven(at: &str, endpoint: &str, keys: &S3Keys) -> Result<(), SessionError> {
    let store = location(at, endpoint, keys).connect(CALL_WITHIN).unwrap();
    let snapshots = SnapshotStore::of(Objects::in_store(store, CALL_WITHIN).that_must_prove_itself());
    snapshots.prove(&NodeId::new("n1").unwrap()).await
}

#[tokio::test]
async fn a_wrong_setting_is_told_by_name_and_apart_from_what_may_pass() {
    let server = Server::start().await;
    let (endpoint, keys) = (server.weed.endpoint(), server.weed.keys());
    let here = format!("s3://{BUCKET}/refusals");
    let unknown = S3Keys { id: "nobody".into(), ..keys.clone() };
    let wrong = S3Keys { secret: "x".repeat(32), ..keys.clone() };
    for (what, at, keys, words, is_wrong) in [
        ("no bucket", "s3://nowhere/x", keys, "there is no such bucket", true),
        ("no such key", here.as_str(), &unknown, "AWS_ACCESS_KEY_ID", true),
        ("another secret", &here, &wrong, "AWS_SECRET_ACCESS_KEY", true),
        ("read only", &here, server.weed.reader(), "permit it to get, put, list and delete", false),
    ] {
        let refused = proven(at, &endpoint, keys).await.unwrap_err();
        let told = causes(&refused).to_string();
        assert!(told.contains(words) && !told.contains('<'), "{what}: {told}");
        assert!(!refused.shows_damage(), "{what}: {told}");
        assert_eq!(refused.shows_wrong_store(), is_wrong, "{what}: {told}");
    }
    proven(&here, &endpoint, keys).await.unwrap();
}

#[tokio::test]
async fn clocks_that_are_too_far_apart_are_named() {
    let server = Server::start().await;
    let relay = HttpRelay::to(server.weed.port()).await.unwrap();
    relay.set(|_| Some(HttpFault::Refuse(403, "RequestTimeTooSkewed")));
    let refused =
        proven(&format!("s3://{BUCKET}/skew"), &relay.endpoint(), server.weed.keys()).await.unwrap_err();
    let told = causes(&refused).to_string();
    assert!(told.contains("set both by NTP") && !refused.shows_wrong_store(), "{told}");
}

#[tokio::test]
async fn a_server_that_is_away_is_no_wrong_setting_and_its_objects_are_not_missing() {
    let mut server = Server::start().await;
    let (world, _relay) = server.world("away", 4 << 20).await;
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let taken = world.taker(&here, 1).await.take_stopped(true, None).await.unwrap();
    server.weed.stop().await.unwrap();
    let away = proven(&format!("s3://{BUCKET}/away"), &server.weed.endpoint(), server.weed.keys()).await;
    let away = away.unwrap_err();
    assert!(matches!(away, SessionError::Store { .. }) && !away.shows_wrong_store(), "{away:?}");
    let told = causes(&away).to_string();
    assert!(told.contains("refused"), "{told}");
    let name = ManifestName { uid: world.uid, generation: taken.generation, sequence: taken.sequence };
    let gone = world.snapshots.manifest(&name).await.unwrap_err();
    assert!(!gone.shows_damage(), "{gone:?}");
    server.weed.restart().await.unwrap();
    world.snapshots.manifest(&name).await.unwrap();
}

/// A bucket that is gone, or a gateway that answers for it, says nothing of a session: it is not taken for damaged.
#[tokio::test]
async fn only_an_object_that_the_server_says_is_not_there_is_missing() {
    let server = Server::start().await;
    let of_bucket = |at: &str| {
        let store = location(at, &server.weed.endpoint(), server.weed.keys()).connect(CALL_WITHIN).unwrap();
        let snapshots = SnapshotStore::of(Objects::in_store(store, CALL_WITHIN));
        World { snapshots, ..World::new() }
    };
    let here = of_bucket(&format!("s3://{BUCKET}/x")).snapshots;
    assert_eq!(here.marker().await.unwrap(), None);
    let nowhere = of_bucket("s3://nowhere/x").snapshots;
    let unknown = nowhere.marker().await.unwrap_err();
    assert!(matches!(unknown, SessionError::Store { .. }), "{unknown:?}");
}
