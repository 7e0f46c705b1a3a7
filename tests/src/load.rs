//! Messages to an echoing phone and the times of their answers. Knows nothing of who answers, so that both sides of a
//! comparison meet the same load.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use futures::{StreamExt, stream};
use roost_devcluster::Simulator;

const CHATS: usize = 20;
/// Posts that are under way at once in a burst.
const POSTS: usize = 10;
/// When nothing has come for so long, nothing comes any more.
const SILENCE: Duration = Duration::from_secs(15);

pub struct Answered {
    pub asked: usize,
    /// From the post to the server's receipt of the answer, sorted.
    pub latencies_ms: Vec<f64>,
    /// From the first post to the last answer.
    pub took: Duration,
    /// Answers beyond the first to one message.
    pub twice: usize,
}

impl Answered {
    /// Not answered, or not once.
    pub fn wrong(&self) -> usize {
        self.asked - self.latencies_ms.len() + self.twice
    }

    pub fn rate(&self) -> f64 {
        self.latencies_ms.len() as f64 / self.took.as_secs_f64()
    }
}

/// So many messages, `every` apart, or as fast as they go.
pub async fn run(
    simulator: &Simulator,
    phone: &str,
    name: &str,
    count: usize,
    every: Option<Duration>,
) -> Result<Answered> {
    let before = simulator.sent(phone, 0).await?.last().map_or(0, |message| message.index);
    let began = now_ms();
    let posted: HashMap<String, f64> = match every {
        Some(every) => paced(simulator, phone, name, count, every).await?,
        None => {
            let posts = stream::iter(0..count).map(|number| post(simulator, phone, name, number));
            posts.buffered(POSTS).collect::<Vec<_>>().await.into_iter().collect::<Result<_>>()?
        }
    };
    collect(simulator, phone, before, began, &posted).await
}

async fn paced(
    simulator: &Simulator,
    phone: &str,
    name: &str,
    count: usize,
    every: Duration,
) -> Result<HashMap<String, f64>> {
    let mut pace = tokio::time::interval(every);
    let mut posts = Vec::new();
    for number in 0..count {
        pace.tick().await;
        let (simulator, phone, name) = (simulator.clone(), phone.to_owned(), name.to_owned());
        posts.push(tokio::spawn(async move { post(&simulator, &phone, &name, number).await }));
    }
    let mut posted = HashMap::new();
    for post in posts {
        posted.extend([post.await??]);
    }
    Ok(posted)
}

/// The answer that is due, and when it was asked for.
async fn post(simulator: &Simulator, phone: &str, name: &str, number: usize) -> Result<(String, f64)> {
    let body = format!("{name} {number}");
    let asked_at = now_ms();
    simulator.message(phone, &format!("2557440{:05}", number % CHATS), &body).await?;
    Ok((format!("echo: {body}"), asked_at))
}

async fn collect(
    simulator: &Simulator,
    phone: &str,
    before: u64,
    began: f64,
    posted: &HashMap<String, f64>,
) -> Result<Answered> {
    let mut last_change = (0, Instant::now());
    let sent = loop {
        let sent = simulator.sent(phone, before).await?;
        if sent.len() != last_change.0 {
            last_change = (sent.len(), Instant::now());
        }
        if sent.len() >= posted.len() || last_change.1.elapsed() > SILENCE {
            break sent;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut first_at: HashMap<&str, f64> = HashMap::new();
    let (mut twice, mut last) = (0, began);
    for message in &sent {
        let at = message.at_ms as f64;
        last = last.max(at);
        if first_at.insert(&message.body, at).is_some() {
            twice += 1;
        }
    }
    let mut latencies_ms: Vec<f64> =
        posted.iter().filter_map(|(due, asked)| first_at.get(due.as_str()).map(|at| at - asked)).collect();
    latencies_ms.sort_by(f64::total_cmp);
    let took = Duration::from_secs_f64((last - began).max(1.0) / 1_000.0);
    Ok(Answered { asked: posted.len(), latencies_ms, took, twice })
}

/// The value below which `percent` of the sorted values lie.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1]
}

/// By the clock that the simulator, on the same machine, stamps answers with.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}
