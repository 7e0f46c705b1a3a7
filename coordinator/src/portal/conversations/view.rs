//! What a page shows of a chat and of a line. Pure.

use roost_store::{Chat, ChatHold, Direction, Line, LineState};
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
    /// The person who has said it.
    by: Option<String>,
}

/// Who answers in a chat, for one who may.
#[derive(Debug, Serialize)]
pub struct HoldView {
    /// Named as the catalogues name it: `hold-ours`.
    state: &'static str,
    holder: String,
    since: Option<Moment>,
    version: i64,
}

impl HoldView {
    pub fn of(hold: ChatHold, reader: &str) -> Self {
        let version = hold.version;
        match hold.held {
            None => Self { state: "free", holder: String::new(), since: None, version },
            Some((holder, since)) => {
                let state = if holder == reader { "ours" } else { "theirs" };
                Self { state, holder: person(&holder), since: Moment::of(since), version }
            }
        }
    }
}

/// A caller as people know him.
fn person(caller: &str) -> String {
    caller.strip_prefix("user ").unwrap_or(caller).to_owned()
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
            by: line.said_by.as_deref().map(person),
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
        LineState::Held { .. } => "held",
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
pub fn encoded(chat: &str) -> String {
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
