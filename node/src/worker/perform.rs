//! How the effects of the state machine are performed.

use std::sync::Arc;

use futures::future::BoxFuture;
use roost_cluster::{lease_deadline::Standing, ledger::EventKind};
use roost_engine::{EngineError, Page};
use roost_model::causes;
use roost_responder::TemplateResponder;
use roost_store::{PairingAnswer, QrCode};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::{
    actor::{Actor, BackgroundOutcome},
    browser,
    browser_setup::browser_setup,
    launch_check::CallOff,
    qr,
    session_store::SessionStore,
    state::{AfterStop, Effect, Ending, Event, State},
    turn::Turn,
};
use crate::{
    launch_queue::{LaunchPermit, LaunchPriority},
    pipeline::{Pipeline, PipelineContext},
    retry::until_available,
};

impl Actor {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch => self.launch(),
            Effect::CallOffLaunch { kill } => {
                self.call_off.start.cancel();
                if kill {
                    self.call_off.browser.cancel();
                }
            }
            Effect::TakeTurn => self.take_turn(),
            Effect::Reload => self.on_page("reload", |page| Box::pin(async move { page.reload().await })),
            Effect::TakeOver => self.take_over(),
            Effect::LogOut => self.operate(browser::log_out),
            Effect::WindDown { save } => self.wind_down(save),
            Effect::Close => self.operate(browser::close),
            Effect::Kill => {
                // A snapshot or a probe of what is being killed has nothing left to say.
                self.background.clear();
                self.snapshot_schedule.abandon();
                self.operate(|page, _| browser::kill(page));
            }
            Effect::ForgetSession => {
                self.drop_pipeline();
                self.browser_task = Some(browser::forget(self.session.clone(), self.warm.take()));
            }
            Effect::AskOwner => self.ask_owner(),
            Effect::Serve => {
                self.context.env.logins.record(&self.context.fence.tenant);
                self.serve();
            }
            // The gate follows the state.
            Effect::Hold => self.context.env.logins.withdraw(&self.context.fence.tenant),
            Effect::SaveSession => self.snapshot_schedule.linked(),
            Effect::ShowCode { text, expires_in } => match qr::data_uri(&text) {
                Ok(data_uri) => {
                    // Its replies are for a session that there is no more; those that wait are read anew when there is one.
                    self.drop_pipeline();
                    info!("a code waits to be scanned");
                    self.reporter.show(QrCode {
                        text,
                        data_uri,
                        expires_at: OffsetDateTime::now_utc() + expires_in,
                    });
                }
                Err(error) => warn!(error = %causes(&error), "a code could not be drawn"),
            },
            Effect::Report(report) => self.reporter.tell(report),
            Effect::AskPairingCode(order) => self.ask_pairing_code(order),
            Effect::RefusePairing { order, reason } => {
                self.answer_pairing(order, PairingAnswer::Refused { reason });
            }
            Effect::RecordScanPause => {
                info!("nobody has scanned a code; the browser is closed");
                self.reporter.pause_scan(self.restarted);
            }
            Effect::RecordScheduledRestart => self.record_scheduled_restart(),
            Effect::Record(kind, text) => self.reporter.record(kind, text),
            Effect::End(ending) => self.ending = Some(ending),
        }
    }

    fn launch(&mut self) {
        self.let_go_of_browser();
        self.call_off = CallOff::default();
        let context = &self.context;
        self.browser_task = Some(browser::launch(browser::LaunchParams {
            session: self.session.clone(),
            env: context.env.clone(),
            standing: context.standing.clone(),
            tenant: context.fence.tenant.clone(),
            setup: browser_setup(&context.spec),
            versions: context.spec.versions.clone(),
            sends: self.channels.sends.clone(),
            priority: self.priority(),
            warm: self.warm.take(),
            call_off: self.call_off.clone(),
        }));
    }

    fn record_scheduled_restart(&self) {
        let Some(time) = self.planned_restart.time() else { return };
        let time = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(time.into());
        info!(%time, "the browser is restarted on its schedule");
        let text = format!("its browser is restarted on its schedule, for {time}");
        self.reporter.record(EventKind::RestartedOnSchedule, text);
    }

    fn priority(&self) -> LaunchPriority {
        let attempts = self.context.failures.saturating_add(self.machine.attempts());
        LaunchPriority::needed(attempts, self.context.spec.last_seen_at)
    }

    /// One that it has already is given back: its page begins anew.
    fn take_turn(&mut self) {
        self.turn = None;
        let (launches, priority) = (self.context.env.launches.clone(), self.priority());
        self.background
            .push(Box::pin(async move { BackgroundOutcome::Turn(launches.acquire(priority).await) }));
    }

    /// From here on the page works towards a session or a code.
    pub(super) fn begin_turn(&mut self, permit: LaunchPermit) {
        let Some(browser) = &self.browser else { return };
        self.turn = Some(Turn::begin(permit, &self.context.env.launches, browser.page.clone()));
    }

    /// Does something to the browser as a whole, in the place of what is being done to it.
    fn operate(&mut self, browser_task: fn(Arc<dyn Page>, Arc<SessionStore>) -> browser::BrowserTask) {
        if let Some(browser) = &self.browser {
            self.browser_task = Some(browser_task(browser.page.clone(), self.session.clone()));
        }
    }

    fn wind_down(&mut self, save: bool) {
        let Some(browser) = &self.browser else { return };
        let drain = self.pipeline.as_ref().map(Pipeline::drain);
        let (session, save) = (self.session.clone(), save.then(|| self.machine.link()));
        let env = self.context.env.clone();
        self.browser_task =
            Some(browser::wind_down(browser.page.clone(), drain, session, save, *self.machine.timing(), env));
    }

    /// Calls the page in the background; a failure is an event.
    fn on_page(
        &mut self,
        step: &'static str,
        call: impl FnOnce(Arc<dyn Page>) -> BoxFuture<'static, Result<(), EngineError>>,
    ) {
        let Some(browser) = &self.browser else { return };
        let call = call(browser.page.clone());
        self.background.push(Box::pin(async move {
            match call.await {
                Ok(()) => BackgroundOutcome::Done,
                Err(error) => BackgroundOutcome::Failed { step, error },
            }
        }));
    }

    /// An alarm: somebody else may hold the tenant's credentials.
    fn take_over(&mut self) {
        warn!("whatsapp says that the session was opened elsewhere; this owner takes it back");
        self.on_page("take over", |page| Box::pin(async move { page.take_over().await }));
        let (store, fence) = (self.context.env.store.clone(), self.context.fence.clone());
        self.background.push(Box::pin(async move {
            let counted = until_available("count a conflict", || store.record_conflict(&fence)).await;
            BackgroundOutcome::Counted(counted)
        }));
    }

    fn ask_owner(&mut self) {
        let (ownership, fence) = (self.context.ownership.clone(), self.context.fence.clone());
        self.background.push(Box::pin(async move {
            match ownership.still_owner(&fence.tenant, fence.generation).await {
                Ok(is_owner) => BackgroundOutcome::Owner(Some(is_owner)),
                Err(error) => {
                    warn!(error = %causes(&error), "a conflict waits for the registry");
                    BackgroundOutcome::Owner(None)
                }
            }
        }));
    }

    /// Messages may flow. Those that came before the page was listened to raised no event: they are asked for, and so are those
    /// that were told while there was no pipeline. Until they are told, nothing that is newer is taken.
    fn serve(&mut self) {
        let was_there = self.pipeline.is_some();
        self.ensure_pipeline();
        if let Some(pipeline) = self.pipeline.as_ref().filter(|_| !was_there) {
            pipeline.intake().forget_until_swept();
        }
        self.next_probe = Instant::now();
        self.sweep();
    }

    /// What is not confirmed comes as events.
    pub(super) fn sweep(&mut self) {
        self.on_page("sweep", |page| Box::pin(async move { page.sweep().await }));
    }

    pub(super) fn drop_pipeline(&mut self) {
        self.pipeline = None;
        self.changes = None;
        self.idle = None;
        self.page_faults = None;
    }

    pub(super) fn ensure_pipeline(&mut self) {
        if self.pipeline.is_some() {
            return;
        }
        let pipeline = Pipeline::spawn(PipelineContext {
            fence: self.context.fence.clone(),
            store: self.context.env.store.clone(),
            tenant: Arc::new(self.context.spec.tenant.clone()),
            responder: Arc::new(TemplateResponder),
            traffic: self.channels.traffic.clone(),
            sends: self.channels.sends.clone(),
        });
        self.changes = Some(pipeline.changes());
        let mut idle = pipeline.idle();
        idle.mark_changed();
        self.idle = Some(idle);
        let mut page_faults = pipeline.page_faults();
        // What the pipeline before had found is forgotten with it.
        page_faults.mark_changed();
        self.page_faults = Some(page_faults);
        self.pipeline = Some(pipeline);
    }

    /// What the pipeline may do follows from the state and the node's standing. While a stop winds down it is in the
    /// hands of the drain, and only the standing may take something away.
    pub(super) fn set_gate(&mut self) {
        let Some(pipeline) = &self.pipeline else { return };
        let good = *self.context.standing.borrow() == Standing::Good;
        let page = self.browser.as_ref().map(|browser| browser.page.clone());
        let (taking, sending) = match self.machine.state() {
            State::Stopping {
                next: AfterStop::Launch | AfterStop::LaunchLater { .. } | AfterStop::End(Ending::Stopped),
            } if self.browser_task.is_some() => {
                if !good {
                    pipeline.shut_gate();
                }
                return;
            }
            State::Running { .. } => (good, good),
            _ => (good && page.is_some(), false),
        };
        pipeline.set_gate(page, taking, sending);
    }

    pub(super) fn probe(&mut self) -> Vec<Event> {
        if let Some(browser) = &self.browser {
            let (page, expects_session) = (browser.page.clone(), self.machine.expects_session());
            let heard_within = self.machine.timing().heard_within;
            self.probing = true;
            let starts = self.context.env.launches.starts();
            self.background.push(Box::pin(async move {
                BackgroundOutcome::Probed { expects_session, starts, probe: page.probe(heard_within).await }
            }));
        }
        Vec::new()
    }

    pub(super) fn save(&mut self) -> Vec<Event> {
        if let Some(browser) = &self.browser {
            let (page, session) = (browser.page.clone(), self.session.clone());
            self.snapshot_schedule.begin(self.now());
            let link = self.machine.link();
            self.background.push(Box::pin(async move {
                BackgroundOutcome::Saved { link, saved: session.save_running(&page, link).await }
            }));
        }
        Vec::new()
    }

    /// For what changes the session without a message.
    pub(super) fn look(&mut self) -> Vec<Event> {
        let session = self.session.clone();
        self.snapshot_schedule.look();
        self.background.push(Box::pin(async move { BackgroundOutcome::Looked(session.has_changed().await) }));
        Vec::new()
    }

    /// Something on the disk or in the object store is in the way of forgetting; it may pass.
    pub(super) fn forget_again(&mut self) {
        debug!("forgetting is tried again");
        let wait = self.context.timing.ask_again;
        self.background.push(Box::pin(async move {
            sleep(wait).await;
            BackgroundOutcome::AskedToForgetAgain
        }));
    }
}
