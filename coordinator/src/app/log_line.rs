//! A line of a worker's log, as nodes write it.

use roost_model::{
    LogLevel, causes,
    ids::{Generation, NodeId},
};
use roost_store::SavedLogTail;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What a tail may become when it is unpacked: nodes keep 64 KiB, and what they keep is not believed.
const MAX_TAIL: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    pub time: OffsetDateTime,
    pub level: LogLevel,
    pub target: String,
    pub message: String,
    pub fields: Map<String, Value>,
    pub node: NodeId,
    pub generation: Generation,
}

#[derive(Deserialize)]
struct Written {
    time: String,
    level: String,
    target: String,
    message: String,
    #[serde(default)]
    fields: Map<String, Value>,
}

impl LogLine {
    /// None for what is no line.
    pub fn parse(json: &str, node: &NodeId, generation: Generation) -> Option<Self> {
        let Written { time, level, target, message, fields } = serde_json::from_str(json).ok()?;
        let time = OffsetDateTime::parse(&time, &Rfc3339).ok()?;
        let level = LogLevel::ALL.into_iter().find(|known| known.as_str() == level)?;
        Some(Self { time, level, target, message, fields, node: node.clone(), generation })
    }
}

/// Oldest first. One that cannot be read has none.
pub fn lines_of_tail(tail: &SavedLogTail) -> Vec<LogLine> {
    let unpacked = zstd::bulk::decompress(&tail.lines, MAX_TAIL).unwrap_or_else(|error| {
        tracing::error!(error = %causes(&error), node = %tail.node, "the end of a worker's log is not readable");
        Vec::new()
    });
    let text = String::from_utf8_lossy(&unpacked);
    text.lines().filter_map(|line| LogLine::parse(line, &tail.node, tail.generation)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_tail_are_read_in_order_and_what_is_none_is_left_out() {
        let line = |level: &str, message: &str| {
            format!(
                "{{\"time\":\"2026-11-29T12:00:00.5Z\",\"level\":\"{level}\",\"target\":\"t\",\"message\":\"{message}\",\
                 \"generation\":7,\"fields\":{{\"a\":1}}}}"
            )
        };
        let text =
            [line("INFO", "one"), "half a li".to_owned(), line("LOUD", "no"), line("WARN", "two")].join("\n");
        let tail = SavedLogTail {
            generation: Generation(7),
            node: NodeId::new("n1").unwrap(),
            saved_at: OffsetDateTime::UNIX_EPOCH,
            lines: zstd::bulk::compress(text.as_bytes(), 0).unwrap(),
        };
        let lines = lines_of_tail(&tail);
        let told: Vec<_> = lines.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(told, [(LogLevel::Info, "one"), (LogLevel::Warn, "two")]);
        assert_eq!((lines[0].fields["a"].as_i64(), lines[0].generation), (Some(1), Generation(7)));
        assert!(lines_of_tail(&SavedLogTail { lines: vec![1, 2, 3], ..tail }).is_empty());
        assert!(LogLevel::ALL.is_sorted());
    }
}
