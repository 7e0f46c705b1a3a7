//! Pages and phones against the simulated world, without sockets.

mod hardness;

use std::time::Duration;

use super::{ControlError, Incoming, World};
use crate::clock::UnixMillis;
use crate::journal::ConnectionId;
use crate::later::Due;
use crate::outlet::{Inlet, Outlet};
use crate::sent::Cause;
use crate::wire::{FromPage, LogoutReason, PairingKeys, ToPage};

const PHONE: &str = "255700000001";
const NOW: UnixMillis = UnixMillis(1_000);

/// A page as the world sees it: its connection and what it was told.
struct Tab {
    id: ConnectionId,
    inlet: Inlet,
}

impl Tab {
    fn open(world: &mut World) -> Self {
        let (outlet, inlet) = Outlet::new();
        Self { id: world.connect(outlet), inlet }
    }

    fn told(&mut self) -> Vec<ToPage> {
        std::iter::from_fn(|| self.inlet.frames.try_recv().ok()).collect()
    }

    fn code(&mut self, world: &mut World) -> String {
        let keys = PairingKeys { noise: "bm9pc2U=".to_owned(), identity: "aWQ=".to_owned() };
        world.frame(self.id, FromPage::Hello { keys }, NOW);
        world.show_code(self.id);
        match self.told().pop() {
            Some(ToPage::Code { reference }) => reference,
            other => panic!("no code but {other:?}"),
        }
    }

    fn log_in(&self, world: &mut World, (device, token): &(String, String), counter: u64) {
        let (device, token, life) = (device.clone(), token.clone(), format!("life {:?}", self.id));
        world.frame(self.id, FromPage::Login { device, token, counter, life }, NOW);
    }

    fn send(&self, world: &mut World, id: &str, cause: Cause) {
        let (id, to, body) = (id.to_owned(), "1@c.us".to_owned(), "hi".to_owned());
        world.frame(self.id, FromPage::Send { id, to, body, counter: 1, cause }, NOW);
    }
}

/// A page that has linked a device and logged in.
fn linked(world: &mut World) -> (Tab, (String, String)) {
    let mut tab = Tab::open(world);
    let code = tab.code(world);
    world.scan(&code, PHONE, "Duka".to_owned()).unwrap();
    let credentials = match tab.told().pop() {
        Some(ToPage::Paired { device, token, .. }) => (device, token),
        other => panic!("not paired but {other:?}"),
    };
    tab.log_in(world, &credentials, 0);
    assert_eq!(tab.told(), [ToPage::Welcome]);
    (tab, credentials)
}

#[test]
fn a_receipt_that_comes_while_no_page_is_there_waits_for_the_next() {
    let mut world = World::default();
    let (mut tab, credentials) = linked(&mut world);
    let sending = |tab: &Tab, world: &mut World, stanza: &str| {
        let (id, to) = (format!("true_1@c.us_{stanza}"), "1@c.us".to_owned());
        let send = FromPage::Send { id, to, body: "hi".to_owned(), counter: 1, cause: Cause::Asked };
        world.frame(tab.id, send, NOW)
    };
    let receipt =
        |stanza: &str| ToPage::Receipt { chat: "1@c.us".to_owned(), ids: vec![stanza.to_owned()], ack: 2 };
    let [first] = sending(&tab, &mut world, "A").try_into().unwrap();
    world.due(tab.id, first.what.clone());
    assert_eq!(tab.told().pop(), Some(receipt("A")));
    let later = sending(&tab, &mut world, "B");
    assert_eq!(later.len(), 1);
    world.disconnect(tab.id, NOW);

    let mut next = Tab::open(&mut world);
    let (device, token) = credentials;
    let login = FromPage::Login { device, token, counter: 1, life: "next".to_owned() };
    let [waited] = world.frame(next.id, login, NOW).try_into().unwrap();
    assert_eq!(next.told(), [ToPage::Welcome, ToPage::Backlog { receipts: vec!["B".to_owned()] }]);
    world.due(next.id, waited.what.clone());
    world.due(next.id, waited.what);
    world.due(next.id, first.what);
    assert_eq!(next.told(), [receipt("B")], "each is told once");
}

fn message(world: &mut World, id: &str) {
    let customer = "255711000001@c.us".to_owned();
    let incoming =
        Incoming { from: customer.clone(), chat: customer, body: "habari".to_owned(), id: id.to_owned() };
    world.message(PHONE, incoming, NOW).unwrap();
}

fn delivered(frames: &[ToPage]) -> Vec<&str> {
    let batches = frames.iter().filter_map(|frame| match frame {
        ToPage::Messages { messages } => Some(messages),
        _ => None,
    });
    batches.flatten().map(|delivery| delivery.id.as_str()).collect()
}

#[test]
fn a_rotated_code_is_refused_and_the_next_one_links() {
    let mut world = World::default();
    let mut tab = Tab::open(&mut world);
    let first = tab.code(&mut world);
    let second = tab.code(&mut world);
    assert!(matches!(world.scan(&first, PHONE, String::new()), Err(ControlError::RetiredCode)));
    assert!(matches!(world.scan("2@made-up", PHONE, String::new()), Err(ControlError::UnknownCode)));
    world.scan(&second, PHONE, String::new()).unwrap();
    assert!(matches!(world.scan(&second, PHONE, String::new()), Err(ControlError::RetiredCode)));
}

#[test]
fn a_complete_code_has_to_carry_the_keys_of_its_page() {
    let mut world = World::default();
    let mut tab = Tab::open(&mut world);
    let reference = tab.code(&mut world);
    let foreign = format!("{reference},b3RoZXI=,aWQ=,secret");
    assert!(matches!(world.scan(&foreign, PHONE, String::new()), Err(ControlError::ForeignKeys)));
    world.scan(&format!("{reference},bm9pc2U=,aWQ=,secret,1"), PHONE, String::new()).unwrap();
}

#[test]
fn a_message_waits_for_its_device_and_comes_back_until_it_is_acknowledged() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    world.disconnect(tab.id, NOW);
    message(&mut world, "A");
    for counter in 0..2 {
        let mut again = Tab::open(&mut world);
        again.log_in(&mut world, &credentials, counter);
        assert_eq!(delivered(&again.told()), ["A"]);
        world.disconnect(again.id, NOW);
    }
    let mut last = Tab::open(&mut world);
    last.log_in(&mut world, &credentials, 1);
    world.frame(last.id, FromPage::Received { ids: vec!["A".to_owned()], counter: 2 }, NOW);
    world.due(last.id, Due::Redeliver(vec!["A".to_owned()]));
    assert_eq!(delivered(&last.told()).len(), 1);
}

#[test]
fn a_newer_connection_evicts_the_older_and_both_are_live_until_that_is_gone() {
    let mut world = World::default();
    let (mut older, credentials) = linked(&mut world);
    message(&mut world, "A");
    assert_eq!(delivered(&older.told()), ["A"]);
    let mut newer = Tab::open(&mut world);
    newer.log_in(&mut world, &credentials, 0);
    assert_eq!(older.told(), [ToPage::Conflict]);
    assert_eq!(delivered(&newer.told()), ["A"]);

    older.send(&mut world, "true_1@c.us_X", Cause::Asked);
    assert_eq!(world.sent(PHONE, 0).unwrap(), []);
    assert_eq!(world.report().overlaps[0].until_ms, None);
    world.disconnect(older.id, UnixMillis(2_000));
    assert_eq!(world.report().overlaps[0].until_ms, Some(UnixMillis(2_000)));
    message(&mut world, "B");
    assert_eq!(delivered(&newer.told()), ["B"]);
}

#[test]
fn a_restored_ratchet_is_reported_by_how_far_it_is_behind() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    world.frame(tab.id, FromPage::Received { ids: vec![], counter: 7 }, NOW);
    world.disconnect(tab.id, NOW);
    for (counter, behind) in [(4, 3), (4, 0), (9, 0)] {
        let again = Tab::open(&mut world);
        again.log_in(&mut world, &credentials, counter);
        world.disconnect(again.id, NOW);
        assert_eq!(world.report().connections.last().unwrap().regressed_by, behind);
    }
}

#[test]
fn a_deaf_page_hears_nothing_and_is_not_heard_but_its_messages_are_kept() {
    let mut world = World::default();
    let (mut deaf, credentials) = linked(&mut world);
    world.hang(PHONE).unwrap();
    message(&mut world, "A");
    world.frame(deaf.id, FromPage::Query { request: 1, wid: "1@c.us".to_owned() }, NOW);
    assert_eq!(deaf.told(), []);
    world.disconnect(deaf.id, NOW);
    let mut sound = Tab::open(&mut world);
    sound.log_in(&mut world, &credentials, 0);
    assert_eq!(delivered(&sound.told()), ["A"]);
}

#[test]
fn logins_are_turned_away_while_the_phone_is_dropped() {
    let mut world = World::default();
    let (tab, credentials) = linked(&mut world);
    world.cut(Some(PHONE), Duration::from_millis(500), NOW).unwrap();
    world.disconnect(tab.id, NOW);
    let mut early = Tab::open(&mut world);
    early.log_in(&mut world, &credentials, 0);
    assert_eq!(early.told(), []);
    let mut late = Tab::open(&mut world);
    let (device, token) = credentials;
    world.frame(
        late.id,
        FromPage::Login { device, token, counter: 0, life: String::new() },
        UnixMillis(NOW.0 + 500),
    );
    assert_eq!(late.told(), [ToPage::Welcome]);
}

#[test]
fn an_unlinked_device_learns_of_it_at_once_or_at_its_next_login() {
    let mut world = World::default();
    let (mut tab, credentials) = linked(&mut world);
    world.log_out(PHONE).unwrap();
    assert_eq!(tab.told(), [ToPage::LoggedOut { reason: LogoutReason::Phone }]);
    world.disconnect(tab.id, NOW);
    let mut again = Tab::open(&mut world);
    again.log_in(&mut world, &credentials, 0);
    assert_eq!(again.told(), [ToPage::LoggedOut { reason: LogoutReason::UnknownDevice }]);
    assert!(matches!(world.conflict(PHONE), Err(ControlError::NotLinked { .. })));
}

#[test]
fn linking_another_device_unlinks_the_first() {
    let mut world = World::default();
    let (mut first, credentials) = linked(&mut world);
    let (_second, _) = linked(&mut world);
    assert_eq!(first.told(), [ToPage::LoggedOut { reason: LogoutReason::Replaced }]);
    let mut again = Tab::open(&mut world);
    again.log_in(&mut world, &credentials, 0);
    assert_eq!(again.told(), [ToPage::LoggedOut { reason: LogoutReason::UnknownDevice }]);
}

#[test]
fn a_code_that_is_typed_on_the_phone_links_the_page_that_asked_for_it() {
    let mut world = World::default();
    let mut tab = Tab::open(&mut world);
    let scannable = tab.code(&mut world);
    let mut ask = |world: &mut World, phone: &str, now: u64| {
        let request = FromPage::LinkCode { request: 7, phone: phone.to_owned() };
        world.frame(tab.id, request, UnixMillis(now));
        tab.told().pop()
    };
    assert_eq!(ask(&mut world, "me", 0), Some(ToPage::Refused { request: 7, error: "bad-request" }));
    let Some(ToPage::LinkCode { request: 7, code }) = ask(&mut world, PHONE, 0) else { panic!("no code") };
    let typed = |world: &mut World, code: &str, now: u64| {
        world.type_code(code, PHONE, "Duka".to_owned(), UnixMillis(now))
    };
    assert!(matches!(typed(&mut world, "ABCD", 1), Err(ControlError::WrongTypedCode { .. })));
    assert!(matches!(typed(&mut world, &code, 180_000), Err(ControlError::ExpiredTypedCode { .. })));
    let Some(ToPage::LinkCode { code, .. }) = ask(&mut world, PHONE, 180_000) else { panic!("no code") };
    assert_eq!(typed(&mut world, &code, 180_001).unwrap(), format!("{PHONE}:1"));
    let paired = tab.told().pop();
    assert!(matches!(&paired, Some(ToPage::Paired { phone, .. }) if phone == PHONE), "{paired:?}");
    let scanned = world.scan(&scannable, PHONE, String::new());
    assert!(matches!(scanned, Err(ControlError::RetiredCode)), "the QR code went with it");
}

#[test]
fn a_number_that_asks_too_often_is_refused_and_a_page_that_is_gone_is_not_linked() {
    let mut world = World::default();
    let limit = serde_json::json!({ "link_codes": 1 });
    world.harden(None, limit.as_object().unwrap().clone()).unwrap();
    let mut tab = Tab::open(&mut world);
    tab.code(&mut world);
    let mut ask = |world: &mut World| {
        world.frame(tab.id, FromPage::LinkCode { request: 1, phone: PHONE.to_owned() }, NOW);
        tab.told().pop()
    };
    let Some(ToPage::LinkCode { code, .. }) = ask(&mut world) else { panic!("no code") };
    assert_eq!(ask(&mut world), Some(ToPage::Refused { request: 1, error: "rate-overlimit" }));
    world.disconnect(tab.id, NOW);
    let typed = world.type_code(&code, PHONE, String::new(), NOW);
    assert!(matches!(typed, Err(ControlError::NoTypedCode { .. })), "{typed:?}");
}
