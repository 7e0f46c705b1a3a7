//! What is everybody's fault is waited for, however long it lasts; what is the tenant's own has an end. By a virtual clock.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A site that does with the pages of one worker what an outage does, until it is over.
struct Outage {
    machine: Machine,
    now: WorkerTime,
    launches: u32,
    reports: Vec<StatusReport>,
}

impl Outage {
    fn of(machine: Machine) -> Self {
        let mut outage = Self { machine, now: secs(100), launches: 0, reports: Vec::new() };
        outage.take(Event::Proved);
        outage
    }

    /// Whether another tenant is let in meanwhile.
    fn others_log_in(mut self, since: WorkerTime) -> Self {
        self.machine =
            self.machine.amid(Surroundings { other_login: Some(since), ..Surroundings::default() });
        self
    }

    fn take(&mut self, event: Event) -> Vec<Effect> {
        let (machine, effects) = step(self.machine.clone(), event, self.now);
        self.machine = machine;
        self.reports.extend(reports(&effects).into_iter().cloned());
        effects
    }

    /// Lets time pass until `end` or the worker's own, answering each launch and each end of a browser.
    fn pass(&mut self, end: WorkerTime, launched: &Event) {
        while let Some(due) = self.machine.wake_at().filter(|due| *due < end) {
            self.now = due.max(self.now);
            let mut effects = self.take(Event::Tick);
            while let Some(effect) = effects.pop() {
                match effect {
                    Effect::Launch => {
                        self.launches += 1;
                        effects.extend(self.take(launched.clone()));
                    }
                    Effect::Close | Effect::Kill => effects.extend(self.take(Event::BrowserGone)),
                    _ => {}
                }
            }
        }
        self.now = end;
    }

    fn last_error(&self) -> &str {
        self.reports.iter().rev().find_map(|report| report.last_error.as_deref()).unwrap_or_default()
    }
}

#[test]
fn whatsapp_may_be_away_for_an_hour() {
    let mut outage = Outage::of(running());
    outage.take(Event::WentOffline);
    outage.pass(secs(100) + HOUR, &Event::Launched);
    assert!(outage.machine.attempts() > 30, "it was tried again and again");
    assert_eq!(outage.machine.condition().0, ConditionKind::WaitingForWhatsapp);
    let told = outage.last_error();
    assert!(told.contains("waiting for WhatsApp for 5") && !told.contains("attempt"), "{told}");
    // It is back: the page that waits, or the one that comes next, within the longest wait.
    let due = outage.machine.wake_at().unwrap();
    assert!(due <= outage.now + secs(60), "{due:?}");
    outage.pass(due + secs(1), &Event::Launched);
    outage.take(ready());
    assert!(matches!(outage.machine.state(), State::Running { .. }), "{:?}", outage.machine.state());
    assert_eq!(outage.last_error(), "");
}

#[test]
fn a_store_may_be_away_for_an_hour_and_the_node_lack_something_as_long() {
    for (failure, condition, awaited) in [
        (Failure::Store, ConditionKind::WaitingForStore, "waiting for Postgres or the object store for 5"),
        (Failure::Node, ConditionKind::WaitingForNode, "waiting for the node for 5"),
        (Failure::SiteAway, ConditionKind::WaitingForWhatsapp, "waiting for WhatsApp for 5"),
    ] {
        // Others that were restored before are connected all the while.
        let mut outage = Outage::of(running()).others_log_in(secs(200));
        let failed = Event::LaunchFailed { reason: "no".into(), failure };
        outage.take(exited());
        outage.pass(secs(100) + HOUR, &failed);
        assert!(outage.launches > 30);
        assert_eq!(outage.machine.condition().0, condition);
        assert!(outage.last_error().contains(awaited), "{}", outage.last_error());
        let due = outage.machine.wake_at().unwrap();
        outage.pass(due + secs(1), &Event::Launched);
        outage.take(ready());
        assert!(matches!(outage.machine.state(), State::Running { .. }));
    }
}

#[test]
fn browsers_that_do_not_start_on_a_node_that_lacks_something_are_waited_for() {
    let mut outage = Outage::of(running());
    outage.machine = outage.machine.amid(Surroundings { is_impaired: true, ..Surroundings::default() });
    outage.take(exited());
    let failed = Event::LaunchFailed { reason: "no sandbox".into(), failure: Failure::Browser };
    outage.pass(secs(100) + HOUR, &failed);
    assert_eq!(outage.machine.condition(), (ConditionKind::WaitingForNode, "no sandbox".to_owned()));
}

/// A page that connects and breaks a moment later, each time.
fn crash_on_and_on(mut outage: Outage) -> Outage {
    let end = outage.now + HOUR;
    outage.take(exited());
    while let Some(due) = outage.machine.wake_at().filter(|due| *due < end) {
        outage.pass(due + Duration::from_millis(1), &Event::Launched);
        outage.take(ready());
        outage.now += secs(1);
        outage.take(Event::Broke { reason: "the page crashed".into() });
        if matches!(outage.machine.state(), State::Stopping { .. }) {
            outage.take(Event::BrowserGone);
        }
    }
    outage
}

#[test]
fn a_page_that_crashes_again_and_again_while_others_log_in_is_given_up_after_ten_attempts() {
    let outage = crash_on_and_on(Outage::of(running()).others_log_in(secs(101)));
    let State::Error { reason } = outage.machine.state() else { panic!("{:?}", outage.machine.state()) };
    assert!(reason.contains("the page crashed; gave up after 10 attempts"), "{reason}");
    let told: Vec<_> = outage.reports.iter().filter_map(|report| report.last_error.as_deref()).collect();
    assert!(told.contains(&"the page crashed; attempt 4 of 10 to reconnect"), "{told:#?}");
}

#[test]
fn one_that_crashes_where_nobody_else_logs_in_goes_on_for_ever_and_says_so() {
    for others in [None, Some(secs(99))] {
        let mut outage = Outage::of(running());
        outage.machine = outage.machine.amid(Surroundings { other_login: others, ..Surroundings::default() });
        let outage = crash_on_and_on(outage);
        assert_eq!(outage.machine.condition().0, ConditionKind::Healing, "logins of before prove nothing");
        let told = outage
            .reports
            .iter()
            .rev()
            .find_map(|report| report.last_error.clone().filter(|it| !it.is_empty()));
        assert!(told.is_some_and(|told| told.contains("waiting for the page to hold for")));
    }
}

#[test]
fn a_login_of_another_counts_from_then_on_and_not_for_what_was_before() {
    let mut outage = Outage::of(running());
    outage.take(Event::WentOffline);
    outage.pass(secs(1900), &Event::Launched);
    let before = outage.machine.attempts();
    assert!(before > 10, "{before}");
    let mut outage = outage.others_log_in(secs(1800));
    let due = outage.machine.wake_at().unwrap();
    outage.pass(due + secs(31), &Event::Launched);
    assert!(outage.last_error().ends_with("attempt 1 of 10 to reconnect"), "{}", outage.last_error());
}

#[test]
fn a_site_that_answers_with_an_error_is_named_with_it() {
    let (connecting, _) = play(machine(), secs(0), [BEGIN, Event::Launched]);
    let (waiting, effects) = step(connecting, Event::TurnedAway { status: 503 }, secs(2));
    let reason = "the site answers 503 instead of its page";
    assert_eq!(waiting.condition(), (ConditionKind::WaitingForWhatsapp, reason.to_owned()));
    let told = reports(&effects)[0].last_error.clone().unwrap();
    assert_eq!(told, format!("{reason}; waiting for WhatsApp"));
}
