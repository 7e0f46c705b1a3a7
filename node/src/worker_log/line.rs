//! A line of a tenant's log: made of an event, and read again.

use std::fmt;

use roost_model::ids::TenantId;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::{
    Level,
    field::{Field, Visit},
};

use super::mask::mask_numbers;

/// What one field, or the message, may have.
const MAX_TEXT: usize = 2 << 10;
/// What one line may have; of one that has more, the fields are left out.
const MAX_LINE: usize = 8 << 10;
/// What a customer has written, or is answered with: at TRACE alone.
const BODIES: [&str; 2] = ["body", "text"];
/// A number in one of these is a phone's.
const PHONES: [&str; 4] = ["phone", "chat", "from", "to"];

/// One line, without its end.
#[derive(Debug, Clone)]
pub struct LogLine {
    pub tenant: TenantId,
    /// 0 where it is not known.
    pub generation: i64,
    pub level: Level,
    pub json: String,
}

impl LogLine {
    pub(super) fn new(
        owner: (TenantId, i64),
        level: Level,
        target: &str,
        message: String,
        fields: Map<String, Value>,
    ) -> Self {
        let (tenant, generation) = owner;
        let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = |fields: Map<String, Value>| {
            let mut line = Map::new();
            line.insert("time".to_owned(), time.clone().into());
            line.insert("level".to_owned(), level.as_str().into());
            line.insert("target".to_owned(), target.into());
            line.insert("message".to_owned(), message.clone().into());
            line.insert("generation".to_owned(), generation.into());
            line.insert("fields".to_owned(), fields.into());
            Value::Object(line).to_string()
        };
        let mut json = line(fields);
        if json.len() > MAX_LINE {
            json = line(Map::from_iter([("left_out".to_owned(), "the fields were too long".into())]));
        }
        Self { tenant, generation, level, json }
    }
}

/// What of a line it is chosen by.
#[derive(Debug, Deserialize)]
struct Chosen<'a> {
    time: &'a str,
    level: &'a str,
    generation: i64,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineFilter {
    /// All when it is not set. A line of which it is not known belongs to every one.
    pub generation: Option<i64>,
    pub since: Option<OffsetDateTime>,
    /// This one and above.
    pub level: Option<Level>,
}

impl LineFilter {
    pub(super) fn takes(&self, json: &str) -> bool {
        // A line that was cut by the end of a machine is nobody's.
        let Ok(Chosen { time, level, generation }) = serde_json::from_str::<Chosen<'_>>(json) else {
            return false;
        };
        let is_late = |since| OffsetDateTime::parse(time, &Rfc3339).is_ok_and(|at| at >= since);
        self.takes_generation(generation)
            && self.level.is_none_or(|least| level.parse::<Level>().is_ok_and(|level| level <= least))
            && self.since.is_none_or(is_late)
    }

    /// Of one that comes now.
    pub(super) fn takes_new(&self, line: &LogLine) -> bool {
        self.takes_generation(line.generation) && self.level.is_none_or(|least| line.level <= least)
    }

    fn takes_generation(&self, generation: i64) -> bool {
        generation == 0 || self.generation.is_none_or(|wanted| wanted == generation)
    }
}

/// When a line was written.
pub(super) fn time_of(json: &str) -> Option<OffsetDateTime> {
    let Chosen { time, .. } = serde_json::from_str(json).ok()?;
    OffsetDateTime::parse(time, &Rfc3339).ok()
}

/// Collects what an event or a span says, masked.
#[derive(Debug)]
pub(super) struct Fields {
    level: Level,
    pub(super) tenant: Option<TenantId>,
    pub(super) generation: Option<i64>,
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
}

impl Fields {
    pub(super) fn at(level: Level) -> Self {
        Self { level, tenant: None, generation: None, message: String::new(), fields: Map::new() }
    }

    fn text(&mut self, field: &Field, text: &str) {
        match field.name() {
            "tenant" => self.tenant = TenantId::new(text).ok(),
            "generation" => self.generation = text.parse().ok(),
            "message" => self.message = fit(text),
            body if BODIES.contains(&body) && self.level != Level::TRACE => {}
            name => {
                self.fields.insert(name.to_owned(), fit(text).into());
            }
        }
    }

    fn number(&mut self, field: &Field, number: Value) {
        match field.name() {
            "generation" => self.generation = number.as_i64(),
            name if PHONES.contains(&name) => self.text(field, &number.to_string()),
            name => {
                self.fields.insert(name.to_owned(), number);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

/// Masked, and cut at a character.
fn fit(text: &str) -> String {
    // First, so that no cut makes a number too short to be known.
    let masked = mask_numbers(text);
    if masked.len() <= MAX_TEXT {
        return masked.into_owned();
    }
    let end = masked.floor_char_boundary(MAX_TEXT);
    format!("{}…", &masked[..end])
}
