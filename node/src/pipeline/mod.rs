//! A tenant's messages, from the page's event to the acknowledged reply.
//!
//! ```text
//!   page event -> intake -> Admit (batch, fenced) -> confirm to the page
//!                             -> Answer (one of a chat at a time) -> reply limit -> Complete (batch, fenced)
//!                                  -> pace -> Claim, if it could not go at once -> Send (together, one of a chat at a time)
//!                                  -> MarkSent (batch, fenced)
//! ```
//!
//! Why a message is answered once, whatever crashes (I6):
//! - Before Admit has committed, the page has not acknowledged it: WhatsApp delivers it again.
//! - Admit is unique by WhatsApp's id, so what is delivered again is found and only confirmed.
//! - An answer is durable together with the end of its question, so no question is answered twice. Answers become
//!   durable in the order in which they were given; a crash takes the last ones, and those are asked for again.
//! - A reply is claimed before its first try, so one that is not claimed was not sent. One that an earlier owner claimed is
//!   only looked for in the page at first; what the page does not know is sent again or held, by the tenant's resend policy.
//! - A reply's id is derived from the question ([`reply_id`]): a second send of it is found by the page, and a second
//!   completion, by whomever, is the same row.
//!
//! What is not answered: groups, status, broadcasts, channels, and the tenant's own messages. They are neither stored
//! nor logged. Media without a caption is a message with an empty body and is answered. A body longer than
//! [`BODY_BYTES`] is cut, as is a reply.
//!
//! A send that nobody acknowledged may be the page's fault: whose it is, `send_judge` says.
//!
//! `inbound` and `outbound` decide what is to be done next and are pure; `driver` does it. Whatever Postgres does
//! not take is tried again until it does, in order, while the page holds what it has not acknowledged.

mod chat_queues;
mod context;
mod driver;
mod inbound;
mod intake;
mod jobs;
mod limit;
mod outbound;
mod send_judge;
mod send_pace;
mod send_tally;
mod sends;
mod sliding_window;
mod traffic;

use std::{sync::Arc, time::Duration};

use roost_model::causes;
use roost_store::{StoreError, Tenant};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

pub use context::{BODY_BYTES, PipelineContext};
pub use intake::Intake;
pub use outbound::reply_id;
pub use send_tally::SendTally;
pub use traffic::Traffic;

use context::Gate;
use roost_engine::Page;

/// Why a pipeline ended.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the pipeline's task ended: {reason}")]
    Died { reason: String },
}

impl PipelineError {
    /// Whether the tenant is not ours any more.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

/// A running pipeline; dropping it ends it at once, wherever it stands, which loses nothing.
pub struct Pipeline {
    intake: Arc<Intake>,
    gate: watch::Sender<Gate>,
    tenant: watch::Sender<Arc<Tenant>>,
    idle: watch::Receiver<bool>,
    changes: watch::Receiver<u64>,
    page_faults: watch::Receiver<u32>,
    task: AbortOnDropHandle<StoreError>,
}

impl Pipeline {
    /// Starts with an empty gate: pending rows are read and answered, nothing is taken or sent.
    pub fn spawn(context: PipelineContext) -> Self {
        let intake = Arc::new(Intake::default());
        let (gate, gate_seen) = watch::channel(Gate::default());
        let (tenant, tenant_seen) = watch::channel(context.tenant.clone());
        let (idle_told, idle) = watch::channel(false);
        let (changes_told, changes) = watch::channel(0);
        let (page_faults_told, page_faults) = watch::channel(0);
        let channels = driver::DriverChannels {
            intake: intake.clone(),
            gate: gate_seen,
            tenant: tenant_seen,
            idle: idle_told,
            changes: changes_told,
            page_faults: page_faults_told,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(driver::run(context, channels).in_current_span()));
        Self { intake, gate, tenant, idle, changes, page_faults, task }
    }

    /// Where messages from the page go in.
    pub fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// Says what may be done from now on; takes effect before the next job begins.
    pub fn set_gate(&self, page: Option<Arc<dyn Page>>, taking: bool, sending: bool) {
        self.gate.send_if_modified(|gate| {
            let opened = gate.opened + u64::from(sending && !gate.sending);
            let wanted = Gate { page, taking, sending, opened };
            let changes = *gate != wanted;
            *gate = wanted;
            changes
        });
    }

    /// Nothing is taken or sent any more with the page as it is.
    pub fn shut_gate(&self) {
        self.gate.send_modify(|gate| (gate.taking, gate.sending) = (false, false));
    }

    /// The business changed its settings, or something in its queues was changed by order.
    pub fn update(&self, tenant: Arc<Tenant>) {
        self.tenant.send_replace(tenant);
    }

    /// Grows with each message received or sent: each moves the session's ratchet.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Whether nothing is under way: all that can be answered and sent now is.
    pub fn idle(&self) -> watch::Receiver<bool> {
        self.idle.clone()
    }

    /// How many pages in a row were found not to send; 0 once WhatsApp acknowledges a send. The page is to be healed each
    /// time that it grows.
    pub fn page_faults(&self) -> watch::Receiver<u32> {
        self.page_faults.clone()
    }

    /// A handle that finishes what is in flight without taking more; see [`Drain::finish`].
    pub fn drain(&self) -> Drain {
        Drain { gate: self.gate.clone(), idle: self.idle.clone() }
    }

    /// Waits until the pipeline cannot go on.
    pub async fn failed(&mut self) -> PipelineError {
        match (&mut self.task).await {
            Ok(error) => error.into(),
            Err(error) => PipelineError::Died { reason: causes(&error).to_string() },
        }
    }
}

/// The end of a pipeline's work with a page.
pub struct Drain {
    gate: watch::Sender<Gate>,
    idle: watch::Receiver<bool>,
}

impl Drain {
    /// Takes no more messages and waits until all that can be answered and sent now is, at most `within`. `false`
    /// when something was left: it is pending in the database and the next start goes on with it.
    pub async fn finish(mut self, within: Duration) -> bool {
        self.gate.send_modify(|gate| gate.taking = false);
        let done = timeout(within, self.idle.wait_for(|idle| *idle)).await;
        self.gate.send_modify(|gate| *gate = Gate { opened: gate.opened, ..Gate::default() });
        matches!(done, Ok(Ok(_)))
    }
}
