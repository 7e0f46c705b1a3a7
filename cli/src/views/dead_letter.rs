//! A message or reply that was given up, and what a redrive did.

use roost_proto::v1::{DeadLetter, Direction, RedriveDeadLettersResponse};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::output::Row;

#[derive(Debug, Serialize)]
pub struct DeadLetterView {
    id: String,
    tenant_id: String,
    direction: String,
    chat_id: String,
    body: String,
    whatsapp_id: String,
    reason: String,
    attempts: i32,
    redrivable: bool,
    create_time: Option<String>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            direction: enum_name(letter.direction, "DIRECTION_", Direction::as_str_name),
            create_time: rfc3339(&letter.create_time),
            id: letter.id,
            tenant_id: letter.tenant_id,
            chat_id: letter.chat_id,
            body: letter.body,
            whatsapp_id: letter.whatsapp_id,
            reason: letter.reason,
            attempts: letter.attempts,
            redrivable: letter.redrivable,
        }
    }
}

impl Row for DeadLetterView {
    const HEADER: &'static [&'static str] = &["id", "time", "tenant", "chat", "tries", "reason", "body"];
    const CELL_CHARS: usize = 60;

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            ago(self.create_time.as_deref()),
            self.tenant_id.clone(),
            self.chat_id.clone(),
            self.attempts.to_string(),
            self.reason.clone(),
            self.body.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        let mut details: Vec<_> = Self::HEADER.iter().copied().zip(self.cells()).collect();
        details.push(("whatsapp id", self.whatsapp_id.clone()));
        details.push(("can be redriven", if self.redrivable { "yes" } else { "no" }.to_owned()));
        details
    }
}

#[derive(Debug, Serialize)]
pub struct RedriveView {
    ids: Vec<String>,
    more: bool,
    dry_run: bool,
}

impl RedriveView {
    pub fn new(RedriveDeadLettersResponse { ids, more }: RedriveDeadLettersResponse, dry_run: bool) -> Self {
        Self { ids, more, dry_run }
    }
}

impl Row for RedriveView {
    const HEADER: &'static [&'static str] = &["redriven"];

    fn cells(&self) -> Vec<String> {
        let nothing_done = if self.dry_run { "; nothing was done" } else { "" };
        let ids = if self.ids.is_empty() { String::new() } else { format!(": {}", self.ids.join(" ")) };
        vec![format!("{}{nothing_done}{ids}", self.ids.len())]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
