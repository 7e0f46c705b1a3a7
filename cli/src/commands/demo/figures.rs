//! What the tour measured.

use std::time::Duration;

use serde::Serialize;

use super::customers::Tally;
use crate::output::Row;

#[derive(Debug)]
pub struct Figures {
    pub tenants: usize,
    pub paired_in: Duration,
    pub failed_over: usize,
    pub failover_connected: Duration,
    pub failover_answered: Duration,
    pub rescans: u64,
    pub node_added_in: Duration,
    pub messages: Tally,
    pub overlaps: usize,
}

#[derive(Debug, Serialize)]
pub struct Figure {
    figure: &'static str,
    value: String,
}

impl Row for Figure {
    const HEADER: &'static [&'static str] = &["figure", "value"];

    fn cells(&self) -> Vec<String> {
        vec![self.figure.to_owned(), self.value.clone()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        vec![(self.figure, self.value.clone())]
    }
}

impl Figures {
    pub fn rows(&self) -> Vec<Figure> {
        let row = |figure, value: String| Figure { figure, value };
        let seconds = |duration: Duration| format!("{:.2}", duration.as_secs_f64());
        vec![
            row("tenants paired", self.tenants.to_string()),
            row("start to all connected, s", seconds(self.paired_in)),
            row("tenants failed over", self.failed_over.to_string()),
            row("SIGKILL to all connected elsewhere, s", seconds(self.failover_connected)),
            row("SIGKILL to all answered elsewhere, s", seconds(self.failover_answered)),
            row("codes scanned again after the failover", self.rescans.to_string()),
            row("node added in, s", seconds(self.node_added_in)),
            row("messages received", self.messages.asked.to_string()),
            row("messages answered", self.messages.answered.to_string()),
            row("messages lost", self.messages.lost.to_string()),
            row("messages answered twice", self.messages.twice.to_string()),
            row("sessions open twice at once", self.overlaps.to_string()),
        ]
    }

    /// What must not have happened.
    pub fn verdict(&self) -> Result<(), String> {
        let wrong: Vec<String> = [
            (self.messages.lost as u64, "messages lost"),
            (self.messages.twice as u64, "messages answered twice"),
            (self.rescans, "codes scanned again after the failover"),
            (self.overlaps as u64, "sessions open twice at once"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what}: {count}"))
        .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_everything_that_went_wrong() {
        let mut figures = Figures {
            tenants: 6,
            paired_in: Duration::from_secs(9),
            failed_over: 2,
            failover_connected: Duration::from_millis(2_500),
            failover_answered: Duration::from_millis(2_700),
            rescans: 0,
            node_added_in: Duration::from_millis(400),
            messages: Tally { asked: 20, answered: 20, lost: 0, twice: 0 },
            overlaps: 0,
        };
        assert_eq!(figures.verdict(), Ok(()));
        figures.messages.lost = 1;
        figures.overlaps = 2;
        assert_eq!(figures.verdict(), Err("messages lost: 1, sessions open twice at once: 2".to_owned()));
    }
}
