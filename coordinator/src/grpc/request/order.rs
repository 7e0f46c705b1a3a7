//! What the calls that give orders have in common: who asks and why, spans of time, ids of operations.

use std::time::Duration;

use roost_model::ids::{NodeId, OperationId};
use roost_proto::v1;
use roost_store::{Requester, WorkerAction};

use super::{Checks, Text};

const WHO: Text = Text::line(0, 100);
const WHY: Text = Text::line(0, 200);
/// The longest deadline or window: who means more has mistaken the unit.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// Of tenants that are on their way, or of workers that are told something, at once.
pub const MAX_CONCURRENT: u32 = 1_000;
const USUAL_WORKERS: u32 = 10;
/// What is known of a token: that it was accepted. The token file gives no names.
const TOKEN_HOLDER: &str = "admin";

impl Checks {
    /// Who gives the order, and why.
    pub fn by(&mut self, requested_by: String, reason: String) -> Option<Requester> {
        let name = self.text("requested_by", &WHO, requested_by);
        let reason = self.text("reason", &WHY, reason);
        let name = name.map(|name| if name.trim().is_empty() { TOKEN_HOLDER.to_owned() } else { name });
        Some(Requester { name: name?, reason: reason? })
    }

    /// A span from now on that must be given.
    pub fn span(&mut self, field: &str, given: Option<prost_types::Duration>) -> Option<Duration> {
        let span = match given {
            None => Err("is required".to_owned()),
            Some(span) => checked(span),
        };
        self.take(field, span)
    }

    /// A span from now on, or none.
    pub fn optional_span(
        &mut self,
        field: &str,
        given: Option<prost_types::Duration>,
    ) -> Option<Option<Duration>> {
        if given.is_none() { Some(None) } else { self.span(field, given).map(Some) }
    }

    /// A number from `least` to `most`; 0 stands for `default`.
    pub fn limit(&mut self, field: &str, given: i32, default: u32, most: u32) -> Option<u32> {
        let wrong = || format!("{given} is out of range: 1 to {most}, or 0 for {default}");
        let checked = match u32::try_from(given) {
            Ok(0) => Ok(default),
            Ok(limit) if limit <= most => Ok(limit),
            Ok(_) | Err(_) => Err(wrong()),
        };
        self.take(field, checked)
    }

    /// How many of an order on many workers are under way at once.
    pub fn workers_at_once(&mut self, given: i32) -> Option<u32> {
        self.limit("max_concurrent", given, USUAL_WORKERS, MAX_CONCURRENT)
    }

    /// What workers are told.
    pub fn worker_action(&mut self, given: i32) -> Option<WorkerAction> {
        let known: Option<v1::WorkerAction> = self.optional_enum("action", given)?;
        let required = || "has to be START, STOP, RESTART, FORCE_RESTART, RELINK or MOVE".to_owned();
        self.take("action", known.and_then(ordered_action).ok_or_else(required))
    }

    /// How many of the chosen workers may be away at one moment, in per cent: all, where being away is what is ordered, or
    /// nothing is taken away.
    pub fn unavailable(&mut self, action: Option<WorkerAction>, given: i32, default: u32) -> Option<u32> {
        let field = "max_unavailable_percent";
        match (action, given) {
            (Some(WorkerAction::Start | WorkerAction::Stop), 0) => Some(100),
            (Some(WorkerAction::Start | WorkerAction::Stop), _) => {
                self.take(field, Err("has no meaning for START and STOP; leave it out".to_owned()))
            }
            _ => self.limit(field, given, default, 100),
        }
    }

    /// The node that many are moved to, or none.
    pub fn move_target(&mut self, action: Option<WorkerAction>, given: &str) -> Option<Option<NodeId>> {
        if given.is_empty() || action.is_none_or(|action| action == WorkerAction::Move) {
            return self.optional_node_id("node_id", given);
        }
        self.take("node_id", Err("is for MOVE alone; leave it out".to_owned()))
    }

    /// An operation's id.
    pub fn operation_id(&mut self, given: i64) -> Option<OperationId> {
        let checked = match given {
            0 => Err("is required".to_owned()),
            ..0 => Err(format!("{given} is no id of an operation: they are positive")),
            _ => Ok(OperationId(given)),
        };
        self.take("id", checked)
    }
}

/// None for what orders nothing here.
fn ordered_action(action: v1::WorkerAction) -> Option<WorkerAction> {
    match action {
        // Settings have a call of their own.
        v1::WorkerAction::Unspecified | v1::WorkerAction::UpdateSettings => None,
        v1::WorkerAction::Start => Some(WorkerAction::Start),
        v1::WorkerAction::Stop => Some(WorkerAction::Stop),
        v1::WorkerAction::Restart => Some(WorkerAction::Restart),
        v1::WorkerAction::ForceRestart => Some(WorkerAction::ForceRestart),
        v1::WorkerAction::Relink => Some(WorkerAction::Relink),
        v1::WorkerAction::Move => Some(WorkerAction::Move),
    }
}

fn checked(given: prost_types::Duration) -> Result<Duration, String> {
    let past = || "is in the past, or no time at all; it counts from now on".to_owned();
    // By hand: prost's own conversion negates the seconds, and the least of them has no opposite.
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(given.seconds), u32::try_from(given.nanos)) else {
        return Err(past());
    };
    match Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())) {
        Duration::ZERO => Err(past()),
        span if span > LONGEST => Err("is more than 24 hours".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(seconds: i64, nanos: i32) -> Option<Duration> {
        Checks::default().span("deadline", Some(prost_types::Duration { seconds, nanos }))
    }

    #[test]
    fn a_span_is_in_the_future_and_at_most_a_day() {
        assert_eq!(span(600, 0), Some(Duration::from_secs(600)));
        assert_eq!(span(0, 1), Some(Duration::from_nanos(1)));
        assert_eq!(span(86_400, 0), Some(LONGEST));
        for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1), (86_400, 1), (i64::MAX, 0), (i64::MIN, 0)] {
            assert_eq!(span(seconds, nanos), None, "{seconds} s {nanos} ns");
        }
        assert_eq!(Checks::default().span("window", None), None);
        assert_eq!(Checks::default().optional_span("deadline", None), Some(None));
    }

    #[test]
    fn an_order_without_a_name_is_the_token_holders() {
        let by = |name: &str| Checks::default().by(name.to_owned(), "hot".to_owned()).unwrap();
        assert_eq!(
            (by("").name.as_str(), by(" ").name.as_str(), by("asha").name.as_str()),
            ("admin", "admin", "asha")
        );
        assert_eq!(by("").reason, "hot");
        let mut checks = Checks::default();
        assert!(checks.by("x".repeat(101), "a\nb".to_owned()).is_none());
        let fields: Vec<_> = checks.refusal().violations.into_iter().map(|wrong| wrong.field).collect();
        assert_eq!(fields, ["requested_by", "reason"]);
    }

    #[test]
    fn limits_have_a_default_and_a_range() {
        let limit = |given| Checks::default().limit("max_concurrent", given, 4, 1_000);
        assert_eq!((limit(0), limit(1), limit(1_000)), (Some(4), Some(1), Some(1_000)));
        assert_eq!((limit(-1), limit(1_001), limit(i32::MAX)), (None, None, None));
    }

    #[test]
    fn ids_of_operations_are_positive() {
        let id = |given| Checks::default().operation_id(given);
        assert_eq!((id(7), id(0), id(-7)), (Some(OperationId(7)), None, None));
    }
}
