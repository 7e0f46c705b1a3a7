//! What the page has told and the driver has not taken up. The worker puts in and never waits; while Postgres is away the
//! driver takes nothing out.
//!
//! Memory is bounded, in messages and in bytes, by two windows of a page: that of the document that is loaded, and of the
//! one before it, whose messages are not durable yet either. What comes on top of that is forgotten, and so is all that
//! follows it, so that nothing overtakes it: it is not confirmed, so the page has it still, and tells it again when it is
//! swept, which is asked for once there is room.

use std::collections::{HashSet, VecDeque};

use parking_lot::Mutex;
use roost_engine::{InboundMessage, WINDOW, WINDOW_CHARS};
use tokio::sync::Notify;

use super::context::cut;

const MESSAGES: usize = 2 * WINDOW;
/// A code unit of UTF-16 has three bytes at most.
const BYTES: usize = 2 * 3 * WINDOW_CHARS;

#[derive(Debug, Default)]
pub struct Intake {
    queue: Mutex<Queue>,
    arrived: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<InboundMessage>,
    /// Of those messages.
    ids: HashSet<String>,
    bytes: usize,
    /// Something was forgotten since the last sweep began.
    is_forgetting: bool,
    /// The sweep that this takes is not asked for yet.
    is_sweep_due: bool,
}

impl Intake {
    /// Takes a message in, once however often it comes before it is taken out. `false` when there is no room for it.
    pub fn offer(&self, mut message: InboundMessage) -> bool {
        message.body = cut(message.body);
        let mut queue = self.queue.lock();
        if queue.ids.contains(&message.whatsapp_id) {
            return true;
        }
        let bytes = size(&message);
        if queue.is_forgetting || queue.messages.len() >= MESSAGES || queue.bytes + bytes > BYTES {
            queue.is_sweep_due |= !queue.is_forgetting;
            queue.is_forgetting = true;
            return false;
        }
        queue.bytes += bytes;
        queue.ids.insert(message.whatsapp_id.clone());
        queue.messages.push_back(message);
        drop(queue);
        self.arrived.notify_one();
        true
    }

    /// What was told before is missing here: nothing is taken in before it is told again, so that nothing overtakes it. For
    /// whoever asks for a sweep next.
    pub fn forget_until_swept(&self) {
        self.queue.lock().is_forgetting = true;
    }

    /// From here on the page tells again what is not confirmed.
    pub fn begin_sweep(&self) {
        let mut queue = self.queue.lock();
        (queue.is_forgetting, queue.is_sweep_due) = (false, false);
    }

    /// The next messages, as soon as there are some. May be dropped unfinished.
    pub(super) async fn take(&self, at_most: usize) -> Vec<InboundMessage> {
        loop {
            let (taken, has_room_again) = self.queue.lock().take(at_most);
            if has_room_again {
                self.room.notify_one();
            }
            if !taken.is_empty() {
                return taken;
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until messages have been forgotten and half of the room is free again. May be dropped unfinished.
    pub(crate) async fn room_again(&self) {
        self.room.notified().await;
    }
}

impl Queue {
    /// Also whether there is room for what was forgotten.
    fn take(&mut self, at_most: usize) -> (Vec<InboundMessage>, bool) {
        let taken: Vec<_> = self.messages.drain(..at_most.min(self.messages.len())).collect();
        for message in &taken {
            self.ids.remove(&message.whatsapp_id);
            self.bytes -= size(message);
        }
        let has_room = self.messages.len() <= MESSAGES / 2 && self.bytes <= BYTES / 2;
        (taken, has_room && std::mem::take(&mut self.is_sweep_due))
    }
}

fn size(message: &InboundMessage) -> usize {
    let InboundMessage { whatsapp_id, chat, sender, body, undecoded, .. } = message;
    let texts = [whatsapp_id, chat, sender, body].map(String::len).iter().sum::<usize>();
    texts + undecoded.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use roost_model::ChatKind;

    use super::*;

    fn message(nth: usize, body: &str) -> InboundMessage {
        InboundMessage {
            whatsapp_id: nth.to_string(),
            chat: "1@c.us".into(),
            sender: "1@c.us".into(),
            body: body.into(),
            from_me: false,
            kind: ChatKind::Direct,
            timestamp: 0,
            undecoded: None,
        }
    }

    fn taken(intake: &Intake) -> Vec<usize> {
        let taken = intake.take(MESSAGES).now_or_never().unwrap_or_default();
        taken.iter().map(|message| message.whatsapp_id.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_told_again_is_taken_in_once_and_everything_in_order() {
        let intake = Intake::default();
        for nth in [1, 2, 1, 3, 2] {
            assert!(intake.offer(message(nth, "")));
        }
        assert_eq!(taken(&intake), [1, 2, 3]);
        assert!(intake.offer(message(1, "")));
        assert_eq!(taken(&intake), [1], "what was taken out is another one");
        assert!(intake.take(1).now_or_never().is_none(), "there is nothing");
    }

    #[test]
    fn two_windows_of_a_page_find_room_and_what_does_not_is_asked_for_when_there_is() {
        let intake = Intake::default();
        assert!((0..2 * WINDOW).all(|nth| intake.offer(message(nth, "hello"))));
        assert!(intake.room_again().now_or_never().is_none(), "nothing is missing");
        assert!(!intake.offer(message(MESSAGES, "")));
        assert!(intake.offer(message(0, "")), "it is there");
        assert_eq!(intake.take(MESSAGES / 2 - 1).now_or_never().unwrap().len(), MESSAGES / 2 - 1);
        assert!(intake.room_again().now_or_never().is_none(), "there is little room");
        assert_eq!(intake.take(1).now_or_never().unwrap().len(), 1);
        assert!(intake.room_again().now_or_never().is_some());
        assert!(!intake.offer(message(MESSAGES + 1, "")), "it would overtake the one that is missing");
        taken(&intake);
        assert!(intake.room_again().now_or_never().is_none(), "once");
        intake.begin_sweep();
        assert!(intake.offer(message(MESSAGES, "")) && intake.offer(message(MESSAGES + 1, "")));
        assert_eq!(taken(&intake), [MESSAGES, MESSAGES + 1]);
    }

    #[test]
    fn nothing_overtakes_what_was_told_before_there_was_anybody_to_take_it() {
        let intake = Intake::default();
        intake.forget_until_swept();
        assert!(!intake.offer(message(2, "")));
        assert!(intake.take(1).now_or_never().is_none());
        assert!(intake.room_again().now_or_never().is_none(), "the sweep is asked for");
        intake.begin_sweep();
        assert!(intake.offer(message(1, "")) && intake.offer(message(2, "")));
        assert_eq!(taken(&intake), [1, 2]);
    }

    #[test]
    fn memory_is_bounded_by_bytes_too_and_no_body_is_more_than_may_be_stored() {
        let intake = Intake::default();
        let endless = "\u{20ac}".repeat(200_000);
        let held = (0..MESSAGES).take_while(|nth| intake.offer(message(*nth, &endless))).count();
        let queue = intake.queue.lock();
        let kept: usize = queue.messages.iter().map(|message| message.body.capacity()).sum();
        assert!(held > 1 && held < MESSAGES && kept <= BYTES, "{held} messages of {kept} bytes");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_a_message_also_when_the_wait_before_was_given_up() {
        let intake = Intake::default();
        assert!(intake.take(1).now_or_never().is_none());
        let (woken, _) = tokio::join!(intake.take(1), async { intake.offer(message(7, "")) });
        assert_eq!(woken.len(), 1);
    }
}
