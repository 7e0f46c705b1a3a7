//! What happened, as events of the state machine.

use std::sync::Arc;

use roost_cluster::lease_deadline::Standing;
use roost_engine::{EngineError, PageEvent, Probe};
use roost_store::StoreError;
use tokio::{sync::mpsc, time::Instant};
use tracing::{info, warn};

use super::{
    StopMode,
    actor::{Actor, Browser, Errand, Order},
    browser::Outcome,
    health,
    home::HomeError,
    state::{Effect, Event},
    wait::Happening,
};
use crate::{causes::with_causes, pipeline::PipelineError};

impl Actor {
    pub(super) fn interpret(&mut self, happening: Happening) -> Vec<Event> {
        match happening {
            Happening::Order(Some(Order::Stop { mode, done })) => {
                self.stoppers.push(done);
                vec![Event::StopAsked(mode)]
            }
            Happening::Order(None) => {
                self.orphaned = true;
                vec![Event::StopAsked(StopMode::Graceful)]
            }
            Happening::Spec => self.spec_changed(),
            Happening::Standing => self.standing_changed(),
            Happening::Operation(outcome) => self.operation_ended(outcome),
            Happening::Page(Some(event)) => self.page_event(event),
            Happening::Page(None) => self.page_event(PageEvent::Exited { reason: "its events ended".into() }),
            Happening::Room => self.hand_over(),
            Happening::Errand(errand) => self.errand_ended(errand),
            Happening::PipelineEnded(error) => self.pipeline_ended(&error),
            Happening::ReportRefused => {
                self.reporting = false;
                vec![Event::Fenced]
            }
            Happening::Changed => {
                self.saver.changed(self.now());
                Vec::new()
            }
            Happening::ProbeDue => self.probe(),
            Happening::SaveDue => self.save(),
            Happening::Tick => vec![Event::Tick],
        }
    }

    fn spec_changed(&mut self) -> Vec<Event> {
        let spec = self.channels.spec.borrow_and_update().clone();
        self.machine = self.machine.clone().with_phone(&spec.tenant.settings.phone);
        if let Some(pipeline) = &self.pipeline {
            pipeline.update(Arc::new(spec.tenant.clone()));
        }
        let asked = spec.restart_seq > self.restarted;
        self.restarted = self.restarted.max(spec.restart_seq);
        self.context.spec = spec;
        asked.then_some(Event::RestartAsked(self.context.spec.restart_mode)).into_iter().collect()
    }

    fn standing_changed(&mut self) -> Vec<Event> {
        let standing = *self.context.standing.borrow_and_update();
        self.set_gate();
        if standing == Standing::Expired { vec![Event::StandingExpired] } else { Vec::new() }
    }

    fn operation_ended(&mut self, outcome: Outcome) -> Vec<Event> {
        self.operation = None;
        match outcome {
            Outcome::Launched(launched) => {
                self.browser = Some(Browser { page: launched.page, events: launched.events });
                self.next_probe = Instant::now() + self.context.pace.probe_every;
                vec![Event::Launched]
            }
            Outcome::LaunchFailed(error) => {
                let reason = with_causes(&error);
                warn!(reason, "the browser did not launch");
                vec![Event::LaunchFailed { reason }]
            }
            Outcome::Gone => {
                self.let_go_of_browser();
                vec![Event::BrowserGone]
            }
            Outcome::Forgotten(Ok(())) => vec![Event::SessionForgotten],
            Outcome::Forgotten(Err(error)) if error.is_fenced() => vec![Event::Fenced],
            Outcome::Forgotten(Err(error)) => {
                warn!(%error, "the session is not forgotten yet");
                self.forget_again();
                Vec::new()
            }
        }
    }

    fn page_event(&mut self, event: PageEvent) -> Vec<Event> {
        match event {
            PageEvent::Message(message) => {
                self.held.push_back(message);
                self.hand_over()
            }
            PageEvent::Qr { text, expires_in } => vec![Event::Code { text, expires_in }],
            PageEvent::Ready { phone } => vec![Event::Ready { phone }],
            PageEvent::Online(false) => vec![Event::WentOffline],
            // What the page believes is no proof; it is asked for at once.
            PageEvent::Online(true) | PageEvent::StreamInfo(_) => {
                self.next_probe = Instant::now();
                Vec::new()
            }
            PageEvent::LoggedOut { reason } => vec![Event::LoggedOut { reason }],
            PageEvent::Conflict => vec![Event::Conflicted],
            PageEvent::Outdated => vec![Event::Outdated],
            PageEvent::Crashed { reason } => {
                vec![Event::Broke { reason: format!("the page crashed: {reason}") }]
            }
            PageEvent::Exited { reason } => {
                // One that is being stopped is let go of when that has ended.
                if self.operation.is_none() {
                    self.let_go_of_browser();
                } else if let Some(browser) = &mut self.browser {
                    browser.events.close();
                }
                vec![Event::Exited { reason: format!("the browser ended: {reason}") }]
            }
        }
    }

    /// Moves held messages on while the pipeline has room. Without a pipeline they are dropped: the page has not
    /// acknowledged them, and the sweep at the next start of the flow finds them.
    fn hand_over(&mut self) -> Vec<Event> {
        while let Some(message) = self.held.pop_front() {
            let Some(pipeline) = &self.pipeline else { continue };
            if let Err(mpsc::error::TrySendError::Full(message)) = pipeline.intake().try_send(message) {
                self.held.push_front(message);
                break;
            }
        }
        Vec::new()
    }

    fn errand_ended(&mut self, errand: Errand) -> Vec<Event> {
        match errand {
            Errand::Done => Vec::new(),
            Errand::Failed { step, error } => {
                warn!(%error, step, "the page did not do as told");
                vec![Event::Broke { reason: format!("{step} failed: {error}") }]
            }
            Errand::Probed { expects_session, probe } => self.probed(expects_session, probe),
            Errand::Swept(messages) => {
                self.held.extend(messages);
                self.hand_over()
            }
            Errand::Owner(answer) => vec![Event::Owner(answer)],
            Errand::Saved { link, saved } => self.saved(link, saved),
            Errand::Counted(counted) => self.counted(counted),
            Errand::AskedToForgetAgain => {
                self.perform(Effect::ForgetSession);
                Vec::new()
            }
        }
    }

    fn probed(&mut self, expects_session: bool, probe: Result<Probe, EngineError>) -> Vec<Event> {
        self.probing = false;
        self.next_probe = Instant::now() + self.context.pace.probe_every;
        if expects_session != self.machine.expects_session() {
            return Vec::new();
        }
        let verdict = match probe {
            Ok(probe) => health::judge(&probe, expects_session).map_err(|unproven| unproven.to_string()),
            Err(error) => Err(format!("the page does not answer: {error}")),
        };
        match verdict {
            Ok(()) => {
                self.channels.seen.send_replace(Some(std::time::Instant::now()));
                vec![Event::Proved]
            }
            Err(reason) => vec![Event::Unproved { reason }],
        }
    }

    fn saved(&mut self, link: u64, saved: Result<bool, HomeError>) -> Vec<Event> {
        match saved {
            Ok(_) => {
                self.saver.done();
                return vec![Event::SessionSaved { link }];
            }
            Err(error) if error.is_fenced() => return vec![Event::Fenced],
            Err(error) => {
                warn!(%error, "the session was not saved; it is tried again");
                self.saver.failed(self.now());
            }
        }
        Vec::new()
    }

    fn counted(&mut self, counted: Result<u64, StoreError>) -> Vec<Event> {
        match counted {
            Ok(conflicts) => info!(conflicts, "the conflict is counted"),
            Err(StoreError::Fenced { .. }) => return vec![Event::Fenced],
            Err(error) => warn!(%error, "a conflict was not counted"),
        }
        Vec::new()
    }

    fn pipeline_ended(&mut self, error: &PipelineError) -> Vec<Event> {
        self.pipeline = None;
        self.changes = None;
        if error.is_fenced() {
            info!("a write of the pipeline was refused");
            return vec![Event::Fenced];
        }
        warn!(%error, "the pipeline ended");
        vec![Event::Broke { reason: error.to_string() }]
    }

    /// The browser is gone, and with it everything that was asked of it.
    pub fn let_go_of_browser(&mut self) {
        self.browser = None;
        self.errands.clear();
        self.held.clear();
        self.probing = false;
        self.saver.abandon();
    }
}
