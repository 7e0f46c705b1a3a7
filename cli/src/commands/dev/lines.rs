//! The board as a line per change, for pipes and logs.

use time::OffsetDateTime;

use crate::{failure::Failure, output::Output};

pub struct Lines<'a> {
    output: &'a mut Output,
}

impl<'a> Lines<'a> {
    pub fn new(output: &'a mut Output) -> Self {
        Self { output }
    }

    /// `12:00:01Z demo-1 RUNNING CONNECTED on node-2 generation 1`
    pub fn print(&mut self, line: &str) -> Result<(), Failure> {
        let now = OffsetDateTime::now_utc();
        self.output.text(&format!("{:02}:{:02}:{:02}Z {line}", now.hour(), now.minute(), now.second()))
    }
}
