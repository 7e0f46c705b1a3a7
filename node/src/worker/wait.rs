//! What a worker waits for: whatever happens next, of all that can.

use std::future::pending;

use futures::StreamExt;
use roost_cluster::lease_deadline::Standing;
use roost_engine::{InboundMessage, PageEvent};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    actor::{Actor, Browser, Errand, Order},
    browser::{Operation, Outcome},
};
use crate::pipeline::{Pipeline, PipelineError};

/// What woke the actor.
pub(super) enum Happening {
    Order(Option<Order>),
    Spec,
    Standing,
    Operation(Outcome),
    Page(Option<PageEvent>),
    /// The pipeline has room for a held message.
    Room,
    Errand(Errand),
    PipelineEnded(PipelineError),
    ReportRefused,
    Changed,
    ProbeDue,
    SaveDue,
    Tick,
}

impl Actor {
    /// Waits for the next thing to happen. Every branch may be dropped unfinished without losing anything.
    pub(super) async fn next(&mut self, standing: &mut watch::Receiver<Standing>) -> Happening {
        let now = Instant::now();
        let tick = self.machine.wake_at().map(|due| self.begun + due);
        let probe = (self.machine.wants_probes() && !self.probing).then_some(self.next_probe);
        let intake = self.pipeline.as_ref().map(|pipeline| pipeline.intake().clone());
        let save =
            self.saver.due().filter(|_| self.machine.may_save()).map(|due| (self.begun + due).max(now));
        tokio::select! {
            biased;
            // What ends the right to act comes first, what people ask for next.
            Ok(()) = standing.changed() => Happening::Standing,
            () = self.reporter.fenced(), if self.reporting => Happening::ReportRefused,
            error = ended(&mut self.pipeline) => Happening::PipelineEnded(error),
            order = self.channels.inbox.recv(), if !self.orphaned => Happening::Order(order),
            Ok(()) = self.channels.spec.changed() => Happening::Spec,
            outcome = done(&mut self.operation) => Happening::Operation(outcome),
            event = page_event(&mut self.browser), if self.held.is_empty() => Happening::Page(event),
            () = room(intake), if !self.held.is_empty() => Happening::Room,
            Some(errand) = self.errands.next() => Happening::Errand(errand),
            () = changed(&mut self.changes) => Happening::Changed,
            () = until(tick) => Happening::Tick,
            () = until(save) => Happening::SaveDue,
            () = until(probe) => Happening::ProbeDue,
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

async fn done(operation: &mut Option<Operation>) -> Outcome {
    match operation {
        Some(operation) => operation.await,
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
