//! What was written to the tenants, what they answered, and what that says. Pure.

use std::collections::BTreeMap;

use roost_devcluster::{SentMessage, TenantRecord};

/// Milliseconds since the epoch; the simulator and this process share the machine's clock.
pub(super) type Millis = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    body: String,
    at: Millis,
}

/// One tenant's messages and their answers.
#[derive(Debug)]
struct Messages {
    tenant: TenantRecord,
    asked: BTreeMap<String, Vec<Asked>>,
    answers: BTreeMap<String, Vec<SentMessage>>,
    /// Of the answer read last.
    read_up_to: u64,
}

#[derive(Debug)]
pub(super) struct Transcript {
    of_tenants: Vec<Messages>,
}

/// What is to be said of all messages, at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    pub asked: usize,
    pub answered: usize,
    /// Not answered (yet).
    pub missing: usize,
    /// Answers beyond the one that is due.
    pub twice: Vec<String>,
    /// Answers that came before those of earlier messages of their chat.
    pub out_of_order: Vec<String>,
}

impl Transcript {
    pub fn new(tenants: &[TenantRecord]) -> Self {
        let messages = |tenant: &TenantRecord| Messages {
            tenant: tenant.clone(),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            read_up_to: 0,
        };
        Self { of_tenants: tenants.iter().map(messages).collect() }
    }

    pub fn phone(&self, tenant: usize) -> String {
        self.of_tenants[tenant].tenant.phone.clone()
    }

    pub fn tenants(&self) -> usize {
        self.of_tenants.len()
    }

    pub fn ask(&mut self, tenant: usize, from: &str, body: String, at: Millis) {
        let chat = format!("{from}@c.us");
        self.of_tenants[tenant].asked.entry(chat).or_default().push(Asked { body, at });
    }

    /// The tenant's phone, and the index of the answer that was read last.
    pub fn cursor(&self, tenant: usize) -> (String, u64) {
        (self.phone(tenant), self.of_tenants[tenant].read_up_to)
    }

    pub fn answered(&mut self, tenant: usize, answers: Vec<SentMessage>) {
        let messages = &mut self.of_tenants[tenant];
        for answer in answers {
            messages.read_up_to = answer.index;
            messages.answers.entry(answer.to.clone()).or_default().push(answer);
        }
    }

    /// When every tenant had answered something that was asked at or after `since`; who has not.
    pub fn all_answered_since(&self, since: Millis) -> Result<Millis, Vec<&str>> {
        let times: Vec<_> =
            self.of_tenants.iter().map(|messages| (messages, messages.answered_since(since))).collect();
        let silent: Vec<&str> = times
            .iter()
            .filter(|(_, at)| at.is_none())
            .map(|(messages, _)| messages.tenant.id.as_str())
            .collect();
        if silent.is_empty() {
            Ok(times.iter().filter_map(|(_, at)| *at).max().unwrap_or(since))
        } else {
            Err(silent)
        }
    }

    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for messages in &self.of_tenants {
            messages.count(&mut count);
        }
        count
    }
}

impl Messages {
    fn answered_since(&self, since: Millis) -> Option<Millis> {
        let chats = self.asked.iter().filter_map(|(chat, asked)| {
            let answers = self.answers.get(chat)?;
            asked.iter().filter(|asked| asked.at >= since).find_map(|asked| {
                answers.iter().find(|answer| is_answer(&answer.body, &asked.body)).map(|answer| answer.at_ms)
            })
        });
        chats.min()
    }

    fn count(&self, count: &mut Count) {
        for (chat, asked) in &self.asked {
            let answers = self.answers.get(chat).map(Vec::as_slice).unwrap_or_default();
            let position =
                |answer: &SentMessage| asked.iter().position(|asked| is_answer(&answer.body, &asked.body));
            let mut times = vec![0; asked.len()];
            let mut newest = 0;
            for answer in answers {
                let told = || format!("{} to {chat}: {:?} (id {})", self.tenant.id, answer.body, answer.id);
                match position(answer) {
                    None => count.twice.push(format!("nobody asked: {}", told())),
                    Some(at) => {
                        times[at] += 1;
                        if times[at] > 1 {
                            count.twice.push(told());
                        } else if at < newest {
                            count.out_of_order.push(told());
                        }
                        newest = newest.max(at);
                    }
                }
            }
            count.asked += asked.len();
            count.answered += times.iter().filter(|times| **times > 0).count();
            count.missing += times.iter().filter(|times| **times == 0).count();
        }
        for chat in self.answers.keys().filter(|chat| !self.asked.contains_key(*chat)) {
            count.twice.push(format!("{} wrote to {chat}, who asked nothing", self.tenant.id));
        }
    }
}

fn is_answer(answer: &str, asked: &str) -> bool {
    answer.strip_prefix("echo: ") == Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(asked: &[&str], answers: &[&str]) -> Transcript {
        let tenant = TenantRecord { id: "a".into(), name: "A".into(), phone: "+255700000001".into() };
        let mut transcript = Transcript::new(&[tenant]);
        for (at, body) in asked.iter().enumerate() {
            transcript.ask(0, "1", (*body).into(), at as Millis * 10);
        }
        let sent = |(index, body): (usize, &&str)| SentMessage {
            index: index as u64 + 1,
            to: "1@c.us".into(),
            body: format!("echo: {body}"),
            id: format!("id-{index}"),
            at_ms: 100 + index as u64,
            connection: 1,
            life: String::new(),
            resends: vec![],
        };
        transcript.answered(0, answers.iter().enumerate().map(sent).collect());
        transcript
    }

    #[test]
    fn each_message_answered_once_in_order_is_sound() {
        let count = transcript(&["x", "y"], &["x", "y"]).count();
        assert_eq!(count, Count { asked: 2, answered: 2, ..Count::default() });
    }

    #[test]
    fn what_is_missing_twice_out_of_order_or_not_asked_for_is_counted() {
        assert_eq!(transcript(&["x", "y"], &["x"]).count().missing, 1);
        assert_eq!(transcript(&["x", "y"], &["x", "x", "y"]).count().twice.len(), 1);
        assert_eq!(transcript(&["x", "y"], &["y", "x"]).count().out_of_order.len(), 1);
        assert_eq!(transcript(&["x"], &["x", "z"]).count().twice.len(), 1);
    }

    #[test]
    fn recovery_is_the_first_answer_to_what_was_asked_since() {
        let transcript = transcript(&["x", "y", "z"], &["x", "y", "z"]);
        assert_eq!(transcript.all_answered_since(5), Ok(101));
        assert_eq!(transcript.all_answered_since(25), Err(vec!["a"]));
    }
}
