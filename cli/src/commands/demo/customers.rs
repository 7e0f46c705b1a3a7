//! The customers of the tour: each writes one message from a number of its own, so that the answers can be counted by
//! chat: none is a lost message, two are one answered twice.

use std::{collections::HashMap, time::Duration};

use roost_devcluster::{Cluster, Result, SentMessage, Simulator, TenantRecord};

#[derive(Debug, Default)]
pub struct Customers {
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    phone: String,
    chat: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub asked: usize,
    pub answered: usize,
    pub lost: usize,
    pub twice: usize,
}

impl Customers {
    /// One more customer writes to the business.
    pub async fn write(&mut self, simulator: &Simulator, to: &TenantRecord, body: &str) -> Result<()> {
        let number = format!("2556{:08}", self.asked.len() + 1);
        simulator.message(&to.phone, &number, body).await?;
        self.asked.push(Asked { phone: to.phone.clone(), chat: format!("{number}@c.us") });
        Ok(())
    }

    /// Waits until everyone has an answer.
    pub async fn answered(&self, cluster: &Cluster, within: Duration) -> Result<()> {
        let simulator = cluster.simulator()?;
        let all = || async { self.tally(simulator).await.is_ok_and(|tally| tally.lost == 0) };
        cluster.wait("every message is answered", within, all).await
    }

    pub async fn tally(&self, simulator: &Simulator) -> Result<Tally> {
        let mut answers: HashMap<String, usize> = HashMap::new();
        let mut phones: Vec<&str> = self.asked.iter().map(|asked| asked.phone.as_str()).collect();
        phones.sort_unstable();
        phones.dedup();
        for phone in phones {
            for SentMessage { to, .. } in simulator.sent(phone, 0).await? {
                *answers.entry(to).or_default() += 1;
            }
        }
        let counts: Vec<usize> =
            self.asked.iter().map(|asked| answers.get(&asked.chat).copied().unwrap_or_default()).collect();
        let answered = counts.iter().filter(|count| **count > 0).count();
        let twice = counts.iter().filter(|count| **count > 1).count();
        Ok(Tally { asked: counts.len(), answered, lost: counts.len() - answered, twice })
    }

    /// The newest answer to this many of the last customers, in milliseconds since the epoch.
    pub async fn last_answer_ms(&self, simulator: &Simulator, of_the_last: usize) -> Result<u64> {
        let mut last = 0;
        for Asked { phone, chat } in self.asked.iter().rev().take(of_the_last) {
            let sent = simulator.sent(phone, 0).await?;
            last = sent
                .iter()
                .filter(|message| message.to == *chat)
                .map(|message| message.at_ms)
                .fold(last, u64::max);
        }
        Ok(last)
    }
}
