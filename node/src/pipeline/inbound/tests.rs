//! What the inbox takes, in which order, and what it asks for again.

use time::OffsetDateTime;

use super::*;

const NOW: PipelineTime = Duration::from_secs(60);

fn message(nth: i64) -> NewInbound {
    NewInbound {
        whatsapp_id: nth.to_string(),
        chat: nth.to_string(),
        sender: String::new(),
        body: String::new(),
        received_at: OffsetDateTime::UNIX_EPOCH,
        undecoded: None,
    }
}

fn row(id: i64, fresh: bool) -> Admitted {
    Admitted { id, whatsapp_id: id.to_string(), fresh, first_in_chat: false, waits: true }
}

/// An inbox that has read what an earlier owner left: nothing.
fn inbox() -> Inbox {
    let mut inbox = Inbox::new();
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { after: 0 })));
    inbox.read(Vec::new(), NOW);
    inbox
}

fn admit(inbox: &mut Inbox, rows: &[Admitted]) {
    rows.iter().for_each(|row| inbox.receive(message(row.id)));
    let Some(InboundJob::Admit(batch)) = inbox.next(NOW, true, true) else { panic!("nothing to admit") };
    inbox.admitted(batch, rows, NOW);
}

#[test]
fn what_an_earlier_owner_left_is_read_before_anything_is_taken() {
    let mut inbox = Inbox::new();
    inbox.receive(message(1));
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { after: 0 })));
    assert!(inbox.next(NOW, true, true).is_none(), "never both at once");
}

#[test]
fn a_message_that_comes_again_is_answered_once() {
    let mut inbox = inbox();
    admit(&mut inbox, &[row(1, true), Admitted { waits: false, ..row(2, false) }]);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Answer(message)) if message.id == 1));
    admit(&mut inbox, &[row(1, false)]);
    assert!(inbox.next(NOW, true, true).is_none(), "it is being answered");
}

#[test]
fn a_row_that_waits_and_is_unknown_is_read_although_later_ones_are_known() {
    let mut inbox = inbox();
    admit(&mut inbox, &[row(8, true)]);
    admit(&mut inbox, &[row(9, true), row(7, false)]);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { after: 6 })));
    let read = [7, 8, 9].map(|id| as_pending(message(id), &row(id, true)));
    inbox.read(read.to_vec(), NOW);
    let mut answered = Vec::new();
    while let Some(InboundJob::Answer(message)) = inbox.next(NOW, true, true) {
        answered.push(message.id);
    }
    answered.sort_unstable();
    assert_eq!(answered, [7, 8, 9], "each once");
}

#[test]
fn a_row_that_is_done_with_while_it_is_read_is_not_taken_for_a_new_one() {
    let mut inbox = inbox();
    admit(&mut inbox, &[row(1, true)]);
    let Some(InboundJob::Answer(first)) = inbox.next(NOW, true, true) else { panic!("no question") };
    inbox.answered(&first.chat, Completion { inbound_id: 1, replies: Vec::new(), suppressed: None });
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Complete(_))));
    admit(&mut inbox, &[row(2, false)]);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { .. })));
    inbox.completed();
    inbox.read([1, 2].map(|id| as_pending(message(id), &row(id, true))).to_vec(), NOW);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Answer(message)) if message.id == 2));
    assert!(inbox.next(NOW, true, true).is_none());
    assert!(!inbox.known.contains(&1), "nothing is kept of what is done with");
}

#[test]
fn what_was_given_up_is_answered_again_when_it_is_pending_again() {
    let mut inbox = inbox();
    admit(&mut inbox, &[row(1, true), row(2, true)]);
    let Some(InboundJob::Answer(first)) = inbox.next(NOW, true, true) else { panic!("no question") };
    inbox.dead_lettered(&first);
    inbox.receive(message(3));
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Admit(_))));
    inbox.look_again();
    inbox.admitted(vec![message(3)], &[row(3, true)], NOW);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { after: 0 })));
    inbox.read([1, 2, 3].map(|id| as_pending(message(id), &row(id, true))).to_vec(), NOW);
    let mut answered = Vec::new();
    while let Some(InboundJob::Answer(message)) = inbox.next(NOW, true, true) {
        answered.push(message.id);
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3], "each once");
}

#[test]
fn a_message_whose_id_the_database_holds_otherwise_is_read() {
    let mut inbox = inbox();
    inbox.receive(NewInbound { whatsapp_id: "m\0".into(), ..message(1) });
    let Some(InboundJob::Admit(batch)) = inbox.next(NOW, true, true) else { panic!("nothing to admit") };
    inbox.admitted(batch, &[Admitted { whatsapp_id: "m\u{FFFD}".into(), ..row(1, true) }], NOW);
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Read { after: 0 })));
}

#[test]
fn more_than_can_be_held_stays_in_the_database_until_there_is_room() {
    let mut inbox = inbox();
    let mut id = 0;
    while !inbox.behind {
        let rows: Vec<_> = (0..BATCH as i64).map(|n| row(id + n + 1, true)).collect();
        id += BATCH as i64;
        admit(&mut inbox, &rows);
    }
    assert!(inbox.queues.len() <= QUEUED + BATCH);
    let known_to = inbox.known_to;
    assert!(known_to < id, "the last batch is not held");
    assert!(inbox.next(NOW, true, false).is_none(), "there is no room yet");
    while inbox.queues.len() > QUEUED / 2 {
        let chat = inbox.queues.take(NOW).expect("a message").chat;
        inbox.queues.finish(&chat);
    }
    assert!(matches!(inbox.next(NOW, true, false), Some(InboundJob::Read { after }) if after == known_to));
}

#[test]
fn a_chat_goes_on_when_it_is_answered_and_its_answers_become_durable_in_order() {
    let mut inbox = inbox();
    for id in 1..=3 {
        inbox.receive(NewInbound { chat: "one".into(), ..message(id) });
    }
    let Some(InboundJob::Admit(batch)) = inbox.next(NOW, true, true) else { panic!("nothing to admit") };
    inbox.admitted(batch, &[row(1, true), row(2, true), row(3, true)], NOW);
    let mut durable = Vec::new();
    for expected in 1..=3 {
        let Some(InboundJob::Answer(message)) = inbox.next(NOW, true, true) else { panic!("no question") };
        assert_eq!(message.id, expected);
        assert!(!matches!(inbox.next(NOW, true, true), Some(InboundJob::Answer(_))), "one at a time");
        let completion = Completion { inbound_id: message.id, replies: Vec::new(), suppressed: None };
        inbox.answered(&message.chat, completion);
        if expected == 1 {
            let Some(InboundJob::Complete(batch)) = inbox.next(NOW, true, true) else { panic!("no batch") };
            durable.extend(batch.into_iter().map(|completion| completion.inbound_id));
        }
    }
    assert!(inbox.next(NOW, true, true).is_none(), "the first Complete is under way");
    inbox.completed();
    let Some(InboundJob::Complete(batch)) = inbox.next(NOW, true, true) else { panic!("no second batch") };
    durable.extend(batch.into_iter().map(|completion| completion.inbound_id));
    assert_eq!(durable, [1, 2, 3]);
}

#[test]
fn nothing_is_answered_while_too_many_answers_are_not_durable() {
    let mut inbox = inbox();
    let rows: Vec<_> = (1..=2 * BATCH as i64 + 96).map(|id| row(id, true)).collect();
    rows.chunks(BATCH).for_each(|rows| admit(&mut inbox, rows));
    let mut answered = 0;
    loop {
        match inbox.next(NOW, true, true) {
            Some(InboundJob::Answer(message)) => {
                let completion = Completion { inbound_id: message.id, replies: Vec::new(), suppressed: None };
                inbox.answered(&message.chat, completion);
                answered += 1;
            }
            Some(InboundJob::Complete(_)) => {}
            _ => break,
        }
    }
    assert!(answered > ANSWERED && answered < rows.len(), "{answered} of {}", rows.len());
    admit(&mut inbox, &[row(1_000, true)]);
    assert!(inbox.next(NOW, true, true).is_none());
    assert_eq!(inbox.next_due(true), None, "time alone lets none be answered");
    inbox.completed();
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Complete(_))));
    assert_eq!(inbox.next_due(true), Some(NOW));
    assert_eq!(inbox.next_due(false), None, "too many replies wait");
}

#[test]
fn nothing_becomes_durable_while_nothing_may_be_taken() {
    let mut inbox = inbox();
    inbox.receive(message(1));
    assert!(inbox.next(NOW, false, true).is_none());
    assert!(matches!(inbox.next(NOW, true, true), Some(InboundJob::Admit(_))));
}
