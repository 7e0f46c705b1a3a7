//! Chats in order: a queue per chat, of which one item at a time is out; many chats at once. Pure.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::context::PipelineTime;

/// The items of every chat. A chat takes its turn when its head may be worked on and nothing of it is out.
#[derive(Debug)]
pub(super) struct ChatQueues<T> {
    queues: HashMap<String, ChatQueue<T>>,
    /// Chats whose head may go now, in the order in which they came to that.
    ready: VecDeque<String>,
    /// Chats whose head has to wait.
    waiting: BTreeSet<(PipelineTime, String)>,
    len: usize,
}

#[derive(Debug)]
struct ChatQueue<T> {
    items: VecDeque<(PipelineTime, T)>,
    /// An item of this chat is out.
    out: bool,
}

impl<T> Default for ChatQueues<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), ready: VecDeque::new(), waiting: BTreeSet::new(), len: 0 }
    }
}

impl<T> ChatQueues<T> {
    /// Items that are queued or out.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts an item behind the others of its chat, not to go before `due`.
    pub fn push(&mut self, chat: &str, due: PipelineTime, item: T) {
        self.len += 1;
        let queue = self
            .queues
            .entry(chat.to_owned())
            .or_insert_with(|| ChatQueue { items: VecDeque::new(), out: false });
        queue.items.push_back((due, item));
        if queue.items.len() == 1 && !queue.out {
            self.waiting.insert((due, chat.to_owned()));
        }
    }

    /// The next item that may go; its chat is then held until `finish` or `put_back`.
    pub fn take(&mut self, now: PipelineTime) -> Option<T> {
        self.take_if(now, |_| true)
    }

    /// The same for the first chat whose head may go; the others keep their turns.
    pub fn take_if(&mut self, now: PipelineTime, may_go: impl Fn(&T) -> bool) -> Option<T> {
        while self.waiting.first().is_some_and(|(due, _)| *due <= now) {
            self.ready.extend(self.waiting.pop_first().map(|(_, chat)| chat));
        }
        let may_go = |chat: &String| {
            let head = self.queues.get(chat).and_then(|queue| queue.items.front());
            head.is_some_and(|(_, item)| may_go(item))
        };
        let place = self.ready.iter().position(may_go)?;
        let chat = self.ready.remove(place)?;
        let queue = self.queues.get_mut(&chat)?;
        queue.out = true;
        queue.items.pop_front().map(|(_, item)| item)
    }

    /// The chat's item that is out is done with: the next one has its turn.
    pub fn finish(&mut self, chat: &str) {
        let Some(queue) = self.queues.get_mut(chat).filter(|queue| queue.out) else { return };
        self.len -= 1;
        queue.out = false;
        match queue.items.front() {
            Some((due, _)) => {
                self.waiting.insert((*due, chat.to_owned()));
            }
            None => {
                self.queues.remove(chat);
            }
        }
    }

    /// The chat's item that is out comes back to the head of its queue, not to go before `due`; the chat waits for it.
    pub fn put_back(&mut self, chat: &str, due: PipelineTime, item: T) {
        let Some(queue) = self.queues.get_mut(chat).filter(|queue| queue.out) else { return };
        queue.out = false;
        queue.items.push_front((due, item));
        self.waiting.insert((due, chat.to_owned()));
    }

    /// Whether a chat's head has waited long enough.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When the next chat that waits may go; `None` when none waits.
    pub fn next_due(&self) -> Option<PipelineTime> {
        self.waiting.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> PipelineTime {
        Duration::from_secs(secs)
    }

    #[test]
    fn one_item_of_a_chat_is_out_at_a_time_and_other_chats_go_on() {
        let mut queues = ChatQueues::default();
        for item in ["a1", "a2", "b1"] {
            queues.push(&item[..1], at(0), item);
        }
        assert_eq!(
            (queues.take(at(0)), queues.take(at(0)), queues.take(at(0))),
            (Some("a1"), Some("b1"), None)
        );
        queues.finish("a");
        assert_eq!(queues.take(at(0)), Some("a2"));
    }

    #[test]
    fn an_item_that_comes_back_keeps_its_place_and_holds_its_chat() {
        let mut queues = ChatQueues::default();
        queues.push("a", at(0), 1);
        queues.push("a", at(0), 2);
        assert_eq!(queues.take(at(0)), Some(1));
        queues.put_back("a", at(5), 1);
        assert_eq!((queues.take(at(4)), queues.next_due()), (None, Some(at(5))));
        assert_eq!(queues.take(at(5)), Some(1));
    }

    proptest! {
        #[test]
        fn every_item_comes_out_once_and_in_order_within_its_chat(
            pushes in prop::collection::vec((0..4usize, 0..3u64), 1..60),
            backs in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let mut queues = ChatQueues::default();
            let mut expected = vec![Vec::new(); 4];
            for (nth, (chat, due)) in pushes.iter().enumerate() {
                queues.push(&chat.to_string(), at(*due), (*chat, nth));
                expected[*chat].push(nth);
            }
            let (mut got, mut backs, mut now) = (vec![Vec::new(); 4], backs.into_iter(), at(0));
            while queues.len() > 0 {
                match queues.take(now) {
                    Some((chat, nth)) if backs.next().unwrap_or(false) => {
                        queues.put_back(&chat.to_string(), now + at(1), (chat, nth));
                    }
                    Some((chat, nth)) => {
                        got[chat].push(nth);
                        queues.finish(&chat.to_string());
                    }
                    None => now = queues.next_due().expect("something waits").max(now),
                }
            }
            prop_assert_eq!(got, expected);
        }
    }
}
