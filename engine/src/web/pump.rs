//! From the browser's events to the worker's: one task per browser, in order, until the browser is gone.

use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::emulation::SetUserAgentOverrideParams;
use chromiumoxide_cdp::cdp::browser_protocol::fetch::EventRequestPaused;
use chromiumoxide_cdp::cdp::browser_protocol::inspector::EventTargetCrashed;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    EventJavascriptDialogOpening, HandleJavaScriptDialogParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::target::{EventAttachedToTarget, SessionId};
use chromiumoxide_cdp::cdp::js_protocol::heap_profiler::CollectGarbageParams;
use chromiumoxide_cdp::cdp::js_protocol::runtime::{
    DiscardConsoleEntriesParams, EventBindingCalled, EventConsoleApiCalled, ExecutionContextId,
    RunIfWaitingForDebuggerParams,
};
use chromiumoxide_types::{Command, MethodType};
use roost_model::causes;
use tokio::sync::{mpsc, watch};

use super::bridge::{BINDING, BridgeEvent, TOLD_BYTES, events_of};
use super::cdp::{ANSWERED_WITHIN, Cdp, Event, Excess};
use super::document::TopDocument;
use super::pinned::{Answer, PinnedPage};
use super::process::ProcessTree;
use crate::PageEvent;

/// From ready until what the start has left behind is collected: long enough for the page to have settled. Nobody waits for it, and
/// an idle page would not do it by itself for minutes.
const START_IS_OVER: Duration = Duration::from_secs(10);
/// The browser keeps everything that is written to the console alive for the inspector, which nobody reads here.
const CONSOLE_ENTRIES: u32 = 100;

pub(super) struct EventPump {
    pub cdp: Cdp,
    pub session: SessionId,
    pub tree: ProcessTree,
    /// What alone may tell anything.
    pub top: TopDocument,
    /// The same once the bridge is in it.
    pub document: watch::Sender<Option<ExecutionContextId>>,
    pub events: mpsc::Sender<PageEvent>,
    /// What the page has written to its console since that was last discarded.
    pub console_entries: u32,
    /// What workers are to say that they are.
    pub who: SetUserAgentOverrideParams,
    /// What is served in the place of the site's document.
    pub pinned: Option<PinnedPage>,
}

/// Why there are no more events.
enum PumpEnd {
    /// The worker does not listen any more.
    Unheard,
    Exceeded(Excess),
}

impl EventPump {
    /// Ends with [`PageEvent::Exited`]. A browser that cannot be spoken to any more is killed: nothing else could be
    /// done with it.
    pub(super) async fn run(mut self, raw: mpsc::Receiver<Event>) {
        let exceeded = self.cdp.exceeded();
        let excess = tokio::select! {
            biased;
            excess = exceeded => Some(excess),
            excess = self.take_all(raw) => excess,
        };
        self.document.send_replace(None);
        let reason = match excess {
            Some(excess) => self.tree.end_for(excess.to_string()).await,
            None => self.tree.kill().await,
        };
        // A worker that has dropped its receiver has no use for them.
        if self.tree.was_over_memory() {
            let _ = self.events.send(PageEvent::OverMemory { reason: reason.clone() }).await;
        }
        let _ = self.events.send(PageEvent::Exited { reason }).await;
    }

    /// Until there are no more, or the page has exceeded what it may tell.
    async fn take_all(&mut self, mut raw: mpsc::Receiver<Event>) -> Option<Excess> {
        while let Some(event) = raw.recv().await {
            if event.session.as_deref() != Some(self.session.inner()) {
                if event.session.is_none() && event.method == EventAttachedToTarget::method_id() {
                    self.identify(event);
                }
                continue;
            }
            match self.handle(event).await {
                Ok(()) => {}
                Err(PumpEnd::Unheard) => break,
                Err(PumpEnd::Exceeded(excess)) => return Some(excess),
            }
        }
        None
    }

    async fn handle(&mut self, event: Event) -> Result<(), PumpEnd> {
        if self.top.follow(&event) {
            self.document.send_replace(None);
        }
        if event.method == EventBindingCalled::method_id() {
            match serde_json::from_value(event.params) {
                Ok(called) => return self.told(called).await,
                Err(error) => {
                    tracing::warn!(error = %causes(&error), "a call of the bridge is not understood")
                }
            }
        } else if event.method == EventTargetCrashed::method_id() {
            self.top.lost();
            self.document.send_replace(None);
            return self.pass_on(PageEvent::Crashed { reason: "the page's renderer died".to_owned() }).await;
        } else if event.method == EventJavascriptDialogOpening::method_id() {
            self.command("answering a dialog", HandleJavaScriptDialogParams::new(true));
        } else if event.method == EventRequestPaused::method_id() {
            self.answer(event);
        } else if event.method == EventConsoleApiCalled::method_id() {
            self.console_entries += 1;
            if self.console_entries == CONSOLE_ENTRIES {
                self.console_entries = 0;
                self.command("discarding the console", DiscardConsoleEntriesParams::default());
            }
        }
        Ok(())
    }

    /// A document that is not answered does not load, which whoever waits for it finds out.
    fn answer(&self, event: Event) {
        let Some(pinned) = &self.pinned else { return };
        match pinned.answer(event.params) {
            Ok(Answer::Document(document)) => self.command("serving the pinned page", document),
            Ok(Answer::GoOn(request)) => self.command("letting a request go on", request),
            Err(error) => {
                tracing::warn!(error = %causes(&error), "a paused request of the page is not understood");
            }
        }
    }

    /// A shared or a service worker, or another tab, that waits to begin.
    fn identify(&self, event: Event) {
        let Ok(attached) = serde_json::from_value::<EventAttachedToTarget>(event.params) else { return };
        let (cdp, who) = (self.cdp.clone(), self.who.clone());
        tokio::spawn(async move {
            let session = Some(&attached.session_id);
            let named = cdp.call("giving a worker a name", session, who, ANSWERED_WITHIN).await;
            let begin = RunIfWaitingForDebuggerParams::default();
            let begun = cdp.call("letting a worker begin", session, begin, ANSWERED_WITHIN).await;
            if let Err(error) = named.and(begun) {
                tracing::warn!(error = %causes(&error), "a worker of the page was not told who it is");
            }
        });
    }

    async fn told(&self, called: EventBindingCalled) -> Result<(), PumpEnd> {
        if called.name != BINDING || !self.top.is(called.execution_context_id) {
            return Ok(());
        }
        if called.payload.len() > TOLD_BYTES {
            return Err(PumpEnd::Exceeded(Excess::Payload { limit: TOLD_BYTES }));
        }
        for event in events_of(&called.payload) {
            if matches!(event, BridgeEvent::Loaded { .. }) {
                self.document.send_replace(Some(called.execution_context_id));
            }
            if matches!(event, BridgeEvent::Ready { .. }) {
                self.collect_garbage();
            }
            let Some(event) = event.into_page_event() else { continue };
            self.pass_on(event).await?;
        }
        Ok(())
    }

    /// Once the start is over. Some 2 MiB of each page, for 40 ms of its thread.
    fn collect_garbage(&self) {
        let (cdp, session, document) = (self.cdp.clone(), self.session.clone(), self.document.subscribe());
        tokio::spawn(async move {
            tokio::time::sleep(START_IS_OVER).await;
            if document.borrow().is_none() {
                return;
            }
            let collect = CollectGarbageParams::default();
            if let Err(error) = cdp.call("collecting garbage", Some(&session), collect, ANSWERED_WITHIN).await
            {
                tracing::debug!(error = %causes(&error), "what the start has left behind is not collected");
            }
        });
    }

    /// Waits for room only while the worker is at something else: it takes events whatever is away, and those of a page that
    /// tells faster have a bound ([`Excess::Events`]).
    async fn pass_on(&self, event: PageEvent) -> Result<(), PumpEnd> {
        self.events.send(event).await.map_err(|_| PumpEnd::Unheard)
    }

    /// Sends a command whose answer changes nothing, without keeping the events waiting for it.
    fn command<C: Command + Send + 'static>(&self, step: &'static str, command: C)
    where
        C::Response: Send,
    {
        let (cdp, session) = (self.cdp.clone(), self.session.clone());
        tokio::spawn(async move {
            if let Err(error) = cdp.call(step, Some(&session), command, ANSWERED_WITHIN).await {
                tracing::warn!(error = %causes(&error), "a command to the page failed");
            }
        });
    }
}
