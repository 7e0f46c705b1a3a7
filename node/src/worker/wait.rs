//! What a worker waits for: whatever happens next, of all that can.

use std::future::pending;

use futures::StreamExt;
use roost_cluster::fence::Standing;
use roost_engine::{InboundMessage, PageEvent};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    actor::{Actor, BackgroundOutcome, Browser, WorkerCommand},
    browser::{BrowserTask, BrowserTaskOutcome},
};
use crate::pipeline::{Pipeline, PipelineError};

/// What woke the actor.
pub(super) enum Wakeup {
    Command(Option<WorkerCommand>),
    Spec,
    Standing,
    BrowserTask(BrowserTaskOutcome),
    Page(Option<PageEvent>),
    /// The pipeline has room for a held message.
    Room,
    Background(BackgroundOutcome),
    PipelineEnded(PipelineError),
    ReportRefused,
    Changed,
    ProbeDue,
    SaveDue,
    Tick,
}

impl Actor {
    /// Waits for the next thing to happen. Every branch may be dropped unfinished without losing anything.
    pub(super) async fn next(&mut self, standing: &mut watch::Receiver<Standing>) -> Wakeup {
        let now = Instant::now();
        let tick = self.machine.wake_at().map(|due| self.begun + due);
        let probe = (self.machine.wants_probes() && !self.probing).then_some(self.next_probe);
        let intake = self.pipeline.as_ref().map(|pipeline| pipeline.intake().clone());
        let save = self
            .snapshot_schedule
            .due()
            .filter(|_| self.machine.may_save())
            .map(|due| (self.begun + due).max(now));
        tokio::select! {
            biased;
            // What ends the right to act comes first, what people ask for next.
            Ok(()) = standing.changed() => Wakeup::Standing,
            () = self.reporter.fenced(), if self.reporting => Wakeup::ReportRefused,
            error = ended(&mut self.pipeline) => Wakeup::PipelineEnded(error),
            command = self.channels.inbox.recv(), if !self.handle_dropped => Wakeup::Command(command),
            Ok(()) = self.channels.spec.changed() => Wakeup::Spec,
            outcome = done(&mut self.browser_task) => Wakeup::BrowserTask(outcome),
            event = page_event(&mut self.browser), if self.held.is_empty() => Wakeup::Page(event),
            () = room(intake), if !self.held.is_empty() => Wakeup::Room,
            Some(outcome) = self.background.next() => Wakeup::Background(outcome),
            () = changed(&mut self.changes) => Wakeup::Changed,
            () = until(tick) => Wakeup::Tick,
            () = until(save) => Wakeup::SaveDue,
            () = until(probe) => Wakeup::ProbeDue,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

async fn done(browser_task: &mut Option<BrowserTask>) -> BrowserTaskOutcome {
    match browser_task {
        Some(browser_task) => browser_task.await,
        None => pending().await,
    }
}

async fn page_event(browser: &mut Option<Browser>) -> Option<PageEvent> {
    match browser {
        Some(browser) if !browser.events.is_closed() || !browser.events.is_empty() => {
            browser.events.recv().await
        }
        _ => pending().await,
    }
}

async fn ended(pipeline: &mut Option<Pipeline>) -> PipelineError {
    match pipeline {
        Some(pipeline) => pipeline.failed().await,
        None => pending().await,
    }
}

/// Waits until the pipeline takes a message, or is gone.
async fn room(intake: Option<mpsc::Sender<InboundMessage>>) {
    if let Some(intake) = intake {
        // An error says that it is closed; the message is then dealt with like one without a pipeline.
        let _permit = intake.reserve().await;
    }
}

async fn changed(changes: &mut Option<watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    pending().await
}
