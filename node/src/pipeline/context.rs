//! What the parts of a pipeline share: what they work with, what they may do now, and their bounds.

use std::{sync::Arc, time::Duration};

use roost_engine::Page;
use roost_responder::Responder;
use roost_store::{Fence, Store, Tenant};

use super::{send_tally::SendTally, traffic::Traffic};

/// WhatsApp's own limit for a text, in bytes here: a body above it is cut at a character's end.
pub const BODY_BYTES: usize = 65_536;

/// Time since the pipeline began, plus the reply limit's window; see [`super::sliding_window`].
pub(super) type PipelineTime = Duration;

/// At most [`BODY_BYTES`], without half a character at the end.
pub(super) fn cut(mut body: String) -> String {
    if body.len() > BODY_BYTES {
        body.truncate(body.floor_char_boundary(BODY_BYTES));
        body.shrink_to_fit();
    }
    body
}

/// The most messages that one statement carries.
pub(super) const BATCH: usize = 64;

/// What the pipeline works with.
pub struct PipelineContext {
    pub fence: Fence,
    pub store: Store,
    pub tenant: Arc<Tenant>,
    pub responder: Arc<dyn Responder>,
    /// Counts what goes through, over all pipelines of a worker.
    pub traffic: Traffic,
    /// Counts what came of sends, likewise.
    pub sends: SendTally,
}

/// What the pipeline may do now.
#[derive(Clone, Default)]
pub(super) struct Gate {
    /// The page that confirms and sends; `None` while there is no browser.
    pub page: Option<Arc<dyn Page>>,
    /// New messages may be made durable.
    pub taking: bool,
    /// Replies may be sent.
    pub sending: bool,
    /// How often that became so: a page that was healed is another one.
    pub opened: u64,
}

impl Gate {
    pub fn may_send(&self) -> bool {
        self.sending && self.page.is_some()
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        let same_page = match (&self.page, &other.page) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_page && self.taking == other.taking && self.sending == other.sending
    }
}
