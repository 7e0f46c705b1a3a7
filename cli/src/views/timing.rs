//! What of its worker's life is a tenant's own.

use std::time::Duration;

use roost_proto::v1::WorkerTiming;
use serde::Serialize;

/// Spans as the wire's JSON has them: 1.500s.
#[derive(Debug, Default, Serialize)]
pub struct TimingView {
    probe_every: Option<String>,
    stale_after: Option<String>,
    start_deadline: Option<String>,
    reconnect_attempts: Option<i32>,
    reconnect_delay: Option<String>,
    reconnect_delay_max: Option<String>,
    stable_after: Option<String>,
    stop_grace: Option<String>,
    max_crashes: Option<i32>,
    crash_window: Option<String>,
    /// For people.
    #[serde(skip)]
    told: String,
}

impl From<WorkerTiming> for TimingView {
    fn from(timing: WorkerTiming) -> Self {
        let told = told(&timing);
        let span = |span: Option<prost_types::Duration>| span.map(|span| span.to_string());
        Self {
            probe_every: span(timing.probe_every),
            stale_after: span(timing.stale_after),
            start_deadline: span(timing.start_deadline),
            reconnect_attempts: timing.reconnect_attempts,
            reconnect_delay: span(timing.reconnect_delay),
            reconnect_delay_max: span(timing.reconnect_delay_max),
            stable_after: span(timing.stable_after),
            stop_grace: span(timing.stop_grace),
            max_crashes: timing.max_crashes,
            crash_window: span(timing.crash_window),
            told,
        }
    }
}

impl TimingView {
    /// What is set, in one line.
    pub fn told(&self) -> &str {
        &self.told
    }
}

fn told(timing: &WorkerTiming) -> String {
    let span = |span: Option<prost_types::Duration>| {
        let span = Duration::try_from(span?).ok()?;
        Some(humantime::format_duration(span).to_string())
    };
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let set = [
        ("probe every", span(timing.probe_every)),
        ("stale after", span(timing.stale_after)),
        ("start deadline", span(timing.start_deadline)),
        ("reconnect attempts", number(timing.reconnect_attempts)),
        ("reconnect delay", span(timing.reconnect_delay)),
        ("reconnect delay max", span(timing.reconnect_delay_max)),
        ("stable after", span(timing.stable_after)),
        ("stop grace", span(timing.stop_grace)),
        ("max crashes", number(timing.max_crashes)),
        ("crash window", span(timing.crash_window)),
    ];
    let set = set.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    set.collect::<Vec<_>>().join(", ")
}
