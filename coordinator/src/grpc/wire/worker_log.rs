//! A worker's log.

use roost_proto::v1;
use serde_json::Value;

use super::timestamp;
use crate::app::{LogItem, LogLevel, LogLine};

pub fn log_item(item: LogItem) -> v1::ReadWorkerLogResponse {
    match item {
        LogItem::Lines(lines) => {
            let lines = lines.into_iter().map(log_line).collect();
            v1::ReadWorkerLogResponse { lines, notice: String::new() }
        }
        LogItem::Notice(notice) => v1::ReadWorkerLogResponse { lines: Vec::new(), notice },
    }
}

fn log_line(line: LogLine) -> v1::WorkerLogLine {
    v1::WorkerLogLine {
        time: Some(timestamp(line.time)),
        level: log_level(line.level).into(),
        target: line.target,
        message: line.message,
        fields_json: Value::Object(line.fields).to_string(),
        node_id: line.node.into(),
        generation: line.generation.0,
    }
}

fn log_level(level: LogLevel) -> v1::LogLevel {
    match level {
        LogLevel::Trace => v1::LogLevel::Trace,
        LogLevel::Debug => v1::LogLevel::Debug,
        LogLevel::Info => v1::LogLevel::Info,
        LogLevel::Warn => v1::LogLevel::Warn,
        LogLevel::Error => v1::LogLevel::Error,
    }
}

/// The least that is wanted; all for UNSPECIFIED.
pub fn log_level_filter(level: v1::LogLevel) -> LogLevel {
    match level {
        v1::LogLevel::Unspecified | v1::LogLevel::Trace => LogLevel::Trace,
        v1::LogLevel::Debug => LogLevel::Debug,
        v1::LogLevel::Info => LogLevel::Info,
        v1::LogLevel::Warn => LogLevel::Warn,
        v1::LogLevel::Error => LogLevel::Error,
    }
}
