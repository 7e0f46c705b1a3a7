//! Profiles whose tenants nobody knows.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use roost_model::ids::Generation;

use super::{LOG, World, files_below, read};
use crate::session::SessionSource;

#[tokio::test]
async fn an_orphan_is_counted_from_when_it_was_found_and_is_used_again_when_its_tenant_is_back() {
    let world = World::new();
    drop(world.used("a", 5, &[(LOG, "session")]).await);
    let profile = world.profiles("a").of(&world.tenant, world.uid);
    let now = SystemTime::now();
    assert!(profile.orphaned_for(now).unwrap() < Duration::from_secs(60));
    let noted = files_below(&world.dir.path().join("a")).into_iter().find(|path| path.ends_with("orphan"));
    let hour_ago = now - Duration::from_secs(3600);
    File::options().write(true).open(noted.unwrap()).unwrap().set_modified(hour_ago).unwrap();
    assert!(profile.orphaned_for(now).unwrap() >= Duration::from_secs(3599), "since the first time");
    profile.is_somebodys().unwrap();
    profile.is_somebodys().unwrap();
    assert!(profile.orphaned_for(now).unwrap() < Duration::from_secs(60), "it was somebody's meanwhile");
    profile.is_somebodys().unwrap();
    let locked = profile.lock().unwrap();
    let prepared = locked.prepare(&world.snapshots, None, Generation(6)).await.unwrap();
    assert_eq!((prepared.source, read(&locked, LOG).as_str()), (SessionSource::Local, "session"));
}
