//! Finds the events that belong to a tenant and puts their lines into the writer's channel. It never waits: what does not
//! fit is counted.

use roost_model::ids::TenantId;
use tokio::sync::mpsc;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    line::{Fields, LogLine},
    writer::{Command, Dropped},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct WorkerLogLayer {
    pub(super) to: mpsc::Sender<Command>,
    pub(super) dropped: Dropped,
}

/// Whose a span is.
#[derive(Debug, Clone)]
struct Owner(TenantId, i64);

impl WorkerLogLayer {
    fn tell(&self, line: LogLine) {
        let tenant = line.tenant.clone();
        // Closed only while the process ends.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.to.try_send(Command::Line(line)) {
            *self.dropped.lock().entry(tenant).or_default() += 1;
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for WorkerLogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::at(*attributes.metadata().level());
        attributes.record(&mut fields);
        if let (Some(tenant), Some(span)) = (fields.tenant, context.span(id)) {
            span.extensions_mut().insert(Owner(tenant, fields.generation.unwrap_or_default()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
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
        self.tell(LogLine::new(owner, *metadata.level(), metadata.target(), message, fields));
    }
}
