//! What pages sent more than once, and why, by WhatsApp's own view. Pure.
//!
//! The phone shows a message once however often its id comes, so a resend is no second answer. It is still a fault to ask a
//! page for one that it knows the server to have, and whatever else is sent again is to have a reason.

use std::{collections::BTreeMap, fmt};

use roost_devcluster::{Connection, Connections, Resend, SendCause, SentMessage};

/// An acknowledgement that was told so shortly before its connection ended may not have reached the page.
const ON_ITS_WAY_MS: u64 = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resends {
    pub explained: BTreeMap<Explanation, usize>,
    /// Sent again although the page that was asked for it had its acknowledgement.
    pub needless: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Explanation {
    RecipientAsked,
    PageItself,
    NeverAcknowledged,
    AcknowledgementCutOff,
    OlderSnapshot,
    NotOnDisk,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecipientAsked => "a recipient could not decrypt it and asked for it",
            Self::PageItself => "the page itself, which had no acknowledgement on its disk",
            Self::NeverAcknowledged => "it had never been acknowledged",
            Self::AcknowledgementCutOff => "the connection ended with its acknowledgement",
            Self::OlderSnapshot => "the page was restored from before it was sent",
            Self::NotOnDisk => "an earlier life of the page had the acknowledgement, this one not",
        })
    }
}

impl Resends {
    /// Counts those of one tenant's messages.
    pub fn count(&mut self, tenant: &str, sent: &[SentMessage], connections: &Connections) {
        for message in sent {
            for resend in &message.resends {
                match explain(resend, connections) {
                    Some(explanation) => *self.explained.entry(explanation).or_default() += 1,
                    None => self
                        .needless
                        .push(format!("{tenant} to {}: {:?}, {resend:?}", message.to, message.body)),
                }
            }
        }
    }
}

fn explain(resend: &Resend, connections: &Connections) -> Option<Explanation> {
    match resend.cause {
        SendCause::Retry => return Some(Explanation::RecipientAsked),
        SendCause::Unsent => return Some(Explanation::PageItself),
        SendCause::Asked => {}
    }
    let all = connections.connections.as_slice();
    match resend.acknowledged_to_life_at_ms {
        Some(at) => is_cut_off(at, resend, all).then_some(Explanation::AcknowledgementCutOff),
        None if !resend.acknowledged_before => Some(Explanation::NeverAcknowledged),
        None if was_behind(resend, all) => Some(Explanation::OlderSnapshot),
        None => Some(Explanation::NotOnDisk),
    }
}

fn connection<'a>(resend: &Resend, connections: &'a [Connection]) -> Option<&'a Connection> {
    connections.iter().find(|connection| connection.id == resend.connection)
}

fn was_behind(resend: &Resend, connections: &[Connection]) -> bool {
    connection(resend, connections).is_some_and(|connection| connection.regressed_by > 0)
}

fn is_cut_off(acknowledged_at: u64, resend: &Resend, connections: &[Connection]) -> bool {
    let Some(now) = connection(resend, connections) else { return false };
    connections.iter().filter(|earlier| earlier.phone == now.phone && earlier.id < now.id).any(|earlier| {
        let ended = earlier.closed_at_ms.unwrap_or(u64::MAX);
        (earlier.opened_at_ms..=ended).contains(&acknowledged_at) && ended - acknowledged_at < ON_ITS_WAY_MS
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn connections() -> Connections {
        let connection = |id, opened_at_ms, closed_at_ms, regressed_by| Connection {
            closed_at_ms,
            regressed_by,
            ..fixtures::connection(id, opened_at_ms)
        };
        let all = vec![
            connection(1, 0, Some(10_000), 0),
            connection(2, 10_100, None, 0),
            connection(3, 20_000, None, 4),
        ];
        Connections { connections: all, overlaps: vec![] }
    }

    fn resend() -> Resend {
        Resend {
            at_ms: 30_000,
            connection: 2,
            life: "b".into(),
            cause: SendCause::Asked,
            delivered_before: true,
            sent_by_life: true,
            acknowledged_before: true,
            acknowledged_to_life_at_ms: None,
        }
    }

    fn explained(resend: Resend) -> Option<Explanation> {
        explain(&resend, &connections())
    }

    #[test]
    fn what_a_page_was_asked_for_although_it_had_the_acknowledgement_is_needless() {
        let at = |ms| Resend { acknowledged_to_life_at_ms: Some(ms), ..resend() };
        assert_eq!(explained(at(5_000)), None);
        assert_eq!(explained(Resend { connection: 1, ..at(9_900) }), None, "the connection is the same");
        assert_eq!(explained(at(9_900)), Some(Explanation::AcknowledgementCutOff));
        let retry = Resend { cause: SendCause::Retry, ..at(5_000) };
        assert_eq!(explained(retry), Some(Explanation::RecipientAsked));
    }

    #[test]
    fn everything_else_has_its_reason() {
        let never = Resend { acknowledged_before: false, ..resend() };
        assert_eq!(explained(never), Some(Explanation::NeverAcknowledged));
        assert_eq!(explained(Resend { connection: 3, ..resend() }), Some(Explanation::OlderSnapshot));
        assert_eq!(explained(resend()), Some(Explanation::NotOnDisk));
        assert_eq!(explained(Resend { cause: SendCause::Unsent, ..resend() }), Some(Explanation::PageItself));
    }

    #[test]
    fn resends_are_counted_by_their_reason() {
        let message = SentMessage {
            index: 1,
            to: "1@c.us".into(),
            body: "x".into(),
            id: "A".into(),
            at_ms: 1,
            connection: 1,
            life: "a".into(),
            resends: vec![
                resend(),
                resend(),
                Resend { acknowledged_to_life_at_ms: Some(20_000), ..resend() },
            ],
        };
        let mut resends = Resends::default();
        resends.count("acme", &[message], &connections());
        assert_eq!(resends.explained, BTreeMap::from([(Explanation::NotOnDisk, 2)]));
        assert_eq!(resends.needless.len(), 1);
    }
}
