//! Which context of scripts is the page itself: the main world of the tab's own frame, as its document is now. What other
//! frames and worlds do is none of it, whatever they call.

use chromiumoxide_cdp::cdp::browser_protocol::target::TargetId;
use chromiumoxide_cdp::cdp::js_protocol::runtime::{
    EventExecutionContextCreated, EventExecutionContextDestroyed, EventExecutionContextsCleared,
    ExecutionContextId,
};
use chromiumoxide_types::MethodType;
use roost_model::causes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::cdp::Event;

#[derive(Debug)]
pub(super) struct TopDocument {
    /// A tab's own frame has the id of the tab.
    tab: TargetId,
    current: Option<Context>,
}

#[derive(Debug)]
struct Context {
    id: ExecutionContextId,
    /// Another process may use the number again.
    unique_id: String,
}

/// What Chromium says of a context beside its id.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuxData {
    is_default: bool,
    frame_id: String,
}

impl TopDocument {
    pub(super) fn of(tab: TargetId) -> Self {
        Self { tab, current: None }
    }

    pub(super) fn is(&self, context: ExecutionContextId) -> bool {
        self.current.as_ref().is_some_and(|current| current.id == context)
    }

    /// Takes an event in. `true` when the document that was known until now is over.
    pub(super) fn follow(&mut self, event: &Event) -> bool {
        if let Some(created) = of_kind::<EventExecutionContextCreated>(event) {
            let context = created.context;
            let aux_data = context.aux_data.and_then(|data| serde_json::from_value::<AuxData>(data).ok());
            let is_ours = aux_data.is_some_and(|data| data.is_default && data.frame_id == *self.tab.inner());
            if !is_ours {
                return false;
            }
            let newer = Context { id: context.id, unique_id: context.unique_id };
            return self.current.replace(newer).is_some();
        }
        let is_over = match of_kind::<EventExecutionContextDestroyed>(event) {
            Some(destroyed) => {
                let unique_id = destroyed.execution_context_unique_id;
                self.current.as_ref().is_some_and(|current| current.unique_id == unique_id)
            }
            None => event.method == EventExecutionContextsCleared::method_id(),
        };
        is_over && self.lost()
    }

    /// Its process is gone. `true` when there was a document.
    pub(super) fn lost(&mut self) -> bool {
        self.current.take().is_some()
    }
}

fn of_kind<E: MethodType + DeserializeOwned>(event: &Event) -> Option<E> {
    if event.method != E::method_id() {
        return None;
    }
    let read = serde_json::from_value(event.params.clone());
    read.inspect_err(
        |error| tracing::warn!(error = %causes(&error), method = event.method, "an event is not understood"),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(method: &str, params: Value) -> Event {
        Event::of("Runtime", method, params)
    }

    fn created(id: i64, frame: &str, is_default: bool) -> Event {
        let aux_data = json!({ "frameId": frame, "isDefault": is_default, "type": "default" });
        let context = json!({
            "id": id, "uniqueId": format!("process.{id}"), "origin": "https://x", "name": "", "auxData": aux_data,
        });
        event("executionContextCreated", json!({ "context": context }))
    }

    fn destroyed(id: i64, unique_id: &str) -> Event {
        let params = json!({ "executionContextId": id, "executionContextUniqueId": unique_id });
        event("executionContextDestroyed", params)
    }

    #[test]
    fn only_the_main_world_of_the_tabs_own_frame_is_the_document() {
        let mut top = TopDocument::of(TargetId::new("tab"));
        assert!(!top.follow(&created(1, "tab", true)) && top.is(ExecutionContextId::new(1)));
        for (id, frame, is_default) in [(2, "framed", true), (3, "tab", false)] {
            assert!(!top.follow(&created(id, frame, is_default)), "{frame}");
            assert!(!top.is(ExecutionContextId::new(id)) && top.is(ExecutionContextId::new(1)), "{frame}");
            assert!(!top.follow(&destroyed(id, &format!("process.{id}"))), "{frame}");
        }
        assert!(!top.follow(&destroyed(1, "earlier-process.1")), "the number is of another process");
        assert!(top.follow(&created(4, "tab", true)), "a document after the first");
        assert!(!top.is(ExecutionContextId::new(1)) && top.is(ExecutionContextId::new(4)));
        assert!(top.follow(&destroyed(4, "process.4")) && !top.is(ExecutionContextId::new(4)));
        assert!(!top.follow(&event("executionContextsCleared", json!({}))), "there was none any more");
    }
}
