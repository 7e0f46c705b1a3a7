//! What each hardness does to a page, as far as the world decides it.

use serde_json::{Value, json};

use super::{NOW, PHONE, Tab, linked, message};
use crate::clock::UnixMillis;
use crate::later::{Due, Later};
use crate::sent::{Cause, SentMessage};
use crate::wire::{FromPage, LogoutReason, ToPage};
use crate::world::{ControlError, World};

const ID: &str = "true_1@c.us_X";

fn harden(world: &mut World, changes: Value) {
    world.harden(Some(PHONE), changes.as_object().unwrap().clone()).unwrap();
}

fn only_sent(world: &World) -> SentMessage {
    let [message] = world.sent(PHONE, 0).unwrap().try_into().unwrap();
    message
}

fn is_acknowledged(frames: &[ToPage]) -> bool {
    frames.iter().any(|frame| matches!(frame, ToPage::Sent { .. }))
}

#[test]
fn a_log_out_is_answered_later_and_whoever_is_gone_by_then_is_linked() {
    let mut world = World::default();
    let (mut tab, credentials) = linked(&mut world);
    harden(&mut world, json!({ "logout_after_ms": 700 }));
    tab.told();
    let later = world.frame(tab.id, FromPage::Logout { request: 5 }, NOW);
    assert_eq!(later, [Due::LogOut { request: 5 }.after_ms(700)]);
    assert_eq!(tab.told(), []);
    world.disconnect(tab.id, NOW);
    world.due(tab.id, later[0].what.clone());

    let mut again = Tab::open(&mut world);
    again.log_in(&mut world, &credentials, 0);
    assert_eq!(again.told(), [ToPage::Welcome]);
    world.due(again.id, Due::LogOut { request: 6 });
    assert_eq!(again.told(), [ToPage::Done { request: 6 }]);
    assert!(matches!(world.conflict(PHONE), Err(ControlError::NotLinked { .. })));
}

#[test]
fn a_log_out_that_fails_leaves_the_device_linked() {
    let mut world = World::default();
    let (mut tab, _) = linked(&mut world);
    harden(&mut world, json!({ "failing_logouts": 1 }));
    tab.told();
    world.due(tab.id, Due::LogOut { request: 1 });
    assert!(matches!(tab.told()[..], [ToPage::Refused { request: 1, .. }]));
    message(&mut world, "A");
    tab.told();
    world.due(tab.id, Due::LogOut { request: 2 });
    assert_eq!(tab.told(), [ToPage::Done { request: 2 }]);
}

#[test]
fn queries_are_answered_late_or_refused_or_never() {
    let mut world = World::default();
    let (tab, _) = linked(&mut world);
    let mut query = |changes| {
        harden(&mut world, changes);
        world.frame(tab.id, FromPage::Query { request: 1, wid: "1@c.us".to_owned() }, NOW)
    };
    let answer = ToPage::Answer { request: 1, exists: true };
    assert_eq!(query(json!({ "query_after_ms": 300 })), [Due::Tell(answer).after_ms(300)]);
    let refused = query(json!({ "queries": "refused", "query_after_ms": 0 }));
    assert!(matches!(refused[..], [Later { what: Due::Tell(ToPage::Refused { request: 1, .. }), .. }]));
    assert_eq!(query(json!({ "queries": "silent" })), []);
}

#[test]
fn a_lost_acknowledgement_is_of_a_message_that_arrived_or_of_one_that_did_not() {
    let mut world = World::default();
    let (mut tab, _) = linked(&mut world);
    harden(&mut world, json!({ "lost_acks": 1 }));
    tab.told();
    tab.send(&mut world, ID, Cause::Asked);
    assert_eq!(tab.told(), []);
    assert_eq!(only_sent(&world).resends, []);
    tab.send(&mut world, ID, Cause::Asked);
    assert!(is_acknowledged(&tab.told()), "it was the next one only");
    let [resend] = Vec::from(only_sent(&world).resends).try_into().unwrap();
    assert!(resend.delivered_before && resend.sent_by_life && !resend.acknowledged_before);

    harden(&mut world, json!({ "lost_acks": 1, "lost_acks_delivered": false }));
    tab.told();
    tab.send(&mut world, "true_1@c.us_Y", Cause::Asked);
    assert_eq!(tab.told(), []);
    assert_eq!(world.sent(PHONE, 1).unwrap(), []);
    tab.send(&mut world, "true_1@c.us_Y", Cause::Asked);
    let resend = &world.sent(PHONE, 1).unwrap()[0].resends[0];
    assert!(!resend.delivered_before && resend.sent_by_life);
}

#[test]
fn a_later_life_of_the_page_sends_again_what_an_earlier_one_had_acknowledged() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    tab.send(&mut world, ID, Cause::Asked);
    world.disconnect(tab.id, NOW);
    let again = Tab::open(&mut world);
    again.log_in(&mut world, &credentials, 0);
    again.send(&mut world, ID, Cause::Asked);
    let message = only_sent(&world);
    assert_eq!((message.connection, message.resends[0].connection), (tab.id, again.id));
    assert_ne!(message.life, message.resends[0].life);
    let resend = &message.resends[0];
    assert!(
        resend.acknowledged_before && resend.acknowledged_to_life_at_ms.is_none() && !resend.sent_by_life
    );
}

#[test]
fn history_comes_once_to_a_device_that_was_just_linked_with_its_old_times() {
    let mut world = World::default();
    harden(&mut world, json!({ "history": 9 }));
    let mut tab = Tab::open(&mut world);
    let code = tab.code(&mut world);
    world.scan(&code, PHONE, String::new()).unwrap();
    let Some(ToPage::Paired { device, token, .. }) = tab.told().pop() else { panic!("not paired") };
    let now = UnixMillis(1_700_000_000_000);
    let login = |world: &mut World, tab: &Tab| {
        let (device, token) = (device.clone(), token.clone());
        world.frame(tab.id, FromPage::Login { device, token, counter: 0, life: String::new() }, now)
    };
    let later = login(&mut world, &tab);
    let [ToPage::Welcome, ToPage::History { messages }] = &tab.told()[..] else { panic!("no history") };
    let [Later { what: Due::Tell(ToPage::History { messages: older }), .. }] = &later[..] else {
        panic!("no second chunk")
    };
    assert_eq!((messages.len(), older.len()), (5, 4));
    assert!(messages.iter().chain(older).all(|message| message.t < now.seconds() - 3_000));
    assert!(messages.iter().any(|message| message.from.starts_with(PHONE)), "the owner wrote too");

    let mut again = Tab::open(&mut world);
    assert_eq!(login(&mut world, &again), []);
    assert_eq!(again.told(), [ToPage::Welcome]);
}

#[test]
fn a_page_is_told_to_load_anew_as_often_as_was_asked() {
    let mut world = World::default();
    let (mut tab, credentials) = linked(&mut world);
    world.reload(PHONE, 2, 40).unwrap();
    assert_eq!(tab.told(), [ToPage::Reload]);
    for expected in [vec![Due::Tell(ToPage::Reload).after_ms(40)], vec![]] {
        let again = Tab::open(&mut world);
        let (device, token) = credentials.clone();
        let login = FromPage::Login { device, token, counter: 0, life: String::new() };
        assert_eq!(world.frame(again.id, login, NOW), expected);
    }
}

#[test]
fn what_a_page_behind_sends_is_asked_for_once_more_by_each_recipient() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    harden(&mut world, json!({ "refuse_regressed": true }));
    world.frame(tab.id, FromPage::Received { ids: vec![], counter: 7 }, NOW);
    world.disconnect(tab.id, NOW);
    let mut behind = Tab::open(&mut world);
    behind.log_in(&mut world, &credentials, 3);
    behind.told();
    behind.send(&mut world, ID, Cause::Asked);
    let retry = ToPage::Retry { id: ID.to_owned() };
    let told = behind.told();
    assert!(is_acknowledged(&told) && told.contains(&retry), "{told:?}");
    assert_eq!(world.sent(PHONE, 0).unwrap(), [], "nobody can read it");

    // The wish outlives the connection.
    world.disconnect(behind.id, NOW);
    let mut next = Tab::open(&mut world);
    next.log_in(&mut world, &credentials, 8);
    assert_eq!(next.told(), [ToPage::Welcome, retry]);
    next.send(&mut world, ID, Cause::Retry);
    let message = only_sent(&world);
    assert_eq!((message.resends[0].cause, message.resends[0].delivered_before), (Cause::Retry, false));
    world.disconnect(next.id, NOW);
    let mut last = Tab::open(&mut world);
    last.log_in(&mut world, &credentials, 8);
    assert!(
        matches!(&last.told()[..], [ToPage::Welcome, ToPage::Backlog { .. }]),
        "the receipt alone is due"
    );
}

#[test]
fn what_a_page_refused_comes_again_after_the_time_that_is_set_or_with_the_next_connection_only() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    message(&mut world, "A");
    let reject = || FromPage::Rejected { ids: vec!["A".to_owned()] };
    let again = Due::Redeliver(vec!["A".to_owned()]);
    assert_eq!(world.frame(tab.id, reject(), NOW), [again.clone().after_ms(5_000)]);
    harden(&mut world, json!({ "redeliver_after_ms": 200 }));
    assert_eq!(world.frame(tab.id, reject(), NOW), [again.after_ms(200)]);
    harden(&mut world, json!({ "redeliver_after_ms": 0 }));
    assert_eq!(world.frame(tab.id, reject(), NOW), []);
    world.disconnect(tab.id, NOW);
    let mut next = Tab::open(&mut world);
    next.log_in(&mut world, &credentials, 0);
    assert!(
        matches!(&next.told()[..], [ToPage::Welcome, ToPage::Messages { messages }] if messages.len() == 1)
    );
}

#[test]
fn settings_of_all_reach_phones_that_are_known_and_those_to_come_and_no_setting_of_their_own_is_lost() {
    let mut world = World::default();
    let (mut tab, _) = linked(&mut world);
    harden(&mut world, json!({ "history": 3 }));
    tab.told();
    world.harden(None, json!({ "kept_in_memory": 50 }).as_object().unwrap().clone()).unwrap();
    assert!(matches!(tab.told()[..], [ToPage::Settings { .. }]));
    assert_eq!((world.hardness(Some(PHONE)).history, world.hardness(Some(PHONE)).kept_in_memory), (3, 50));
    assert_eq!(world.hardness(Some("19990000000")).kept_in_memory, 50);
    let refused = world.harden(None, json!({ "nonsense": 1 }).as_object().unwrap().clone());
    assert!(matches!(refused, Err(ControlError::Hardness { .. })));
    world.log_out(PHONE).unwrap();
    assert_eq!(tab.told(), [ToPage::LoggedOut { reason: LogoutReason::Phone }]);
}
