//! What a page shows of a chat and of a line. Pure.

use roost_store::{Chat, Direction, Line, LineState};
use serde::Serialize;

use crate::portal::moment::Moment;

/// The domain of people's own chats.
const PERSON: &str = "@c.us";

#[derive(Debug, Serialize)]
pub struct ChatView {
    /// For its link.
    address: String,
    name: String,
    last: LineView,
}

#[derive(Debug, Serialize)]
pub struct LineView {
    pub id: i64,
    pub name: String,
    pub address: String,
    is_from_customer: bool,
    body: String,
    at: Option<Moment>,
    state: &'static str,
    /// In the words of whatever has failed.
    reason: String,
}

impl From<Chat> for ChatView {
    fn from(chat: Chat) -> Self {
        Self { name: name(&chat.chat), address: encoded(&chat.chat), last: chat.last.into() }
    }
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            id: line.id,
            name: name(&line.chat),
            address: encoded(&line.chat),
            is_from_customer: line.direction == Direction::In,
            body: line.body,
            at: Moment::of(line.at),
            state: state(&line.state),
            reason: match line.state {
                LineState::Dead { reason } => reason,
                _ => String::new(),
            },
        }
    }
}

/// Named as the catalogues name them: `line-too-old`.
pub fn state(state: &LineState) -> &'static str {
    match state {
        LineState::Answered => "answered",
        LineState::Waiting => "waiting",
        LineState::TooOld { .. } => "too-old",
        LineState::Suppressed { .. } => "suppressed",
        LineState::Dead { .. } => "dead",
        LineState::Sent => "sent",
        LineState::Sending => "sending",
    }
}

/// The number of a person, as people write it; the address of anything else.
pub fn name(chat: &str) -> String {
    let number =
        chat.strip_suffix(PERSON).filter(|digits| digits.chars().all(|digit| digit.is_ascii_digit()));
    number.map_or_else(|| chat.to_owned(), |number| format!("+{number}"))
}

/// As it stands in a path.
fn encoded(chat: &str) -> String {
    percent_encoding::utf8_percent_encode(chat, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_shown_by_his_number_and_an_address_survives_a_path() {
        assert_eq!(name("255600000001@c.us"), "+255600000001");
        assert_eq!(name("120363-1@g.us"), "120363-1@g.us");
        assert_eq!(encoded("a/..?#@c.us"), "a%2F%2E%2E%3F%23%40c%2Eus");
    }
}
