//! What the outbox sends, claims and marks, in which order and when.

use super::*;

const NOW: PipelineTime = Duration::from_secs(60);

fn row(id: i64, chat: &str) -> Outbound {
    Outbound {
        id,
        inbound_id: Some(id),
        seq: 0,
        whatsapp_id: format!("true_{chat}_{id}"),
        chat: chat.into(),
        body: String::new(),
        counted: true,
        claimed: true,
        redriven: false,
        attempts: 0,
        due_in: Duration::ZERO,
    }
}

/// An outbox that has read what an earlier owner left: nothing.
fn outbox() -> Outbox {
    outbox_at(0)
}

/// The same with a reply limit.
fn outbox_at(per_window: u32) -> Outbox {
    let mut outbox = Outbox::new(SendPace::seeded(per_window, &[], NOW));
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
    outbox.read(Vec::new(), NOW);
    outbox
}

fn send(outbox: &mut Outbox) -> Vec<Reply> {
    match outbox.next(NOW, true) {
        Some(OutboundJob::Send(replies)) => replies,
        job => panic!("{job:?} instead of a send"),
    }
}

#[test]
fn what_is_ready_goes_together_and_one_of_a_chat() {
    let mut outbox = outbox();
    outbox.completed(vec![row(1, "a"), row(2, "a"), row(3, "b")], NOW);
    let together = send(&mut outbox);
    assert_eq!(together.iter().map(|reply| reply.row.id).collect::<Vec<_>>(), [1, 3]);
    assert!(outbox.next(NOW, true).is_none());
    outbox.sent(&together[0], NOW);
    assert_eq!(send(&mut outbox)[0].row.id, 2);
}

#[test]
fn a_due_reply_that_may_not_be_sent_is_no_reason_to_wake() {
    let mut outbox = outbox();
    outbox.completed((1..=SENDING as i64).map(|id| row(id, &id.to_string())).collect(), NOW);
    assert!(outbox.next(NOW, false).is_none());
    assert_eq!((outbox.next_due(false), outbox.next_due(true)), (None, Some(NOW)), "the gate is shut");
    let replies = send(&mut outbox);
    assert_eq!(replies.len(), SENDING);
    outbox.completed(vec![row(99, "one more")], NOW);
    assert!(outbox.next(NOW, true).is_none());
    assert_eq!(outbox.next_due(true), None, "as many are on their way as may be");
    outbox.retry(replies.into_iter().next().unwrap(), NOW);
    assert_eq!(outbox.next_due(true), Some(NOW));
}

#[test]
fn nothing_is_due_before_what_an_earlier_owner_left_is_known() {
    let mut outbox = Outbox::new(SendPace::default());
    outbox.completed(vec![row(1, "a")], NOW);
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
    assert_eq!(outbox.next_due(true), None);
}

#[test]
fn what_is_read_again_is_sent_once_and_what_was_given_up_again() {
    let mut outbox = outbox();
    outbox.completed(vec![row(1, "a"), row(2, "b"), row(3, "c")], NOW);
    let replies = send(&mut outbox);
    outbox.dead_lettered(&replies[0]);
    outbox.sent(&replies[1], NOW);
    outbox.look_again();
    let marked = outbox.next(NOW + MARK_WAIT, true);
    assert!(matches!(marked, Some(OutboundJob::MarkSent { ids, .. }) if ids == [2]));
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { after: 0 })));
    outbox.marked();
    // It was asked before the mark.
    outbox.read(vec![row(1, "a"), row(2, "b"), row(3, "c")], NOW);
    assert_eq!(send(&mut outbox).iter().map(|reply| reply.row.id).collect::<Vec<_>>(), [1]);
    assert!(outbox.known.len() == 2, "{:?}", outbox.known);
}

#[test]
fn a_mark_waits_for_company_while_others_are_on_their_way_but_not_for_long() {
    let mut outbox = outbox();
    outbox.completed(vec![row(1, "a"), row(2, "b")], NOW);
    let together = send(&mut outbox);
    outbox.sent(&together[0], NOW);
    assert!(outbox.next(NOW, true).is_none() && !outbox.is_marked());
    assert_eq!(outbox.next_due(true), Some(NOW + MARK_WAIT));
    let Some(OutboundJob::MarkSent { ids, .. }) = outbox.next(NOW + MARK_WAIT, true) else {
        panic!("no mark")
    };
    assert_eq!(ids, [1]);
    outbox.marked();
    outbox.sent(&together[1], NOW);
    assert!(
        matches!(outbox.next(NOW, true), Some(OutboundJob::MarkSent { ids, .. }) if ids == [2]),
        "the last one"
    );
}

fn unclaimed(id: i64, chat: &str) -> Outbound {
    Outbound { claimed: false, ..row(id, chat) }
}

fn sent_ids(replies: &[Reply]) -> Vec<i64> {
    replies.iter().map(|reply| reply.row.id).collect()
}

#[test]
fn what_was_decided_while_nothing_could_be_sent_goes_at_the_pace_of_the_limit_and_in_turns() {
    let mut outbox = outbox_at(4);
    let flood = (1..=6).map(|id| row(id, "a"));
    outbox.completed(flood.chain([row(7, "b"), row(8, "c"), row(9, "b")]).collect(), NOW);
    let (mut gone, mut now) = (Vec::new(), NOW);
    while gone.len() < 9 {
        while let Some(job) = outbox.next(now, true) {
            match job {
                OutboundJob::Send(replies) => replies.iter().for_each(|reply| {
                    gone.push((now - NOW, reply.row.id));
                    outbox.sent(reply, now);
                }),
                OutboundJob::MarkSent { .. } => outbox.marked(),
                job => panic!("{job:?}"),
            }
        }
        let Some(due) = outbox.next_due(true) else { break };
        now = due.max(now + Duration::from_millis(1));
    }
    let minute = |nth: u64| Duration::from_secs(60 * nth);
    let at = |nth: u64| -> Vec<i64> {
        gone.iter().filter(|(at, _)| *at >= minute(nth) && *at < minute(nth + 1)).map(|(_, id)| *id).collect()
    };
    assert_eq!((at(0), at(1), at(2)), (vec![1, 7, 8, 2], vec![9, 3, 4, 5], vec![6]));
}

#[test]
fn a_warning_does_not_wait_for_the_pace_and_a_reply_that_waits_for_it_costs_nothing() {
    let mut outbox = outbox_at(1);
    let warning = Outbound { counted: false, ..row(3, "c") };
    outbox.completed(vec![row(1, "a"), row(2, "b"), warning], NOW);
    let replies = send(&mut outbox);
    assert_eq!(sent_ids(&replies), [1, 3]);
    let later = NOW + Duration::from_secs(1);
    replies.iter().for_each(|reply| outbox.sent(reply, later));
    while let Some(job) = outbox.next(later + MARK_WAIT, true) {
        assert!(matches!(job, OutboundJob::MarkSent { .. }));
        outbox.marked();
    }
    assert_eq!(outbox.next_due(true), Some(NOW + Duration::from_secs(60)));
    assert_eq!(outbox.next_due(false), None, "nothing may be sent");
}

#[test]
fn a_try_that_is_made_again_is_no_other_reply_for_the_pace() {
    let mut outbox = outbox_at(1);
    outbox.completed(vec![row(1, "a")], NOW);
    let reply = send(&mut outbox).remove(0);
    outbox.retry(reply, NOW);
    assert_eq!(sent_ids(&send(&mut outbox)), [1]);
}

#[test]
fn the_next_owner_sends_at_the_pace_at_which_the_last_one_did() {
    let mut outbox = Outbox::new(SendPace::seeded(1, &[Duration::from_secs(50)], NOW));
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { .. })));
    outbox.read(vec![row(1, "a")], NOW);
    assert!(outbox.next(NOW, true).is_none());
    assert_eq!(outbox.next_due(true), Some(NOW + Duration::from_secs(10)));
}

#[test]
fn what_is_not_claimed_is_claimed_before_it_is_sent_and_only_what_is_claimed_is_in_doubt() {
    let mut outbox = Outbox::new(SendPace::default());
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { .. })));
    outbox.read(vec![row(1, "a"), unclaimed(2, "b")], NOW);
    let claimed = send(&mut outbox);
    assert_eq!((sent_ids(&claimed), claimed[0].maybe_sent, claimed[0].in_doubt), (vec![1], true, true));
    let Some(OutboundJob::Claim(wave)) = outbox.next(NOW, false) else { panic!("no claim") };
    assert_eq!((sent_ids(&wave), wave[0].maybe_sent, wave[0].in_doubt), (vec![2], false, false));
    assert!(outbox.next(NOW, true).is_none(), "they are on their way");
}

#[test]
fn what_was_redriven_is_claimed_and_looked_for_and_not_in_doubt() {
    let mut outbox = Outbox::new(SendPace::default());
    assert!(matches!(outbox.next(NOW, true), Some(OutboundJob::Read { .. })));
    outbox.read(vec![Outbound { redriven: true, ..unclaimed(1, "a") }], NOW);
    let Some(OutboundJob::Claim(wave)) = outbox.next(NOW, true) else { panic!("no claim") };
    assert_eq!((wave[0].maybe_sent, wave[0].in_doubt), (true, false));
}

#[test]
fn what_was_sent_again_is_told_with_its_mark() {
    let mut outbox = outbox();
    outbox.completed(vec![row(1, "a"), row(2, "b"), row(3, "c")], NOW);
    let mut replies = send(&mut outbox);
    replies[1].resent = true;
    replies.iter().for_each(|reply| outbox.sent(reply, NOW));
    let Some(OutboundJob::MarkSent { ids, resent }) = outbox.next(NOW, true) else { panic!("no mark") };
    assert_eq!((ids, resent), (vec![1, 2, 3], vec![2]));
    assert!(outbox.resent.is_empty());
}

#[test]
fn no_more_are_claimed_than_may_be_in_doubt() {
    let mut outbox = outbox();
    let rows = |from: i64, to: i64| (from..=to).map(|id| unclaimed(id, &id.to_string())).collect::<Vec<_>>();
    outbox.completed(rows(1, 2 * CLAIMED as i64), NOW);
    let mut claimed = 0;
    while let Some(job) = outbox.next(NOW, true) {
        let (OutboundJob::Claim(wave) | OutboundJob::Send(wave)) = job else { panic!("{job:?}") };
        for mut reply in wave {
            claimed += usize::from(!reply.row.claimed);
            reply.row.claimed = true;
            outbox.retry(reply, NOW + Duration::from_secs(1));
        }
    }
    assert_eq!(claimed, CLAIMED);
    let mut answer = [completion(1)];
    outbox.claim(&mut answer, NOW, true);
    assert!(!answer[0].replies[0].claimed);
}

#[test]
fn an_answer_is_claimed_with_its_completion_if_it_may_go_at_once() {
    let claims = |outbox: &mut Outbox, sending| {
        let mut answers = [completion(1), completion(2)];
        outbox.claim(&mut answers, NOW, sending);
        answers.map(|answer| answer.replies[0].claimed)
    };
    assert_eq!(claims(&mut outbox(), true), [true, true]);
    assert_eq!(claims(&mut outbox(), false), [false, false], "nothing may be sent");
    assert_eq!(claims(&mut outbox_at(1), true), [true, false], "the pace lets one through");
    assert_eq!(claims(&mut Outbox::new(SendPace::default()), true), [false, false], "others go first");
}

fn completion(inbound_id: i64) -> Completion {
    let reply = roost_store::NewOutbound {
        seq: 0,
        whatsapp_id: String::new(),
        chat: String::new(),
        body: String::new(),
        counted: true,
        claimed: false,
    };
    Completion { inbound_id, replies: vec![reply], suppressed: None }
}
