//! Who may read what the node writes.

use std::os::unix::fs::PermissionsExt;

use super::*;

const OTHERS: u32 = 0o077;

/// What of it others may do something with.
fn open_to_others(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    let mut open: Vec<_> =
        Some((dir.to_owned(), mode(dir))).filter(|(_, mode)| mode & OTHERS != 0).into_iter().collect();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            open.extend(open_to_others(&path));
        } else if mode(&path) & OTHERS != 0 {
            open.push((path.clone(), mode(&path)));
        }
    }
    open
}

#[tokio::test]
async fn restored_profiles_and_snapshots_are_closed_to_others_whatever_was_there() {
    let world = World::new();
    let objects = world.dir.path().join("objects");
    // As a node of before would have left them.
    let tenant = objects.join(world.uid.to_string());
    fs::create_dir_all(tenant.join("blobs/1")).unwrap();
    for wide in [&tenant, &tenant.join("blobs"), &tenant.join("blobs/1")] {
        fs::set_permissions(wide, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let profile = world.used("a", 1, &[(LOG, "log"), (TABLE, "table")]).await;
    let page = world.page(&profile).await;
    let snapshot = world.taker(&profile, 1).await.take_running(&page).await.unwrap().unwrap();
    assert_eq!(open_to_others(&objects), []);

    let there = world.profile("b");
    there.prepare(&world.snapshots, Some(&snapshot), Generation(2)).await.unwrap();
    assert_eq!(open_to_others(&world.dir.path().join("b")), []);
}

#[test]
fn a_state_directory_that_is_open_is_closed_unless_it_is_everybodys() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    for (before, after) in [(0o755, 0o700), (0o777, 0o700), (0o700, 0o700), (0o1777, 0o1777)] {
        fs::set_permissions(&state, fs::Permissions::from_mode(before)).unwrap();
        Profiles::in_state_dir(&state, RunAs::Caller).unwrap();
        let mode = fs::metadata(&state).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, after, "{before:o}");
        assert_eq!(open_to_others(&state.join("profiles")), []);
    }
}
