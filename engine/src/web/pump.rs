//! From the browser's events to the worker's: one task per browser, in order, until the browser is gone.

use chromiumoxide_cdp::cdp::browser_protocol::inspector::EventTargetCrashed;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    EventJavascriptDialogOpening, HandleJavaScriptDialogParams,
};
use chromiumoxide_cdp::cdp::browser_protocol::target::SessionId;
use chromiumoxide_cdp::cdp::js_protocol::runtime::{
    DiscardConsoleEntriesParams, EventBindingCalled, EventConsoleApiCalled, ExecutionContextId,
};
use chromiumoxide_types::{Command, MethodType};
use tokio::sync::{mpsc, watch};

use super::bridge::{BINDING, BridgeEvent};
use super::cdp::{ANSWERED_WITHIN, Cdp, Event};
use super::process::ProcessTree;
use crate::PageEvent;

/// The browser keeps everything that is written to the console alive for the inspector, which nobody reads here.
const CONSOLE_ENTRIES: u32 = 100;

pub(super) struct EventPump {
    pub cdp: Cdp,
    pub session: SessionId,
    pub tree: ProcessTree,
    pub document: watch::Sender<Option<ExecutionContextId>>,
    pub events: mpsc::Sender<PageEvent>,
    /// What the page has written to its console since that was last discarded.
    pub console_entries: u32,
}

impl EventPump {
    /// Ends with [`PageEvent::Exited`]. A browser that cannot be spoken to any more is killed: nothing else could be
    /// done with it.
    pub(super) async fn run(mut self, mut raw: mpsc::Receiver<Event>) {
        while let Some(event) = raw.recv().await {
            if event.session.as_deref() != Some(self.session.inner()) {
                continue;
            }
            if !self.handle(event).await {
                break;
            }
        }
        self.document.send_replace(None);
        let reason = self.tree.kill().await;
        // A worker that has dropped its receiver has no use for it.
        let _ = self.events.send(PageEvent::Exited { reason }).await;
    }

    /// `false` when the worker does not listen any more.
    async fn handle(&mut self, event: Event) -> bool {
        if event.method == EventBindingCalled::method_id() {
            match serde_json::from_value(event.params) {
                Ok(called) => return self.told(called).await,
                Err(error) => tracing::warn!(%error, "a call of the bridge is not understood"),
            }
        } else if event.method == EventTargetCrashed::method_id() {
            self.document.send_replace(None);
            return self.pass_on(PageEvent::Crashed { reason: "the page's renderer died".to_owned() }).await;
        } else if event.method == EventJavascriptDialogOpening::method_id() {
            self.command("answering a dialog", HandleJavaScriptDialogParams::new(true));
        } else if event.method == EventConsoleApiCalled::method_id() {
            self.console_entries += 1;
            if self.console_entries == CONSOLE_ENTRIES {
                self.console_entries = 0;
                self.command("discarding the console", DiscardConsoleEntriesParams::default());
            }
        }
        true
    }

    async fn told(&self, called: EventBindingCalled) -> bool {
        if called.name != BINDING {
            return true;
        }
        let events: Vec<BridgeEvent> = match serde_json::from_str(&called.payload) {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(%error, "the bridge tells what this build does not understand");
                return true;
            }
        };
        for event in events {
            if matches!(event, BridgeEvent::Loaded) {
                self.document.send_replace(Some(called.execution_context_id));
            }
            let Some(event) = event.into_page_event() else { continue };
            if !self.pass_on(event).await {
                return false;
            }
        }
        true
    }

    /// Waits for room: the raw events behind it have a queue of their own, and the bridge a window.
    async fn pass_on(&self, event: PageEvent) -> bool {
        self.events.send(event).await.is_ok()
    }

    /// Sends a command whose answer changes nothing, without keeping the events waiting for it.
    fn command<C: Command + Send + 'static>(&self, step: &'static str, command: C)
    where
        C::Response: Send,
    {
        let (cdp, session) = (self.cdp.clone(), self.session.clone());
        tokio::spawn(async move {
            if let Err(error) = cdp.call(step, Some(&session), command, ANSWERED_WITHIN).await {
                tracing::warn!(%error, "a command to the page failed");
            }
        });
    }
}
