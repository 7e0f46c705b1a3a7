//! Profiles of another program, which become snapshots.

use roost_model::ids::SessionNumber;

use super::*;
use crate::session::{
    FoundSession, ImportError, ImportedAs, Imports, ReceivedProfile, SessionError, SessionSource,
    WholeProfile,
};

const SITE: &str = "https_web.whatsapp.com_0";
const PAGE: &str = "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb";
const STORAGE: &str = "Default/Local Storage/leveldb";
const CURRENT: &[u8] = b"MANIFEST-000001\n";

/// Of a bot that has closed its browser.
fn files() -> Vec<(String, Vec<u8>)> {
    let database = |dir: &str| {
        let manifest = leveldb::tests::manifest(&[(2, 5)], 3);
        [
            ("CURRENT", CURRENT.to_vec()),
            ("MANIFEST-000001", manifest),
            ("000003.log", dir.into()),
            ("000002.ldb", b"table".into()),
        ]
        .map(|(name, content)| (format!("{dir}/{name}"), content))
    };
    database(PAGE).into_iter().chain(database(STORAGE)).collect()
}

impl World {
    fn imports(&self) -> Imports {
        Imports::in_state_dir(&self.dir.path().join("state")).unwrap()
    }

    fn left_of_imports(&self) -> Vec<PathBuf> {
        files_below(&self.dir.path().join("state"))
    }

    async fn receive(&self, files: &[(String, Vec<u8>)]) -> Result<WholeProfile, ImportError> {
        let mut receiving = self.imports().receive(SITE.to_owned()).await.unwrap();
        let mut bytes = 0;
        for (path, content) in files {
            receiving.begin_file(path, content.len() as u64)?;
            content.chunks(7).try_for_each(|chunk| receiving.append(chunk))?;
            bytes += content.len() as u64;
        }
        receiving.end(files.len() as u32, bytes)
    }

    /// Of the second session.
    async fn import(&self, generation: i64) -> SnapshotRef {
        let whole = self.receive(&files()).await.unwrap();
        let (generation, session) = (Generation(generation), SessionNumber(2));
        let imported = ImportedAs { uid: self.uid, generation, session, clean: true };
        as_saved(whole.store(&self.snapshots, imported).await.unwrap())
    }
}

#[tokio::test]
async fn a_profile_that_has_come_is_what_the_next_start_begins_from() {
    let world = World::new();
    // What a session before has left here, and in the store.
    let here = world.used("a", 5, &[(LOG, "of before")]).await;
    let before = world.taker(&here, 5).await.take_stopped(true, None).await.unwrap();
    let imported = world.import(6).await;
    assert!(imported.generation > before.generation && imported.clean);
    assert_eq!(world.left_of_imports(), [] as [PathBuf; 0]);

    here.keep_session(SessionNumber(2)).await.unwrap();
    let found = here.find_session(&world.snapshots, Some(&imported), Generation(7)).await.unwrap();
    assert_eq!(found, FoundSession::AsPointed(Some(imported.clone())));
    let prepared = here.prepare(&world.snapshots, Some(&imported), Generation(7)).await.unwrap();
    let source = SessionSource::Restored { generation: Generation(6), sequence: imported.sequence };
    assert_eq!((prepared.source, prepared.local_storage), (source, None));
    for (path, content) in files() {
        assert_eq!(fs::read(here.browser_dir().join(&path)).unwrap(), content, "{path}");
    }
    assert!(!here.browser_dir().join(LOG).exists(), "what is of before is gone");
}

#[tokio::test]
async fn what_a_broken_off_import_has_stored_the_next_owner_prunes() {
    let world = World::new();
    let broken_off = world.import(6).await;
    world.snapshots.withdraw(&broken_off).await.unwrap();
    assert!(!world.objects("blobs/6").is_empty());
    let here = world.used("a", 7, &[(LOG, "of the owner")]).await;
    let found = here.find_session(&world.snapshots, None, Generation(7)).await.unwrap();
    assert_eq!(found, FoundSession::AsPointed(None), "it is not found");
    let mut taker = world.taker(&here, 7).await;
    taker.take_stopped(true, None).await.unwrap();
    taker.recorded(&[]).await.unwrap();
    assert_eq!(world.objects("blobs/6"), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_later_owners_snapshot_is_in_an_imports_way() {
    let world = World::new();
    let here = world.used("a", 7, &[(LOG, "started meanwhile")]).await;
    world.taker(&here, 7).await.take_stopped(true, None).await.unwrap();
    let whole = world.receive(&files()).await.unwrap();
    let imported =
        ImportedAs { uid: world.uid, generation: Generation(6), session: SessionNumber(2), clean: true };
    let refused = whole.store(&world.snapshots, imported).await.unwrap_err();
    assert!(matches!(refused, SessionError::Superseded { .. }), "{refused}");
}

#[tokio::test]
async fn a_profile_that_is_not_whole_is_refused_and_leaves_nothing() {
    let world = World::new();
    let without = |name: &str| files().into_iter().filter(|(path, _)| path != name).collect::<Vec<_>>();
    for (missing, said) in [
        (format!("{PAGE}/CURRENT"), "CURRENT is not in it"),
        (format!("{PAGE}/000002.ldb"), "names 000002.ldb, which is not in it"),
        (format!("{STORAGE}/MANIFEST-000001"), "MANIFEST-000001 is not in it"),
    ] {
        let refused = world.receive(&without(&missing)).await.unwrap_err();
        assert!(matches!(refused, ImportError::Session(SessionError::Torn { .. })), "{refused}");
        assert!(refused.to_string().contains(said), "{refused}");
    }
    for store in [PAGE, STORAGE] {
        let half: Vec<_> = files().into_iter().filter(|(path, _)| !path.starts_with(store)).collect();
        let refused = world.receive(&half).await.unwrap_err();
        assert!(matches!(&refused, ImportError::Unusable(why) if why.contains(store)), "{refused}");
    }
    assert_eq!(world.left_of_imports(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn what_is_none_of_the_session_or_other_than_announced_is_refused() {
    let world = World::new();
    for path in [
        "/etc/passwd",
        "Default/Cookies",
        "Default/Local Storage/leveldb/../../../x",
        "Default/IndexedDB/https_example.com_0.indexeddb.leveldb/CURRENT",
        "Default/IndexedDB/https_web.whatsapp.com_0.indexeddb.leveldb",
        "",
    ] {
        let refused = world.receive(&[(path.to_owned(), b"x".into())]).await.unwrap_err();
        assert!(
            matches!(&refused, ImportError::Malformed(why) if why.contains("none of the session's")),
            "{refused}"
        );
    }
    let one = files().remove(0);
    let twice = world.receive(&[one.clone(), one.clone()]).await.unwrap_err();
    assert!(twice.to_string().contains("came twice"), "{twice}");

    let receiving = || async { world.imports().receive(SITE.to_owned()).await.unwrap() };
    let begun = |size: u64| async move {
        let mut receiving = receiving().await;
        receiving.begin_file(&format!("{PAGE}/x"), size).map(|()| receiving)
    };
    let refused = |outcome: Result<(), ImportError>| outcome.unwrap_err().to_string();
    assert!(refused(begun(1).await.unwrap().append(b"xy")).contains("longer than was announced"));
    assert!(
        refused(begun(1).await.unwrap().begin_file(&format!("{PAGE}/y"), 1)).contains("shorter than was")
    );
    assert!(refused(receiving().await.append(b"x")).contains("before any file"));
    let short = begun(0).await.unwrap().end(2, 0).unwrap_err().to_string();
    assert!(short.contains("2 files of 0 bytes were sent, and 1 of 0 have come"), "{short}");

    let (file_at_most, at_most) = ReceivedProfile::LIMITS;
    assert!(refused(begun(file_at_most + 1).await.map(drop)).contains("1073741824 is the most"));
    let mut large = begun(file_at_most).await.unwrap();
    // Holes would do, but nothing more is to come of a file.
    assert!(large.end_early().begin_file(&format!("{PAGE}/y"), at_most - file_at_most).is_ok());
    assert!(
        refused(large.end_early().begin_file(&format!("{PAGE}/z"), 1))
            .contains("the session has 2147483649 bytes")
    );
    drop(large);
    assert_eq!(world.left_of_imports(), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn imports_wait_for_their_turn_and_what_a_crash_has_left_goes_at_the_next_start() {
    let world = World::new();
    let imports = world.imports();
    let mut taken = Vec::new();
    for _ in 0..2 {
        taken.push(imports.receive(SITE.to_owned()).await.unwrap());
    }
    let mut third = std::pin::pin!(imports.receive(SITE.to_owned()));
    assert!(futures::poll!(&mut third).is_pending());
    taken.pop();
    drop(third.await.unwrap());

    let left = world.dir.path().join("state/imports/left/file");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "").unwrap();
    world.imports();
    assert!(!left.exists());
}
