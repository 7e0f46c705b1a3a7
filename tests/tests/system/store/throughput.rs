//! What the hot path costs, without the disk (this binary's server does not wait for it): each step but the reading
//! one adds one flush of it. Not part of the suite, for it measures the machine:
//! `cargo test --release --test store -- --ignored --nocapture throughput`

use std::time::Instant;

use crate::store::support::{Db, answer, message};

const MESSAGES: usize = 5_000;

#[tokio::test]
#[ignore = "a measurement, to be run alone and in release mode"]
async fn one_tenant_takes_a_thousand_messages_a_second() {
    let db = Db::new().await;
    for batch in [1, 10, 50] {
        let fence = db.owned(&format!("batch-{batch}")).await;
        let count = if batch == 1 { MESSAGES / 10 } else { MESSAGES };
        let begun = Instant::now();
        for first in (0..count).step_by(batch) {
            let batch: Vec<_> =
                (first..first + batch).map(|n| message(&format!("m{n}"), &format!("c{}", n % 20))).collect();
            db.store.admit(&fence, &batch).await.unwrap();
            let pending = db.store.pending_inbound(&fence, 0, 100).await.unwrap();
            let completions: Vec<_> = pending.iter().map(answer).collect();
            let queued = db.store.complete(&fence, &completions).await.unwrap();
            let ids: Vec<_> = queued.iter().map(|reply| reply.id).collect();
            db.store.mark_sent(&fence, &ids).await.unwrap();
        }
        let took = begun.elapsed();
        let rate = count as f64 / took.as_secs_f64();
        let step_ms = took.as_secs_f64() * 1000.0 / (4 * count / batch) as f64;
        println!("batches of {batch:2}: {rate:6.0} messages/s, {step_ms:.2} ms a step");
        assert!(batch < 50 || rate > 1000.0, "{rate:.0} messages/s in batches of {batch}");
    }
}
