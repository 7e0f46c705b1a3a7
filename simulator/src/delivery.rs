//! The messages of one phone that no page has acknowledged yet.
//!
//! They are handed out in order, at most a window of them at a time, and stay until the page acknowledges them. A message
//! that was handed to a connection which is gone, or that the page refused, is handed out again, marked as such.

use std::collections::{BTreeMap, HashMap};

use crate::wire::Delivery;

pub const CAPACITY: usize = 10_000;

#[derive(Debug, Default)]
pub struct Queue {
    messages: BTreeMap<u64, Queued>,
    positions: HashMap<String, u64>,
    last_position: u64,
    /// Everything before it has been handed to the present connection.
    cursor: u64,
    in_flight: usize,
}

#[derive(Debug)]
struct Queued {
    delivery: Delivery,
    in_flight: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Full,
    AlreadyQueued,
}

impl Queue {
    pub fn push(&mut self, delivery: Delivery) -> Result<(), Refused> {
        if self.positions.contains_key(&delivery.id) {
            return Err(Refused::AlreadyQueued);
        }
        if self.messages.len() >= CAPACITY {
            return Err(Refused::Full);
        }
        self.last_position += 1;
        self.positions.insert(delivery.id.clone(), self.last_position);
        self.messages.insert(self.last_position, Queued { delivery, in_flight: false });
        Ok(())
    }

    /// What the window, of so many messages in flight, allows to hand out now.
    pub fn take(&mut self, window: usize) -> Vec<Delivery> {
        let room = window.saturating_sub(self.in_flight);
        let mut taken = Vec::new();
        for (&position, queued) in self.messages.range_mut(self.cursor..).take(room) {
            taken.push(queued.delivery.clone());
            queued.in_flight = true;
            queued.delivery.redelivered = true;
            self.cursor = position + 1;
        }
        self.in_flight += taken.len();
        taken
    }

    pub fn acknowledge(&mut self, ids: &[String]) {
        for id in ids {
            let acknowledged = self.positions.remove(id).and_then(|position| self.messages.remove(&position));
            if acknowledged.is_some_and(|queued| queued.in_flight) {
                self.in_flight -= 1;
            }
        }
    }

    /// The messages among `ids` that are still to be acknowledged, once more.
    pub fn again(&self, ids: &[String]) -> Vec<Delivery> {
        let positions = ids.iter().filter_map(|id| self.positions.get(id));
        let queued = positions.filter_map(|position| self.messages.get(position));
        queued.filter(|queued| queued.in_flight).map(|queued| queued.delivery.clone()).collect()
    }

    /// The connection that had the messages in flight is gone.
    pub fn return_all(&mut self) {
        self.cursor = 0;
        self.in_flight = 0;
        for queued in self.messages.values_mut() {
            queued.in_flight = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 512;

    fn delivery(id: &str) -> Delivery {
        Delivery {
            id: id.to_owned(),
            chat: "255711@c.us".to_owned(),
            from: "255711@c.us".to_owned(),
            body: "hello".to_owned(),
            pushname: "Asha".to_owned(),
            t: 0,
            redelivered: false,
        }
    }

    fn ids(deliveries: &[Delivery]) -> Vec<&str> {
        deliveries.iter().map(|delivery| delivery.id.as_str()).collect()
    }

    #[test]
    fn a_message_is_handed_out_once_until_its_connection_is_gone() {
        let mut queue = Queue::default();
        queue.push(delivery("a")).unwrap();
        assert_eq!(ids(&queue.take(WINDOW)), ["a"]);
        assert_eq!(queue.take(WINDOW), []);
        queue.return_all();
        let again = queue.take(WINDOW);
        assert_eq!(ids(&again), ["a"]);
        assert!(again[0].redelivered);
    }

    #[test]
    fn an_acknowledged_message_never_comes_back() {
        let mut queue = Queue::default();
        queue.push(delivery("a")).unwrap();
        queue.push(delivery("b")).unwrap();
        queue.take(WINDOW);
        queue.acknowledge(&["a".to_owned()]);
        queue.return_all();
        assert_eq!(ids(&queue.take(WINDOW)), ["b"]);
        assert_eq!(queue.again(&["a".to_owned()]), []);
    }

    #[test]
    fn the_window_bounds_what_is_in_flight() {
        let mut queue = Queue::default();
        for n in 0..WINDOW + 10 {
            queue.push(delivery(&n.to_string())).unwrap();
        }
        assert_eq!(queue.take(WINDOW).len(), WINDOW);
        assert_eq!(queue.take(WINDOW), []);
        queue.acknowledge(&["0".to_owned(), "1".to_owned()]);
        let (first, second) = (WINDOW.to_string(), (WINDOW + 1).to_string());
        assert_eq!(ids(&queue.take(WINDOW)), [first, second]);
    }

    #[test]
    fn an_id_can_be_queued_once_at_a_time() {
        let mut queue = Queue::default();
        queue.push(delivery("a")).unwrap();
        assert_eq!(queue.push(delivery("a")), Err(Refused::AlreadyQueued));
        queue.take(WINDOW);
        queue.acknowledge(&["a".to_owned()]);
        queue.push(delivery("a")).unwrap();
    }
}
