//! Finds the events that belong to a tenant and puts their lines into the writer's channel. It never waits: what does not
//! fit is counted.
//!
//! There are two of it, and each line is one's alone. One is under the filter of the node's own log and has what that takes, of tenants
//! without a level of their own. The other is under no filter and has what this program says of tenants that have one: their
//! level is asked here and not in a filter, for a filter has to answer the same whenever it is asked about an event. What libraries say is
//! never more than the node's own log has: at DEBUG they tell what Roost would not.

use std::time::SystemTime;

use roost_model::ids::TenantId;
use roost_telemetry::Beside;
use tokio::sync::mpsc;
use tracing::{
    Event, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::Context, registry::LookupSpan};

use super::{
    levels::LogLevels,
    line::{Fields, LogLine},
    writer::{Command, Dropped},
};

/// What this program's own events have as the beginning of their targets.
const OURS: &str = "roost_";

/// See the module.
#[derive(Debug, Clone)]
pub struct WorkerLogLayer {
    pub(super) to: mpsc::Sender<Command>,
    pub(super) dropped: Dropped,
    pub(super) levels: LogLevels,
    pub(super) lines: Lines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// What the node's log has.
    AsTheNode,
    /// What tenants' own levels say.
    ByLevel,
}

/// Whose a span is.
#[derive(Debug, Clone)]
struct Owner(TenantId, i64);

impl WorkerLogLayer {
    /// Both of them, with the filter of the node's own log.
    pub fn beside(self, filter: EnvFilter) -> Beside {
        let by_level = Self { lines: Lines::ByLevel, ..self.clone() };
        let as_the_node = Layer::<Registry>::with_filter(self, filter);
        Box::new(as_the_node.and_then(by_level))
    }

    fn tell(&self, line: LogLine) {
        let tenant = line.tenant.clone();
        // Closed only while the process ends.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.to.try_send(Command::Line(line)) {
            *self.dropped.lock().entry(tenant).or_default() += 1;
        }
    }

    /// Before it is known whose it is, and at once: it is asked of whatever is logged while a tenant has a level of its own.
    fn may_take(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        match self.lines {
            Lines::AsTheNode => true,
            Lines::ByLevel => self.levels.may_take(*metadata.level()) && metadata.target().starts_with(OURS),
        }
    }

    fn takes(&self, tenant: &TenantId, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        let by_level = self.levels.takes(tenant, *metadata.level(), SystemTime::now());
        match (self.lines, by_level) {
            (Lines::AsTheNode, None) => true,
            // The other one has what is ours.
            (Lines::AsTheNode, Some(takes)) => takes && !metadata.target().starts_with(OURS),
            (Lines::ByLevel, takes) => takes.unwrap_or(false),
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for WorkerLogLayer {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        match self.lines {
            Lines::AsTheNode => None,
            Lines::ByLevel => Some(self.levels.of_interest()),
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::at(*attributes.metadata().level());
        attributes.record(&mut fields);
        if let (Some(tenant), Some(span)) = (fields.tenant, context.span(id)) {
            // Not `insert`: the other layer may have been here.
            span.extensions_mut().replace(Owner(tenant, fields.generation.unwrap_or_default()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.may_take(event) {
            return;
        }
        let metadata = event.metadata();
        let mut fields = Fields::at(*metadata.level());
        event.record(&mut fields);
        let of_span = context
            .event_scope(event)
            .and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Owner>().cloned()));
        let Fields { tenant, generation, message, fields, .. } = fields;
        let owner = match (tenant, of_span) {
            (Some(tenant), Some(Owner(of, its))) if of == tenant => (tenant, generation.unwrap_or(its)),
            (Some(tenant), _) => (tenant, generation.unwrap_or_default()),
            (None, Some(Owner(tenant, its))) => (tenant, generation.unwrap_or(its)),
            (None, None) => return,
        };
        if self.takes(&owner.0, event) {
            self.tell(LogLine::new(owner, *metadata.level(), metadata.target(), message, fields));
        }
    }
}
