//! What is printed of the API's messages. JSON and YAML have the field names of the .proto files, the enums without their
//! prefix and the times as RFC 3339; a field that is not set is null.

mod applied;
mod audit;
mod chat;
mod cluster;
mod condition_change;
mod dead_letter;
mod event;
mod fleet;
mod import;
mod log_level;
mod log_line;
mod look;
mod member;
mod message;
mod node;
mod operation;
mod pairing_code;
mod placement;
mod plan;
mod preview;
mod session;
mod settings;
mod setup_request;
mod snapshot;
mod tenant;
mod timing;
mod token;
mod usage;
mod user;
mod version;
mod worker;
mod worker_description;

use prost_types::Timestamp;
use time::OffsetDateTime;

pub use applied::{AppliedView, Counts};
pub use audit::AuditEntryView;
pub use chat::ChatView;
pub use cluster::{ClusterView, PolicyView};
pub use condition_change::ConditionChangeView;
pub use dead_letter::{DeadLetterView, RedriveView};
pub use event::EventView;
pub use fleet::{FleetPlanView, WorkerFailureView};
pub use import::{ImportResult, ImportView};
pub use log_level::LogLevelView;
pub use log_line::LogLineView;
pub use look::LookView;
pub use member::{InvitationView, LinkView, MemberView};
pub use message::{ErasureView, MessageView};
pub use node::NodeView;
pub use operation::{MoveView, OperationView};
pub use pairing_code::PairingCodeView;
pub use placement::PlacementView;
pub use plan::PlanView;
pub use preview::PreviewedMessageView;
pub use session::SessionView;
pub use settings::SettingsPlanView;
pub use setup_request::SetupRequestView;
pub use snapshot::{SessionSnapshotView, SnapshotOrphanView};
pub use tenant::{MenuItemView, TenantView};
pub use token::{CallerView, NewTokenView, TokenView};
pub use user::{NewUserView, UserView};
pub use version::{RolloutPlanView, VersionView};
pub use worker::WorkerView;
pub use worker_description::WorkerDescriptionView;

/// `TENANT_STATUS_ACTIVE` as `ACTIVE`; a value from a newer coordinator as its number.
fn enum_name<E: TryFrom<i32>>(value: i32, prefix: &str, name: impl Fn(&E) -> &'static str) -> String {
    E::try_from(value)
        .map_or_else(|_| value.to_string(), |known| name(&known).trim_start_matches(prefix).to_owned())
}

fn rfc3339(at: &Option<Timestamp>) -> Option<String> {
    at.as_ref().map(Timestamp::to_string)
}

/// For tables: how long ago within a day, the date and time before that.
fn ago(at: Option<&str>) -> String {
    at.map(|at| ago_from(at, OffsetDateTime::now_utc())).unwrap_or_default()
}

fn ago_from(at: &str, now: OffsetDateTime) -> String {
    use time::format_description::well_known::Rfc3339;
    let Ok(then) = OffsetDateTime::parse(at, &Rfc3339) else { return at.to_owned() };
    match (now - then).whole_seconds() {
        ..=0 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds}s ago"),
        seconds @ 60..3_600 => format!("{}m ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{} {:02}:{:02}Z", then.date(), then.hour(), then.minute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_relative_to_now_within_a_day() {
        let now = time::macros::datetime!(2026-11-20 12:00:00 UTC);
        let told = |at| ago_from(at, now);
        assert_eq!(told("2026-11-20T12:00:00Z"), "now");
        assert_eq!(told("2026-11-20T11:59:48Z"), "12s ago");
        assert_eq!(told("2026-11-20T11:00:01Z"), "59m ago");
        assert_eq!(told("2026-11-19T12:00:01Z"), "23h ago");
        assert_eq!(told("2026-11-19T12:00:00Z"), "2026-11-19 12:00Z");
    }
}
