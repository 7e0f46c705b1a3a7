//! A tenant as `roost top` knows it: what is shown of it, and no more, for there may be a hundred thousand.

use roost_proto::v1::{ConditionKind, DesiredState, SessionStatus, Worker, WorkerFigures, WorkerStatus};
use time::OffsetDateTime;

/// How a tenant is, those that need a person first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Failed,
    NoRoom,
    NodeAway,
    Failover,
    WhatsappAway,
    StoreAway,
    Refused,
    NeedsUpdate,
    Healing,
    Disconnected,
    ScanPaused,
    Unlinked,
    NeedsScan,
    Starting,
    Stopping,
    Connected,
    Answering,
    Stopped,
}

/// What a standing means for who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// It answers nobody, and not by itself again.
    Bad,
    /// It answers nobody, or may soon not.
    Waits,
    /// It is on its way.
    Passing,
    Good,
    /// It is not to run.
    Quiet,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::NoRoom => "no room",
            Self::NodeAway => "node away",
            Self::Failover => "failover",
            Self::WhatsappAway => "WhatsApp away",
            Self::StoreAway => "store away",
            Self::Refused => "refused",
            Self::NeedsUpdate => "needs update",
            Self::Unlinked => "unlinked",
            Self::Healing => "healing",
            Self::Disconnected => "disconnected",
            Self::ScanPaused => "scan paused",
            Self::NeedsScan => "needs scan",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Connected => "connected",
            Self::Answering => "answering",
            Self::Stopped => "stopped",
        }
    }

    pub fn alarm(self) -> Alarm {
        match self {
            Self::Failed | Self::NoRoom | Self::NodeAway | Self::Refused => Alarm::Bad,
            Self::Failover | Self::WhatsappAway | Self::StoreAway | Self::Healing | Self::Disconnected => {
                Alarm::Waits
            }
            Self::NeedsUpdate | Self::ScanPaused | Self::Unlinked | Self::NeedsScan => Alarm::Waits,
            Self::Starting | Self::Stopping => Alarm::Passing,
            Self::Connected | Self::Answering => Alarm::Good,
            Self::Stopped => Alarm::Quiet,
        }
    }

    fn of(worker: &Worker) -> Self {
        if worker.desired_state() == DesiredState::Stopped {
            return if worker.node_id.is_empty() { Self::Stopped } else { Self::Stopping };
        }
        let kind = worker.condition.as_ref().map(|condition| condition.kind()).unwrap_or_default();
        match kind {
            ConditionKind::Failed => Self::Failed,
            _ if worker.status() == WorkerStatus::Error => Self::Failed,
            ConditionKind::Starting => Self::Starting,
            ConditionKind::WaitingForCapacity => Self::NoRoom,
            ConditionKind::WaitingForFailover => Self::Failover,
            ConditionKind::WaitingForNode => Self::NodeAway,
            ConditionKind::WaitingForWhatsapp => Self::WhatsappAway,
            ConditionKind::WaitingForStore => Self::StoreAway,
            ConditionKind::WaitingForScan => Self::NeedsScan,
            ConditionKind::Healing => Self::Healing,
            ConditionKind::ScanPaused => Self::ScanPaused,
            ConditionKind::Answering => Self::Answering,
            ConditionKind::NeedsUpdate => Self::NeedsUpdate,
            ConditionKind::Unlinked => Self::Unlinked,
            ConditionKind::SessionRefused => Self::Refused,
            ConditionKind::None | ConditionKind::Unspecified => match worker.session_status() {
                SessionStatus::Connected => Self::Connected,
                SessionStatus::QrReady => Self::NeedsScan,
                SessionStatus::Disconnected | SessionStatus::Unspecified => Self::Disconnected,
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub tenant: String,
    pub node: String,
    pub standing: Standing,
    /// Of what it waits for; none for one that waits for nothing.
    pub since: Option<i64>,
    /// As the API has it, for who looks it up.
    pub kind: &'static str,
    pub reason: String,
    pub last_error: String,
    pub restarts: i64,
    pub figures: Figures,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    pub memory_bytes: Option<i64>,
    pub cpu_millicores: Option<i32>,
    pub messages_per_minute: Option<i32>,
    pub inbound: i64,
    pub outbound: i64,
}

impl From<&WorkerFigures> for Figures {
    fn from(told: &WorkerFigures) -> Self {
        Self {
            memory_bytes: told.memory_bytes,
            cpu_millicores: told.cpu_millicores,
            messages_per_minute: told.messages_per_minute,
            inbound: told.inbound_queue,
            outbound: told.outbound_queue,
        }
    }
}

impl Figures {
    pub fn queue(&self) -> i64 {
        self.inbound + self.outbound
    }
}

impl Line {
    /// `before`: the figures that were told of it last, for a worker does not say what waits.
    pub fn new(worker: Worker, before: Figures) -> Self {
        let standing = Standing::of(&worker);
        let condition = worker.condition.clone().unwrap_or_default();
        let kind = condition.kind();
        let waits =
            !matches!(kind, ConditionKind::None | ConditionKind::Unspecified | ConditionKind::Answering);
        let figures = Figures {
            memory_bytes: worker.memory_bytes,
            cpu_millicores: worker.cpu_millicores,
            messages_per_minute: worker.messages_per_minute,
            ..before
        };
        Self {
            standing,
            since: condition.since_time.filter(|_| waits).map(|since| since.seconds),
            kind: if waits { kind.as_str_name().trim_start_matches("CONDITION_KIND_") } else { "" },
            reason: condition.reason,
            tenant: worker.tenant_id,
            node: worker.node_id,
            last_error: worker.last_error,
            restarts: worker.restarts,
            figures,
        }
    }

    /// How it is and for how long.
    pub fn condition(&self, now: OffsetDateTime) -> String {
        let word = self.standing.word();
        match self.since {
            Some(since) => format!("{word} {}", age(now.unix_timestamp() - since)),
            None => word.to_owned(),
        }
    }

    /// What is in its way, most telling first.
    pub fn trouble(&self) -> &str {
        if self.last_error.is_empty() { &self.reason } else { &self.last_error }
    }

    /// Whether any of what is shown has the text in it, which is in small letters.
    pub fn has(&self, text: &str) -> bool {
        let has = |field: &str| contains(field, text);
        has(&self.tenant)
            || has(&self.node)
            || has(self.standing.word())
            || has(self.kind)
            || has(&self.last_error)
            || has(&self.reason)
    }
}

/// Without regard to the case of ASCII, and without a copy.
fn contains(field: &str, text: &str) -> bool {
    let (field, text) = (field.as_bytes(), text.as_bytes());
    text.is_empty() || field.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
}

/// In minutes, so that it says the same for a while.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..60 => "<1m".to_owned(),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
