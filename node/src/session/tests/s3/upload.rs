//! A large file's upload, of which every part goes wrong once.

use std::{collections::HashSet, time::Instant};

use parking_lot::Mutex;
use roost_devcluster::HttpFault;
use roost_model::ids::Generation;

use super::{CALL_WITHIN, LOG, Server, memory, number};

/// Of `make test`; in `make soak` ROOST_UPLOAD_MB with parts of the product's size.
const BYTES: usize = 1 << 20;
const PIECE: usize = 64 << 10;
const FULL_PIECE: usize = 4 << 20;

const KINDS: [HttpFault; 6] = [
    HttpFault::Hang,
    HttpFault::CutRequest,
    HttpFault::Refuse(503, "SlowDown"),
    HttpFault::LoseAnswer,
    HttpFault::CutAnswer,
    HttpFault::RefuseAfter(500, "InternalError"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_which_every_part_goes_wrong_once_comes_to_its_end() {
    let (bytes, piece) = match number("ROOST_UPLOAD_MB") {
        Some(megabytes) => (usize::try_from(megabytes << 20).unwrap(), FULL_PIECE),
        None => (BYTES, PIECE),
    };
    let server = Server::start().await;
    let (world, relay) = server.world("upload", piece).await;
    let here = world.used("a", 1, &[(LOG, "log")]).await;
    let large = here.browser_dir().join(LOG).with_file_name("large");
    memory::write_large(&large, bytes);
    let mut taker = world.taker(&here, 1).await;

    // A part is known by its content; a save that is made again stores it under another name.
    let spoiled = Mutex::new(HashSet::new());
    relay.set(move |request| {
        let (_, blob) = request.path.split_once("/blobs/")?;
        let content = blob.split_once('-').map_or(blob, |(content, _)| content).to_owned();
        let mut spoiled = spoiled.lock();
        let kind = KINDS[spoiled.len() % KINDS.len()];
        (request.method == "PUT" && spoiled.insert(content)).then_some(kind)
    });
    let mut saves = 0;
    let saved = loop {
        let begun = Instant::now();
        let saved = taker.take_stopped(true, None).await;
        saves += 1;
        match saved {
            Ok(saved) => break saved,
            Err(error) => {
                // Parts that wait for room wait for those that hang.
                assert!(begun.elapsed() < CALL_WITHIN * 4, "{:?}: {error:?}", begun.elapsed());
                assert!(!error.shows_damage(), "{error:?}");
            }
        }
        assert!(saves <= bytes / piece + 8, "it never ends");
    };
    relay.mend();
    let requests = relay.take().len();
    println!("{} parts, {requests} requests, {saves} saves", bytes / piece);
    assert!(saves > 1, "nothing went wrong");
    assert!(requests >= bytes / piece, "{requests}");

    let there = world.profile("b");
    there.prepare(&world.snapshots, Some(&saved), Generation(2)).await.unwrap();
    let restored = there.browser_dir().join(LOG).with_file_name("large");
    assert!(std::fs::read(&large).unwrap() == std::fs::read(restored).unwrap(), "it is another file");
}
