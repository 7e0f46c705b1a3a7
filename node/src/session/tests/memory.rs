//! How much memory a large session takes on its way to the object store and back: read off a process that does nothing else.

use std::{fs, io::Write, path::Path, process::Command, time::Instant};

use roost_model::ids::Generation;

use super::{LOG, World};

/// In the environment of that process: what it saves.
const WORLD: &str = "ROOST_LARGE_SESSION";
const BYTES: usize = 200 << 20;
/// [`crate::session::objects`] promises 72 MiB; threads have stacks and the allocator arenas of their own.
const MOST_KIB: u64 = 128 << 10;

/// Of this process, at its peak since that was forgotten.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How much more than `before` the process has while it works.
async fn grown_by<T>(what: &str, before: u64, work: impl Future<Output = T>) -> (u64, T) {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let since = Instant::now();
    let done = work.await;
    let grown = peak_kib() - before;
    println!("{what}: {grown} KiB in {:?}", since.elapsed());
    (grown, done)
}

/// A sixteenth of it is noise, which does not become smaller.
pub(super) fn write_large(path: &Path, bytes: usize) {
    let mut file = std::io::BufWriter::new(fs::File::create(path).unwrap());
    let mut page = [7_u8; 4096];
    for number in 0..bytes / page.len() {
        if number % 16 == 0 {
            rand::fill(&mut page);
        }
        page[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&page).unwrap();
    }
    file.flush().unwrap();
}

/// Whether this process is the one that measures; if it is not, that one has measured when this returns.
pub(super) fn measures(name: &str) -> bool {
    if std::env::var_os(WORLD).is_some() {
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let measured =
        Command::new(this).args([name, "--exact", "--nocapture"]).env(WORLD, "1").status().unwrap();
    assert!(measured.success());
    false
}

/// Saves a session of this size on one node and restores it on another.
pub(super) async fn save_and_restore(world: &World, bytes: usize) {
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    write_large(&here.browser_dir().join(LOG).with_file_name("large"), bytes);
    let mut taker = world.taker(&here, 1).await;
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_kib();
    let (saving, saved) = grown_by("saving", before, taker.take_stopped(true, None)).await;
    let saved = saved.unwrap();
    let there = world.profile("b");
    let restored = there.prepare(&world.snapshots, Some(&saved), Generation(2));
    let (restoring, restored) = grown_by("restoring", before, restored).await;
    restored.unwrap();
    assert!(saving <= MOST_KIB && restoring <= MOST_KIB, "{saving} and {restoring} KiB");
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_memory_that_a_save_and_a_restore_take_does_not_grow_with_the_session() {
    let name =
        "session::tests::memory::the_memory_that_a_save_and_a_restore_take_does_not_grow_with_the_session";
    if measures(name) {
        runtime().block_on(save_and_restore(&World::new(), BYTES));
    }
}
