//! What a file says of a tenant's worker's life. What is left out is as its node says.

use roost_proto::v1::WorkerTiming;
use serde::{Deserialize, Serialize};

use super::span::Span;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_every: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_delay: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnect_delay_max: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_after: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_crashes: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_window: Option<Span>,
}

impl From<TimingForm> for WorkerTiming {
    fn from(form: TimingForm) -> Self {
        let span = |span: Option<Span>| span.and_then(Span::to_wire);
        Self {
            probe_every: span(form.probe_every),
            stale_after: span(form.stale_after),
            start_deadline: span(form.start_deadline),
            reconnect_attempts: form.reconnect_attempts,
            reconnect_delay: span(form.reconnect_delay),
            reconnect_delay_max: span(form.reconnect_delay_max),
            stable_after: span(form.stable_after),
            stop_grace: span(form.stop_grace),
            max_crashes: form.max_crashes,
            crash_window: span(form.crash_window),
        }
    }
}

impl From<WorkerTiming> for TimingForm {
    fn from(timing: WorkerTiming) -> Self {
        let span = |span: Option<prost_types::Duration>| span.and_then(Span::of);
        Self {
            probe_every: span(timing.probe_every),
            stale_after: span(timing.stale_after),
            start_deadline: span(timing.start_deadline),
            reconnect_attempts: timing.reconnect_attempts,
            reconnect_delay: span(timing.reconnect_delay),
            reconnect_delay_max: span(timing.reconnect_delay_max),
            stable_after: span(timing.stable_after),
            stop_grace: span(timing.stop_grace),
            max_crashes: timing.max_crashes,
            crash_window: span(timing.crash_window),
        }
    }
}
