//! What a tenant notices of a neighbour whose page does harm.

use std::time::Duration;

use anyhow::Result;
use roost_tests::Scenario;
use serde_json::{Value, json};

use crate::{
    load::{self, Answered},
    report::{Report, percentile},
    site::Site,
};

/// Each kind of neighbour in turn, so often: what else the machine does meets all of them.
const ROUNDS: usize = 6;
const MESSAGES: usize = 200;
const APART: Duration = Duration::from_millis(25);
/// After a change of the neighbour's page, so that what it had begun is over.
const SETTLE: Duration = Duration::from_secs(3);
const BOUND: f64 = 1.2;

#[derive(Debug, Clone, Copy)]
enum Neighbour {
    Sound,
    /// From its limit on it is restarted again and again.
    Leaking,
    Spinning,
}

impl Neighbour {
    const ALL: [Self; 3] = [Self::Sound, Self::Leaking, Self::Spinning];

    fn hardness(self) -> Value {
        let (leak, spin) = match self {
            Self::Sound => (0, 0),
            Self::Leaking => (64, 0),
            Self::Spinning => (0, 2),
        };
        json!({ "leak_mib_per_s": leak, "spin_threads": spin })
    }
}

pub async fn measure(site: &Site, report: &mut Report) -> Result<()> {
    let scenario = Scenario::start_with(|options| {
        (options.nodes, options.tenants) = (1, 2);
        site.apply(options);
    })
    .await?;
    let simulator = scenario.cluster.simulator()?.clone();
    let (phone, beside) = (scenario.tenant(0).phone, scenario.tenant(1).phone);
    load::run(&simulator, &phone, "warm-up", MESSAGES, Some(APART)).await?;
    let mut answers = Neighbour::ALL.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for (neighbour, answers) in Neighbour::ALL.into_iter().zip(&mut answers) {
            simulator.harden(Some(&beside), neighbour.hardness()).await?;
            tokio::time::sleep(SETTLE).await;
            let name = format!("{neighbour:?} {round}");
            answers.push(load::run(&simulator, &phone, &name, MESSAGES, Some(APART)).await?);
        }
    }
    let restarts = scenario.cluster.worker(&scenario.tenant(1).id).await?.restarts;
    scenario.finish().await?;
    let [sound, others @ ..] = answers.map(|answers| summary(&answers));
    for (neighbour, other) in Neighbour::ALL[1..].iter().zip(others) {
        let ratio = other.p99_ms / sound.p99_ms;
        report.row(
            format!("round trip beside a page that is {neighbour:?}: p50 / p99 (it was restarted {restarts} times)"),
            format!("{:.1} / {:.1} ms", other.p50_ms, other.p99_ms),
            format!("{:.1} / {:.1} ms beside a sound one", sound.p50_ms, sound.p99_ms),
            format!("p99 at most {BOUND} times; ratio {ratio:.2}"),
            ratio <= BOUND && other.wrong + sound.wrong == 0,
        );
    }
    Ok(())
}

struct Summary {
    p50_ms: f64,
    p99_ms: f64,
    wrong: usize,
}

/// Of the rounds' own figures those in the middle: what else the machine did in one of them counts for nothing.
fn summary(rounds: &[Answered]) -> Summary {
    let middle = |percent| {
        let mut figures: Vec<f64> =
            rounds.iter().map(|round| percentile(&round.latencies_ms, percent)).collect();
        figures.sort_by(f64::total_cmp);
        percentile(&figures, 50)
    };
    let wrong = rounds.iter().map(Answered::wrong).sum();
    Summary { p50_ms: middle(50), p99_ms: middle(99), wrong }
}
