//! A line of a worker's log.

use roost_proto::v1::{LogLevel, WorkerLogLine};
use serde::Serialize;
use serde_json::Value;

use super::{enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct LogLineView {
    time: Option<String>,
    level: String,
    target: String,
    message: String,
    fields: Value,
    node_id: String,
    generation: i64,
}

impl From<WorkerLogLine> for LogLineView {
    fn from(line: WorkerLogLine) -> Self {
        Self {
            time: rfc3339(&line.time),
            level: enum_name(line.level, "LOG_LEVEL_", LogLevel::as_str_name),
            target: line.target,
            message: line.message,
            fields: serde_json::from_str(&line.fields_json).unwrap_or_default(),
            node_id: line.node_id,
            generation: line.generation,
        }
    }
}

impl LogLineView {
    fn fields(&self) -> String {
        let fields = self.fields.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!(" {name}={value}")).collect()
    }
}

impl Row for LogLineView {
    const HEADER: &'static [&'static str] = &["time", "level", "node", "message"];
    const CELL_CHARS: usize = 4_096;

    fn cells(&self) -> Vec<String> {
        let message = format!("{}{}", self.message, self.fields());
        vec![
            self.time.clone().unwrap_or_default(),
            format!("{:5}", self.level),
            self.node_id.clone(),
            message,
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
