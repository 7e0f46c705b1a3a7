//! A worker's log.

use roost_model::LogLevel;
use roost_proto::v1;
use roost_store::Tenant;
use serde_json::Value;
use time::OffsetDateTime;

use super::timestamp::timestamp;
use crate::app::{LogItem, LogLine};

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

/// None for UNSPECIFIED.
pub fn log_level_of(level: v1::LogLevel) -> Option<LogLevel> {
    match level {
        v1::LogLevel::Unspecified => None,
        v1::LogLevel::Trace => Some(LogLevel::Trace),
        v1::LogLevel::Debug => Some(LogLevel::Debug),
        v1::LogLevel::Info => Some(LogLevel::Info),
        v1::LogLevel::Warn => Some(LogLevel::Warn),
        v1::LogLevel::Error => Some(LogLevel::Error),
    }
}

/// What is written in its log. None when nothing is set, or was set for a time that is over.
pub fn tenant_log_level(tenant: &Tenant, now: OffsetDateTime) -> Option<v1::TenantLogLevel> {
    let temporary = tenant.temporary_log_level.filter(|set| set.until > now);
    let told = v1::TenantLogLevel {
        level: tenant.settings.log_level.map_or(v1::LogLevel::Unspecified, log_level).into(),
        temporary_level: temporary.map_or(v1::LogLevel::Unspecified, |set| log_level(set.level)).into(),
        until_time: temporary.map(|set| timestamp(set.until)),
    };
    Some(told).filter(|told| *told != v1::TenantLogLevel::default())
}
