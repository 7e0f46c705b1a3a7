//! Pairing codes: which page shows which code, and which codes have rotated.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::journal::ConnectionId;

const REMEMBERED: usize = 10_000;

#[derive(Debug, Default)]
pub struct Codes {
    shown: HashMap<String, ConnectionId>,
    retired: HashSet<String>,
    by_age: VecDeque<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    ShownBy(ConnectionId),
    Retired,
    Unknown,
}

impl Codes {
    /// A fresh reference, in the shape of WhatsApp's.
    pub fn show(&mut self, page: ConnectionId) -> String {
        let [a, b]: [u64; 2] = rand::random();
        let reference = format!("2@{a:016x}{b:016x}");
        self.shown.insert(reference.clone(), page);
        reference
    }

    /// The code is valid no longer: it rotated, was scanned, or its page is gone.
    pub fn retire(&mut self, reference: String) {
        self.shown.remove(&reference);
        self.by_age.push_back(reference.clone());
        self.retired.insert(reference);
        if self.by_age.len() > REMEMBERED
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.retired.remove(&oldest);
        }
    }

    pub fn look_up(&self, reference: &str) -> Lookup {
        match self.shown.get(reference) {
            Some(&page) => Lookup::ShownBy(page),
            None if self.retired.contains(reference) => Lookup::Retired,
            None => Lookup::Unknown,
        }
    }
}
