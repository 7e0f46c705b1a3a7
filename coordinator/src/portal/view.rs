//! What a page shows of a worker and its session: one state that a business understands, and what it can do about it. Pure.

use roost_store::{ConditionKind, DesiredState, Session, SessionStatus, Worker};
use serde::Serialize;
use time::OffsetDateTime;

use super::{moment::Moment, signed::Member};

/// By which it is decided who sees the code: it is the session's.
const LINK: &str = "/roost.v1.SessionService/GetSession";

/// Named as the catalogues name them: `state-scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Answering,
    Scan,
    ScanPaused,
    Unlinked,
    Starting,
    Healing,
    Waiting,
    Paused,
    Error,
}

/// Named as the catalogues name them: `order-log-out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    Pause,
    Resume,
    Restart,
    LogOut,
    ShowCodes,
    PairingCode,
    ScanLink,
}

impl Order {
    /// The call that it is, by which it is decided who may give it.
    pub fn call(self) -> &'static str {
        match self {
            Self::Pause => "/roost.v1.WorkerService/StopWorker",
            Self::Resume => "/roost.v1.WorkerService/StartWorker",
            Self::Restart => "/roost.v1.WorkerService/RestartWorker",
            Self::LogOut => "/roost.v1.SessionService/Logout",
            Self::ShowCodes => "/roost.v1.SessionService/ResumeLinking",
            Self::PairingCode => "/roost.v1.SessionService/RequestPairingCode",
            Self::ScanLink => "/roost.v1.SessionService/CreateScanLink",
        }
    }
}

/// The card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    tenant: String,
    form_token: String,
    state: State,
    /// A picture of the code that waits to be scanned.
    qr: Option<String>,
    account: Option<String>,
    since: Option<Moment>,
    /// When its worker was last seen; not while it is seen all the time.
    seen: Option<Moment>,
    orders: Vec<Order>,
    /// Only where one was asked for just now.
    code: Option<String>,
    phone: Option<String>,
    /// As a code: by which somebody else scans.
    scan_link: Option<String>,
}

impl Status {
    pub fn of(member: &Member, worker: &Worker, session: &Session, now: OffsetDateTime) -> Self {
        let code = session.code(now);
        let state = state(worker, code.is_some());
        let account = session.account.as_ref().filter(|_| state != State::Scan);
        let named = |account: &roost_store::LinkedAccount| match account.push_name.as_str() {
            "" => format!("+{}", account.number),
            name => format!("{name} (+{})", account.number),
        };
        Self {
            tenant: member.tenant.to_string(),
            form_token: member.form_token.clone(),
            state,
            qr: code.filter(|_| member.may(LINK)).map(|code| code.data_uri.clone()),
            account: account.map(named),
            since: session.connected_at.and_then(Moment::of),
            seen: session.last_seen_at.filter(|_| state != State::Answering).and_then(Moment::of),
            orders: orders(state, session).into_iter().filter(|order| member.may(order.call())).collect(),
            code: None,
            phone: None,
            scan_link: None,
        }
    }
}

impl Status {
    /// With a code that is to be typed on that phone.
    pub fn with_code(self, code: String, phone: String) -> Self {
        Self { code: Some(code), phone: Some(phone), ..self }
    }

    /// With a link for whoever has the phone.
    pub fn with_scan_link(self, link: String) -> Self {
        Self { scan_link: Some(link), ..self }
    }
}

pub(super) fn state(worker: &Worker, shows_code: bool) -> State {
    if worker.desired == DesiredState::Stopped {
        return State::Paused;
    }
    match worker.condition.kind {
        ConditionKind::Answering => State::Answering,
        ConditionKind::WaitingForScan => State::Scan,
        ConditionKind::ScanPaused => State::ScanPaused,
        ConditionKind::Unlinked if shows_code => State::Scan,
        ConditionKind::Unlinked => State::Unlinked,
        ConditionKind::Starting if shows_code => State::Scan,
        ConditionKind::None | ConditionKind::Starting => State::Starting,
        ConditionKind::Healing => State::Healing,
        ConditionKind::Failed | ConditionKind::SessionRefused | ConditionKind::NeedsUpdate => State::Error,
        ConditionKind::WaitingForCapacity
        | ConditionKind::WaitingForFailover
        | ConditionKind::WaitingForNode
        | ConditionKind::WaitingForWhatsapp
        | ConditionKind::WaitingForStore => State::Waiting,
    }
}

/// What helps in this state, the likeliest first.
fn orders(state: State, session: &Session) -> Vec<Order> {
    let is_linked = session.status == SessionStatus::Connected;
    let mut orders = match state {
        State::Paused => vec![Order::Resume],
        State::Scan => vec![Order::PairingCode, Order::ScanLink, Order::Pause],
        State::ScanPaused => vec![Order::ShowCodes, Order::PairingCode, Order::ScanLink, Order::Pause],
        State::Error => vec![Order::Restart, Order::Pause],
        State::Answering | State::Unlinked | State::Starting | State::Healing | State::Waiting => {
            vec![Order::Pause]
        }
    };
    if is_linked {
        orders.push(Order::LogOut);
    }
    orders
}
