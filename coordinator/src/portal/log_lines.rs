//! Lines of a worker's log as pages show them.

use futures::StreamExt;
use minijinja::{Value, context};
use roost_model::{LogLevel, ids::TenantId};
use time::OffsetDateTime;

use super::moment::Moment;
use crate::app::{App, Error, LogItem, LogLine, LogQuery};

/// The newest of those that are there.
const LINES: u32 = 200;

pub struct KeptLines {
    pub lines: Vec<Value>,
    /// Where they come from, or what is missing.
    pub notices: Vec<String>,
    /// When the last one was written.
    pub last: Option<OffsetDateTime>,
}

/// The end of what its present owner or the last one has written, from wherever it is.
pub async fn kept_lines(app: &App, tenant: &TenantId, level: LogLevel) -> Result<KeptLines, Error> {
    let query = LogQuery { lines: LINES, since: None, level };
    let mut items = app.read_worker_log(tenant, query, false).await?;
    let mut kept = KeptLines { lines: Vec::new(), notices: Vec::new(), last: None };
    while let Some(item) = items.next().await {
        match item? {
            LogItem::Lines(some) => {
                kept.last = some.last().map(|line| line.time).or(kept.last);
                kept.lines.extend(some.iter().map(line));
            }
            LogItem::Notice(notice) => kept.notices.push(notice),
        }
    }
    Ok(kept)
}

pub fn line(line: &LogLine) -> Value {
    let fields: Vec<String> = line.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    context! {
        at => Moment::shown(line.time),
        level => line.level.as_str(),
        message => line.message.as_str(),
        fields => fields.join(" "),
    }
}
