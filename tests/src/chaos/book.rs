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

/// One tenant's pages.
#[derive(Debug)]
struct Page {
    tenant: TenantRecord,
    asked: BTreeMap<String, Vec<Asked>>,
    answers: BTreeMap<String, Vec<SentMessage>>,
    /// Of the answer read last.
    read_up_to: u64,
}

#[derive(Debug)]
pub(super) struct Book {
    pages: Vec<Page>,
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
    /// Sends with an id that WhatsApp had already: they show once on the phone.
    pub resends: u64,
}

impl Book {
    pub fn new(tenants: &[TenantRecord]) -> Self {
        let page = |tenant: &TenantRecord| Page {
            tenant: tenant.clone(),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            read_up_to: 0,
        };
        Self { pages: tenants.iter().map(page).collect() }
    }

    pub fn phone(&self, tenant: usize) -> String {
        self.pages[tenant].tenant.phone.clone()
    }

    pub fn tenants(&self) -> usize {
        self.pages.len()
    }

    pub fn ask(&mut self, tenant: usize, from: &str, body: String, at: Millis) {
        let chat = format!("{from}@c.us");
        self.pages[tenant].asked.entry(chat).or_default().push(Asked { body, at });
    }

    /// The tenant's phone, and the index of the answer that was read last.
    pub fn bookmark(&self, tenant: usize) -> (String, u64) {
        (self.phone(tenant), self.pages[tenant].read_up_to)
    }

    pub fn answered(&mut self, tenant: usize, answers: Vec<SentMessage>) {
        let page = &mut self.pages[tenant];
        for answer in answers {
            page.read_up_to = answer.index;
            page.answers.entry(answer.to.clone()).or_default().push(answer);
        }
    }

    /// When every tenant had answered something that was asked at or after `since`; who has not.
    pub fn all_answered_since(&self, since: Millis) -> Result<Millis, Vec<&str>> {
        let times: Vec<_> = self.pages.iter().map(|page| (page, page.answered_since(since))).collect();
        let silent: Vec<&str> =
            times.iter().filter(|(_, at)| at.is_none()).map(|(page, _)| page.tenant.id.as_str()).collect();
        if silent.is_empty() {
            Ok(times.iter().filter_map(|(_, at)| *at).max().unwrap_or(since))
        } else {
            Err(silent)
        }
    }

    pub fn count(&self) -> Count {
        let mut count = Count::default();
        for page in &self.pages {
            page.count(&mut count);
        }
        count
    }
}

impl Page {
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
                count.resends += answer.resends;
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

    fn book(asked: &[&str], answers: &[&str]) -> Book {
        let tenant = TenantRecord { id: "a".into(), name: "A".into(), phone: "+255700000001".into() };
        let mut book = Book::new(&[tenant]);
        for (at, body) in asked.iter().enumerate() {
            book.ask(0, "1", (*body).into(), at as Millis * 10);
        }
        let sent = |(index, body): (usize, &&str)| SentMessage {
            index: index as u64 + 1,
            to: "1@c.us".into(),
            body: format!("echo: {body}"),
            id: format!("id-{index}"),
            at_ms: 100 + index as u64,
            resends: 0,
        };
        book.answered(0, answers.iter().enumerate().map(sent).collect());
        book
    }

    #[test]
    fn each_message_answered_once_in_order_is_sound() {
        let count = book(&["x", "y"], &["x", "y"]).count();
        assert_eq!(count, Count { asked: 2, answered: 2, ..Count::default() });
    }

    #[test]
    fn what_is_missing_twice_out_of_order_or_not_asked_for_is_counted() {
        assert_eq!(book(&["x", "y"], &["x"]).count().missing, 1);
        assert_eq!(book(&["x", "y"], &["x", "x", "y"]).count().twice.len(), 1);
        assert_eq!(book(&["x", "y"], &["y", "x"]).count().out_of_order.len(), 1);
        assert_eq!(book(&["x"], &["x", "z"]).count().twice.len(), 1);
    }

    #[test]
    fn recovery_is_the_first_answer_to_what_was_asked_since() {
        let book = book(&["x", "y", "z"], &["x", "y", "z"]);
        assert_eq!(book.all_answered_since(5), Ok(101));
        assert_eq!(book.all_answered_since(25), Err(vec!["a"]));
    }
}
