//! Chaos: see `roost_tests::chaos`. CHAOS_SECS is how long (240 by default), SEED replays one, and KINDS
//! draws from some kinds of faults alone (`KINDS=GreyNode,FreezePair`).

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]
#![allow(clippy::print_stdout, reason = "with --nocapture a long run is followed live")]

use std::{
    env, fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use roost_cluster::clock::boottime;
use roost_tests::chaos::{self, fault::Kind, skew::Skew};

const TENANTS: usize = 6;
const TTL: Duration = Duration::from_secs(3);
const SHORT_SECS: u64 = 240;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invariant_holds_whatever_is_killed_frozen_cut_off_or_skewed() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("SEED").unwrap_or_else(any_seed);
    let lasts = Duration::from_secs(number("CHAOS_SECS").unwrap_or(SHORT_SECS));
    println!("chaos: seed {seed}");
    let config = chaos::Config { seed, lasts, tenants: TENANTS, ttl: TTL, kinds: kinds() };
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/chaos");
    match chaos::run(config, &reports, |step| println!("{step}")).await {
        Ok(report) => println!("{report}"),
        Err(error) => panic!("chaos, seed {seed}: {error:#}"),
    }
}

fn kinds() -> Vec<Kind> {
    match env::var("KINDS") {
        Ok(names) => names.split(',').map(|name| Kind::named(name).expect("a kind of fault")).collect(),
        Err(_) => Kind::ALL.into(),
    }
}

fn any_seed() -> u64 {
    u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
}

const CLOCK_FILE: &str = "ROOST_TEST_CLOCK_FILE";

/// Of the very function that leases, fences and the guard keep their deadlines by.
#[test]
fn a_skewed_process_has_a_boottime_of_another_rate() {
    let dir = tempfile::tempdir().unwrap();
    let skew = Skew::build(dir.path()).unwrap();
    let this = env::current_exe().unwrap();
    let name = this.file_name().unwrap().to_str().unwrap().to_owned();
    for rate in [0.95, 1.05, 1.0] {
        let file = dir.path().join("elapsed");
        let mut process = Command::new(&this);
        process.args(["--exact", "role_of_the_clock"]).env(CLOCK_FILE, &file).envs(skew.env(&name, rate));
        assert!(process.status().unwrap().success());
        let measured: f64 = fs::read_to_string(&file).unwrap().parse().unwrap();
        assert!((measured - rate).abs() < 0.005, "a rate of {rate} was measured as {measured}");
    }
}

/// Not a test by itself: what the skewed process above does.
#[test]
fn role_of_the_clock() {
    let Some(file) = env::var_os(CLOCK_FILE) else { return };
    // The wall clock is not skewed.
    let (wall, boot) = (SystemTime::now(), boottime());
    std::thread::sleep(Duration::from_secs(2));
    let (wall, boot) = (wall.elapsed().unwrap(), boottime() - boot);
    fs::write(file, (boot.as_secs_f64() / wall.as_secs_f64()).to_string()).unwrap();
}
