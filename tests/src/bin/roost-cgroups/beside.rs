//! What the neighbours notice: they are written to all the time, and each message's way there and back is timed.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use roost_tests::load::{self, percentile};

use crate::site::Site;

/// Of each neighbour in a round, and how far apart.
const MESSAGES: usize = 40;
const EVERY: Duration = Duration::from_millis(100);

/// Sorted.
#[derive(Debug, Default)]
pub struct RoundTrips {
    ms: Vec<f64>,
}

impl RoundTrips {
    pub fn percentile(&self, percent: usize) -> f64 {
        percentile(&self.ms, percent)
    }

    pub fn told(&self) -> String {
        let [p50, p99] = [50, 99].map(|percent| self.percentile(percent));
        format!("{p50:.0} / {p99:.0} ms (p50 / p99 of {})", self.ms.len())
    }

    pub fn add(&mut self, other: Self) {
        self.ms.extend(other.ms);
        self.ms.sort_by(f64::total_cmp);
    }
}

/// One round of all neighbours at once. Every message is answered, and once.
pub async fn round(site: &Site) -> Result<RoundTrips> {
    // Bodies are told apart by it.
    let name = format!("round {:.0}", load::now_ms());
    let rounds = site.neighbours().iter().map(async |tenant| {
        let answered = load::run(&site.simulator, &tenant.phone, &name, MESSAGES, Some(EVERY)).await?;
        ensure!(
            answered.wrong() == 0,
            "{} of {MESSAGES} were not answered once by {}",
            answered.wrong(),
            tenant.id
        );
        Ok(RoundTrips { ms: answered.latencies_ms })
    });
    let mut all = RoundTrips::default();
    try_join_all(rounds).await?.into_iter().for_each(|one| all.add(one));
    Ok(all)
}

/// Rounds for as long as something takes, and one at least.
pub async fn during<T>(site: &Site, what: impl Future<Output = Result<T>>) -> Result<(T, RoundTrips)> {
    let is_over = Cell::new(false);
    let what = async {
        let outcome = what.await;
        is_over.set(true);
        outcome
    };
    let rounds = async {
        let mut all = RoundTrips::default();
        while !is_over.get() {
            all.add(round(site).await?);
        }
        anyhow::Ok(all)
    };
    let (outcome, rounds) = tokio::join!(what, rounds);
    Ok((outcome?, rounds?))
}
