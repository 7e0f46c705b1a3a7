//! How hard the simulated WhatsApp is on a page. Gentle unless it is told otherwise; each hardness is one setting, of a
//! phone or of all, and README.md of the simulator says of each what the real site is known, or guessed, to do.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// No setting lasts longer: an hour.
pub const LONGEST_MS: u64 = 3_600_000;

/// Every setting, by its name in the control API; durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardness {
    /// Messages that a connection is given ahead of their acknowledgements; the rest waits in the queue.
    pub in_flight: u64,
    /// When a message that the page refused is delivered again on the same connection; 0: with the next one only.
    pub redeliver_after_ms: u64,
    /// From a page's wish to be logged out to the server's answer. It stays linked until then, and for good if its
    /// connection ends before.
    pub logout_after_ms: u64,
    /// So many of the next log-outs by a page are refused.
    pub failing_logouts: u64,
    pub queries: Queries,
    pub query_after_ms: u64,
    /// The acknowledgements of so many of the next sends never come.
    pub lost_acks: u64,
    /// Whether what they would have acknowledged has arrived all the same.
    pub lost_acks_delivered: bool,
    /// From a message's arrival to the receipt of its recipient. What comes while no page is connected waits for the next,
    /// which has it so long after its login.
    pub receipt_after_ms: u64,
    /// Whether the page says how much of what waited for it is here.
    pub backlog_progress: bool,
    pub unsent: Unsent,
    /// So many older messages come, as history, to a page that has just been linked.
    pub history: u64,
    /// A page whose ratchet is behind sends what its recipients cannot decrypt: each asks for it once more.
    pub refuse_regressed: bool,
    /// The page connects before its modules can be seen, and so before a library can wrap one.
    pub connect_early: bool,
    /// Messages that a page holds in memory; older ones are on its disk only.
    pub kept_in_memory: u64,
    /// Processor time that a page burns in script before it connects.
    pub start_cost_ms: u64,
    /// A page pings the server so often; 0: never.
    pub keep_alive_ms: u64,
    /// How long a code is good that is typed on the phone.
    pub link_code_ms: u64,
    /// So many of them are given for a phone number within an hour.
    pub link_codes: u64,
    /// Memory that a page takes in every second and never gives back, in MiB.
    pub leak_mib_per_s: u64,
    /// Threads of a page that take all the processor time that they get.
    pub spin_threads: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queries {
    Answered,
    Refused,
    /// Never answered.
    Silent,
}

/// What becomes of a send for which there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsent {
    /// It fails at once.
    Fail,
    /// It hangs, and goes out with the next connection, be it of the page's next life.
    Wait,
}

impl Default for Hardness {
    fn default() -> Self {
        Self {
            in_flight: 512,
            redeliver_after_ms: 5_000,
            logout_after_ms: 0,
            failing_logouts: 0,
            queries: Queries::Answered,
            query_after_ms: 0,
            lost_acks: 0,
            lost_acks_delivered: true,
            receipt_after_ms: 0,
            backlog_progress: true,
            unsent: Unsent::Fail,
            history: 0,
            refuse_regressed: false,
            connect_early: false,
            kept_in_memory: 1_000,
            start_cost_ms: 0,
            keep_alive_ms: 25_000,
            link_code_ms: 180_000,
            link_codes: 10,
            leak_mib_per_s: 0,
            spin_threads: 0,
        }
    }
}

impl Hardness {
    /// All that a cluster in which nothing is wrong has to live with.
    #[must_use]
    pub fn hard(&self) -> Self {
        Self {
            redeliver_after_ms: 0,
            logout_after_ms: 1_000,
            query_after_ms: 200,
            receipt_after_ms: 300,
            unsent: Unsent::Wait,
            history: 20,
            refuse_regressed: true,
            ..self.clone()
        }
    }

    /// These settings with some of them changed, by name. `hard: true` and `hard: false` stand for all of them. What is
    /// wrong when one cannot be.
    pub fn changed(&self, mut changes: Map<String, Value>) -> Result<Self, String> {
        let base = match changes.remove("hard") {
            None => self.clone(),
            Some(Value::Bool(true)) => self.hard(),
            Some(Value::Bool(false)) => Self::default(),
            Some(other) => return Err(format!("hard: is {other}; it has to be true or false")),
        };
        let Ok(Value::Object(mut settings)) = serde_json::to_value(base) else {
            return Err("the settings are no object".to_owned());
        };
        settings.extend(changes);
        let is_too_long = |(name, value): &(&String, &Value)| {
            name.ends_with("_ms") && value.as_u64().is_some_and(|ms| ms > LONGEST_MS)
        };
        if let Some((name, value)) = settings.iter().find(is_too_long) {
            return Err(format!("{name} is {value}; at most {LONGEST_MS} (an hour) is allowed"));
        }
        serde_json::from_value(Value::Object(settings)).map_err(|error| error.to_string())
    }

    /// `name=value`, as a command line has it.
    pub fn set(&self, assignment: &str) -> Result<Self, String> {
        let (name, text) = assignment.split_once('=').ok_or("a setting is given as name=value")?;
        // What is no number and no truth value is a word.
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        self.changed(Map::from_iter([(name.to_owned(), value)]))
    }

    pub(crate) fn redeliver_after(&self) -> Option<Duration> {
        (self.redeliver_after_ms > 0).then(|| Duration::from_millis(self.redeliver_after_ms))
    }

    /// What of it is the page's own to do.
    pub(crate) fn of_page(&self) -> PageSettings {
        PageSettings {
            unsent: self.unsent,
            connect_early: self.connect_early,
            kept_in_memory: self.kept_in_memory,
            start_cost_ms: self.start_cost_ms,
            backlog_progress: self.backlog_progress,
            keep_alive_ms: self.keep_alive_ms,
            leak_mib_per_s: self.leak_mib_per_s,
            spin_threads: self.spin_threads,
        }
    }

    /// Whether this send's acknowledgement is lost; it counts as one of them.
    pub(crate) fn loses_ack(&mut self) -> bool {
        let loses = self.lost_acks > 0;
        self.lost_acks = self.lost_acks.saturating_sub(1);
        loses
    }

    pub(crate) fn fails_logout(&mut self) -> bool {
        let fails = self.failing_logouts > 0;
        self.failing_logouts = self.failing_logouts.saturating_sub(1);
        fails
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageSettings {
    unsent: Unsent,
    connect_early: bool,
    kept_in_memory: u64,
    start_cost_ms: u64,
    backlog_progress: bool,
    pub keep_alive_ms: u64,
    leak_mib_per_s: u64,
    spin_threads: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(changes: Value) -> Result<Hardness, String> {
        Hardness::default().changed(changes.as_object().unwrap().clone())
    }

    #[test]
    fn settings_are_changed_by_name_and_what_is_not_named_stays() {
        let hardness = changed(json!({ "queries": "silent", "lost_acks": 3 })).unwrap();
        assert_eq!((hardness.queries, hardness.lost_acks), (Queries::Silent, 3));
        assert_eq!(Hardness { queries: Queries::Answered, lost_acks: 0, ..hardness }, Hardness::default());
        assert_eq!(Hardness::default().set("unsent=wait").unwrap().unsent, Unsent::Wait);
        assert_eq!(Hardness::default().set("history=7").unwrap().history, 7);
    }

    #[test]
    fn hard_stands_for_many_and_single_ones_win_over_it() {
        let hard = changed(json!({ "hard": true })).unwrap();
        assert_eq!(hard, Hardness::default().hard());
        assert_ne!(hard, Hardness::default());
        assert_eq!(changed(json!({ "hard": true, "history": 1 })).unwrap().history, 1);
        let again = hard.changed(Map::from_iter([("hard".to_owned(), json!(false))])).unwrap();
        assert_eq!(again, Hardness::default());
    }

    #[test]
    fn a_name_or_a_value_that_is_none_is_refused_with_what_there_is() {
        assert!(changed(json!({ "ratchet": 1 })).unwrap_err().contains("refuse_regressed"));
        assert!(changed(json!({ "queries": "maybe" })).unwrap_err().contains("silent"));
        assert!(changed(json!({ "start_cost_ms": LONGEST_MS + 1 })).unwrap_err().contains("an hour"));
        assert!(changed(json!({ "history": -1 })).unwrap_err().contains("-1"));
        assert!(Hardness::default().set("hard").is_err());
    }
}
