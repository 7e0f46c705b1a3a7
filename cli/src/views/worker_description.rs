//! All that can be told of one worker.

use std::{collections::BTreeMap, time::Duration};

use roost_proto::v1::{EffectiveSetting, LiveBrowser, LiveWorker, SettingOrigin, WorkerDescription};
use serde::Serialize;

use super::{ago, enum_name, log_level::LogLevelsView, rfc3339, worker::WorkerView};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct WorkerDescriptionView {
    worker: WorkerView,
    phone: String,
    labels: BTreeMap<String, String>,
    inbound_queue: i64,
    outbound_queue: i64,
    snapshot_time: Option<String>,
    snapshot_bytes: Option<i64>,
    live: Option<LiveWorkerView>,
    node_problem: String,
    log_level: Option<LogLevelsView>,
}

#[derive(Debug, Serialize)]
struct LiveWorkerView {
    node_id: String,
    node_version: String,
    generation: i64,
    state: String,
    /// Seconds.
    since_proof: Option<f64>,
    reconnect_attempts: i32,
    browser: Option<LiveBrowserView>,
    timing: Vec<EffectiveSettingView>,
}

#[derive(Debug, Serialize)]
struct EffectiveSettingView {
    name: String,
    value: String,
    origin: String,
}

impl From<EffectiveSetting> for EffectiveSettingView {
    fn from(setting: EffectiveSetting) -> Self {
        let origin = enum_name(setting.origin, "SETTING_ORIGIN_", SettingOrigin::as_str_name);
        Self { name: setting.name, value: setting.value, origin }
    }
}

#[derive(Debug, Serialize)]
struct LiveBrowserView {
    /// Seconds.
    uptime: Option<f64>,
    browser_version: String,
    bridge_version: String,
    library_version: String,
    page_version: String,
    /// Null for an engine without processes, as are all that follow.
    pid: Option<i32>,
    processes: Option<i32>,
    pss_bytes: Option<i64>,
    own_bytes: Option<i64>,
    /// Seconds.
    cpu_time: Option<f64>,
    cpu_share: Option<f64>,
    limits_held_by: String,
}

impl From<WorkerDescription> for WorkerDescriptionView {
    fn from(told: WorkerDescription) -> Self {
        Self {
            snapshot_time: rfc3339(&told.snapshot_time),
            snapshot_bytes: Some(told.snapshot_bytes).filter(|bytes| *bytes > 0),
            worker: told.worker.unwrap_or_default().into(),
            phone: told.phone,
            labels: told.labels.into_iter().collect(),
            inbound_queue: told.inbound_queue,
            outbound_queue: told.outbound_queue,
            live: told.live.map(Into::into),
            log_level: told.log_level.as_ref().map(Into::into),
            node_problem: told.node_problem,
        }
    }
}

impl From<LiveWorker> for LiveWorkerView {
    fn from(told: LiveWorker) -> Self {
        Self {
            since_proof: seconds(told.since_proof),
            node_id: told.node_id,
            node_version: told.node_version,
            generation: told.generation,
            state: told.state,
            reconnect_attempts: told.reconnect_attempts,
            browser: told.browser.map(Into::into),
            timing: told.timing.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<LiveBrowser> for LiveBrowserView {
    fn from(told: LiveBrowser) -> Self {
        let has_processes = told.pid != 0;
        Self {
            uptime: seconds(told.uptime),
            browser_version: told.browser_version,
            bridge_version: told.bridge_version,
            library_version: told.library_version,
            page_version: told.page_version,
            pid: has_processes.then_some(told.pid),
            processes: has_processes.then_some(told.processes),
            pss_bytes: told.pss_bytes,
            own_bytes: has_processes.then_some(told.own_bytes),
            cpu_time: seconds(told.cpu_time).filter(|_| has_processes),
            cpu_share: has_processes.then_some(told.cpu_share),
            limits_held_by: told.limits_held_by,
        }
    }
}

impl Row for WorkerDescriptionView {
    const HEADER: &'static [&'static str] = &["tenant", "live"];

    fn cells(&self) -> Vec<String> {
        vec![self.phone.clone(), self.node_problem.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut lines = self.worker.details();
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let snapshot = self.snapshot_time.as_deref().map(|at| match self.snapshot_bytes {
            Some(bytes) => format!("{}, {}", ago(Some(at)), size(bytes)),
            None => ago(Some(at)),
        });
        lines.extend([
            ("phone", self.phone.clone()),
            ("labels", labels.join(",")),
            ("to answer", self.inbound_queue.to_string()),
            ("to send", self.outbound_queue.to_string()),
            ("snapshot", snapshot.unwrap_or_default()),
            ("log level", self.log_level.as_ref().map(LogLevelsView::told).unwrap_or_default()),
        ]);
        match &self.live {
            Some(live) => lines.extend(live.lines()),
            None => lines.push(("at this moment", format!("not known: {}", self.node_problem))),
        }
        lines
    }
}

impl LiveWorkerView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let since_proof =
            self.since_proof.map_or_else(|| "not yet".to_owned(), |at| format!("{} ago", span(at)));
        let mut lines = vec![
            ("at this moment", format!("{}, generation {} on {}", self.state, self.generation, self.node_id)),
            ("page answered", since_proof),
            ("reconnections", self.reconnect_attempts.to_string()),
            ("node version", self.node_version.clone()),
        ];
        match &self.browser {
            Some(browser) => lines.extend(browser.lines()),
            None => lines.push(("browser", "none".to_owned())),
        }
        lines.extend(self.timing.iter().map(|EffectiveSettingView { name, value, origin }| {
            let (name, origin) = (name.replace('_', " "), origin.to_lowercase());
            ("timing", format!("{name}: {value} ({origin})"))
        }));
        lines
    }
}

impl LiveBrowserView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("browser", self.browser_version.clone()),
            ("uptime", self.uptime.map(span).unwrap_or_default()),
            ("bridge", self.bridge_version.clone()),
            ("library", self.library_version.clone()),
            ("page version", self.page_version.clone()),
        ];
        let Some(pid) = self.pid else {
            lines.push(("processes", "none: the engine has no browser".to_owned()));
            return lines;
        };
        let processes = self.processes.unwrap_or_default();
        lines.push(("processes", format!("{processes}, the first is pid {pid}")));
        let own = self.own_bytes.map(size).unwrap_or_default();
        lines.push((
            "memory",
            match self.pss_bytes {
                Some(bytes) => format!("{} (PSS), {own} its own", size(bytes)),
                None => format!(
                    "{own} its own; the kernel does not let the node read its share of the rest (PSS)"
                ),
            },
        ));
        let share = self.cpu_share.unwrap_or_default() * 100.0;
        let time = self.cpu_time.map(span).unwrap_or_default();
        lines.push(("processor", format!("{share:.0} % of one now, {time} in all")));
        lines.push(("limits", format!("held by {}", self.limits_held_by)));
        lines
    }
}

fn seconds(duration: Option<prost_types::Duration>) -> Option<f64> {
    Some(Duration::try_from(duration?).ok()?.as_secs_f64())
}

/// Two units are enough for a person.
fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    let whole = humantime::format_duration(Duration::from_secs(seconds as u64)).to_string();
    whole.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn size(bytes: i64) -> String {
    let bytes = bytes.unsigned_abs();
    if bytes < 10 << 20 {
        format!("{} KiB", bytes.div_ceil(1024))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_for_people() {
        assert_eq!([span(0.04), span(61.0), span(90_061.0)], ["0.0s", "1m 1s", "1day 1h"]);
        assert_eq!([size(1), size(71 << 20)], ["1 KiB", "71 MiB"]);
    }
}
