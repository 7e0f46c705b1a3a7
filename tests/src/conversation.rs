//! Messages to an echoing tenant whose answers can be held against them: each answered exactly once, in order within its
//! chat (I6).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use roost_devcluster::{SentMessage, Simulator, TenantRecord};

/// What was written to one tenant, chat by chat.
pub struct Conversation {
    simulator: Simulator,
    tenant: TenantRecord,
    asked: BTreeMap<String, Vec<String>>,
    count: usize,
}

impl Conversation {
    pub fn new(simulator: Simulator, tenant: &TenantRecord) -> Self {
        Self { simulator, tenant: tenant.clone(), asked: BTreeMap::new(), count: 0 }
    }

    /// One more message, in one of so many chats.
    pub async fn say(&mut self, chats: usize) -> Result<()> {
        let from = format!("2557220{:05}", self.count % chats);
        let body = format!("message {}", self.count);
        self.simulator.message(&self.tenant.phone, &from, &body).await?;
        self.asked.entry(format!("{from}@c.us")).or_default().push(body);
        self.count += 1;
        Ok(())
    }

    /// Waits until every message has its answer, and sees that none has two and that each chat is in order.
    pub async fn settle(&self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let sent = self.simulator.sent(&self.tenant.phone, 0).await?;
            match self.verdict(&sent) {
                Verdict::Whole => return Ok(()),
                Verdict::Wrong(what) => bail!("{}: {what}", self.tenant.id),
                Verdict::Missing(what) if Instant::now() >= deadline => {
                    bail!("{} has not answered everything: {what}", self.tenant.id)
                }
                Verdict::Missing(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn verdict(&self, sent: &[SentMessage]) -> Verdict {
        let mut missing = Vec::new();
        for (chat, asked) in &self.asked {
            let answers: Vec<&str> = sent
                .iter()
                .filter(|message| &message.to == chat)
                .map(|message| message.body.as_str())
                .collect();
            if let Some((one, other)) = under_two_ids(sent, chat) {
                return Verdict::Wrong(format!(
                    "{chat} was told {:?} as {} and {}",
                    one.body, one.id, other.id
                ));
            }
            let expected: Vec<String> = asked.iter().map(|body| format!("echo: {body}")).collect();
            if answers.len() > expected.len() || answers.iter().zip(&expected).any(|(got, want)| got != want)
            {
                return Verdict::Wrong(format!("{chat} was told {answers:?} where {expected:?} was due"));
            }
            if answers.len() < expected.len() {
                missing.push(format!("{chat}: {} of {}", answers.len(), expected.len()));
            }
        }
        if missing.is_empty() { Verdict::Whole } else { Verdict::Missing(missing.join(", ")) }
    }
}

/// One reply that has gone out under two ids: the phone shows it twice. No two messages of a conversation are alike.
fn under_two_ids<'a>(sent: &'a [SentMessage], chat: &str) -> Option<(&'a SentMessage, &'a SentMessage)> {
    let mut first: BTreeMap<&str, &SentMessage> = BTreeMap::new();
    sent.iter().filter(|message| message.to == chat).find_map(|message| {
        let earlier = first.insert(&message.body, message)?;
        Some((earlier, message))
    })
}

enum Verdict {
    Whole,
    Missing(String),
    Wrong(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(asked: &[&str]) -> Conversation {
        let tenant = TenantRecord { id: "a".into(), name: "A".into(), phone: "+255700000001".into() };
        let simulator = Simulator::new("http://127.0.0.1:1").unwrap();
        let mut conversation = Conversation::new(simulator, &tenant);
        conversation.asked.insert("1@c.us".into(), asked.iter().map(|body| body.to_string()).collect());
        conversation
    }

    fn sent(bodies: &[&str]) -> Vec<SentMessage> {
        let message = |(index, body): (usize, &&str)| SentMessage {
            index: index as u64 + 1,
            to: "1@c.us".into(),
            body: (*body).into(),
            id: format!("id-{index}"),
            at_ms: 0,
            connection: 1,
            life: String::new(),
            resends: vec![],
        };
        bodies.iter().enumerate().map(message).collect()
    }

    #[test]
    fn an_answer_too_many_or_out_of_order_is_wrong_and_one_too_few_is_missing() {
        let talk = conversation(&["x", "y"]);
        assert!(matches!(talk.verdict(&sent(&["echo: x", "echo: y"])), Verdict::Whole));
        assert!(matches!(talk.verdict(&sent(&["echo: x"])), Verdict::Missing(_)));
        assert!(matches!(talk.verdict(&sent(&["echo: y", "echo: x"])), Verdict::Wrong(_)));
        let twice = talk.verdict(&sent(&["echo: x", "echo: x"]));
        assert!(matches!(twice, Verdict::Wrong(told) if told.contains("id-0") && told.contains("id-1")));
    }
}
