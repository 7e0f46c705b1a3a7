//! Orders that are refused, each with what to do instead.

use roost_model::{
    Role,
    ids::{NodeId, OperationId, TenantId},
};

use std::fmt;

use roost_cluster::{
    controller::Survey,
    plan::{AdmissionDenial, Intake, NodeView, TenantView, Wanted},
    records::Phase,
};
use roost_store::{SessionStatus, WorkerAction};

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoLiveNode {
        node: NodeId,
    },
    NoTenant {
        tenant: TenantId,
    },
    /// It is known, and away.
    NodeAway {
        node: NodeId,
    },
    LastOpenNode {
        node: NodeId,
    },
    NotAdmitted {
        node: NodeId,
        denial: AdmissionDenial,
    },
    TenantStopped {
        tenant: TenantId,
    },
    ThereAlready {
        tenant: TenantId,
        node: NodeId,
    },
    PinnedElsewhere {
        tenant: TenantId,
        node: NodeId,
    },
    /// There is no code to be typed on the phone.
    NoPairing {
        tenant: TenantId,
        why: NoPairing,
    },
    /// Nor is one shown before somebody asks for it.
    ScanPaused {
        tenant: TenantId,
    },
    /// No QR code waits to be scanned.
    NoCode {
        tenant: TenantId,
        status: SessionStatus,
    },
    /// Nothing of it runs that could be looked at.
    NoWorkerRuns {
        tenant: TenantId,
    },
    /// An order on many workers is about none; `selector` is empty for all.
    NoneChosen {
        action: WorkerAction,
        selector: String,
    },
    TooManyChosen {
        most: u32,
    },
    /// None of those that are chosen has somewhere to move; the first of them, each with the reason.
    NoneCanMove {
        first: Vec<(TenantId, String)>,
        more: usize,
    },
    /// Nor has any to.
    AllThereAlready {
        node: NodeId,
    },
    NoRollout {
        version: String,
        why: NoRollout,
    },
    /// Of an update of settings.
    NoUndo {
        operation: OperationId,
        why: NoUndo,
    },
    /// Nobody with this role could sign in.
    NoSecretsKey {
        role: Role,
    },
}

/// Why a version is not rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRollout {
    IsTheFleets,
    /// So many answer and have none of their own.
    TooFew {
        candidates: u64,
    },
}

/// Why an operation is not undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoUndo {
    NoUpdate,
    Runs,
    UndoneBy(OperationId),
    /// None of its tenants has still what it was given; the first of those that have other values, each with the reason.
    NothingLeft {
        first: Vec<(TenantId, String)>,
        more: usize,
    },
}

/// Why there is no code to be typed on the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPairing {
    OtherPhone {
        given: String,
        own: String,
    },
    Stopped,
    Linked,
    /// The page's word, or WhatsApp's.
    ByWhatsapp {
        reason: String,
    },
    /// Its page was not there in time.
    Overdue,
    /// Somebody has asked for another one since.
    Overtaken,
}

/// A node that is to be emptied must be there, and its tenants must have somewhere to go.
pub fn may_drain(survey: &Survey, node: &NodeId, force: bool) -> Result<(), Refusal> {
    let view = live(survey, node)?;
    let has_other = || survey.snapshot.nodes.iter().any(|other| other.node != *node && is_open(other));
    match view.intake {
        Intake::Leaving if !is_draining(survey, node) => {
            Err(Refusal::NotAdmitted { node: node.clone(), denial: AdmissionDenial::Leaving })
        }
        _ if !force && !has_other() => Err(Refusal::LastOpenNode { node: node.clone() }),
        _ => Ok(()),
    }
}

/// The tenant must run, and be able to run there.
pub fn may_move(survey: &Survey, tenant: &TenantId, to: &NodeId) -> Result<(), Refusal> {
    let view = wanted(survey, tenant)?;
    live(survey, to)?;
    if view.wanted != Wanted::Running {
        return Err(Refusal::TenantStopped { tenant: tenant.clone() });
    }
    if is_on(view, to) {
        return Err(Refusal::ThereAlready { tenant: tenant.clone(), node: to.clone() });
    }
    admitted(survey, &view.sent_to(to), to)
}

/// The node that many are to move to must be there and take tenants.
pub fn may_take_many(survey: &Survey, to: &NodeId) -> Result<(), Refusal> {
    let denial = match live(survey, to)?.intake {
        _ if survey.snapshot.unreadable.contains_key(to) => AdmissionDenial::Unreadable,
        Intake::Open | Intake::Suspect | Intake::Impaired => return Ok(()),
        Intake::Cordoned => AdmissionDenial::Cordoned,
        Intake::Shedding => AdmissionDenial::Shedding,
        Intake::Draining | Intake::Overdue => AdmissionDenial::Draining,
        Intake::Leaving => AdmissionDenial::Leaving,
    };
    Err(Refusal::NotAdmitted { node: to.clone(), denial })
}

/// The node must be able to take the tenant, unless it has it already and is to keep what it has.
pub fn may_pin(survey: &Survey, tenant: &TenantId, to: &NodeId) -> Result<(), Refusal> {
    let view = wanted(survey, tenant)?;
    let node = live(survey, to)?;
    let keeps = matches!(node.intake, Intake::Open | Intake::Suspect | Intake::Impaired | Intake::Cordoned);
    if is_on(view, to) && keeps { Ok(()) } else { admitted(survey, &view.pinned_to(to), to) }
}

/// A window is for the restart of a node that is there.
pub fn may_open_window(survey: &Survey, node: &NodeId) -> Result<(), Refusal> {
    match live(survey, node) {
        Err(_) if is_known(survey, node) => Err(Refusal::NodeAway { node: node.clone() }),
        found => found.map(|_| ()),
    }
}

/// Whether anything is known of the node: it is live, tenants are placed there, or something is ordered of it.
fn is_known(survey: &Survey, node: &NodeId) -> bool {
    survey.nodes.contains_key(node)
        || survey.snapshot.tenants.iter().any(|tenant| tenant.last.as_ref() == Some(node))
        || survey.orders.nodes.iter().any(|order| order.node == *node)
}

fn live<'a>(survey: &'a Survey, node: &NodeId) -> Result<&'a NodeView, Refusal> {
    let found = survey.snapshot.nodes.iter().find(|view| view.node == *node);
    found.ok_or_else(|| Refusal::NoLiveNode { node: node.clone() })
}

/// Not one that is deleted: a node may have that still.
fn wanted<'a>(survey: &'a Survey, tenant: &TenantId) -> Result<&'a TenantView, Refusal> {
    let mut tenants = survey.snapshot.tenants.iter();
    let found = tenants.find(|view| view.tenant == *tenant && view.wanted != Wanted::Deleted);
    found.ok_or_else(|| Refusal::NoTenant { tenant: tenant.clone() })
}

fn is_on(tenant: &TenantView, node: &NodeId) -> bool {
    tenant.holds.iter().any(|hold| hold.node == *node && hold.phase == Phase::Active)
}

fn is_open(node: &NodeView) -> bool {
    node.intake.takes() && node.capacity > 0
}

fn is_draining(survey: &Survey, node: &NodeId) -> bool {
    use roost_cluster::ledger::OperationKind;
    survey.orders.operations.iter().any(
        |operation| matches!(&operation.kind, OperationKind::Drain { node: drained, .. } if drained == node),
    )
}

/// The cluster's own rule, asked about the tenant as it is to be.
fn admitted(survey: &Survey, tenant: &TenantView, to: &NodeId) -> Result<(), Refusal> {
    survey.snapshot.admits(to, tenant).map_err(|denial| match denial {
        AdmissionDenial::PinnedElsewhere { pin } => {
            Refusal::PinnedElsewhere { tenant: tenant.tenant.clone(), node: pin }
        }
        denial => Refusal::NotAdmitted { node: to.clone(), denial },
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLiveNode { node } => {
                write!(f, "there is no live node {:?}; check the id, or start the node", node.as_str())
            }
            Self::NoTenant { tenant } => write!(f, "there is no tenant {:?}; check the id", tenant.as_str()),
            Self::NodeAway { node } => {
                write!(f, "node {node} is not live; a restart window is opened before the node goes away")
            }
            Self::LastOpenNode { node } => write!(
                f,
                "no node but {node} takes tenants, and its own would have nowhere to go; start or uncordon another \
                 node, or use force"
            ),
            Self::NotAdmitted { node, denial: AdmissionDenial::Cordoned } => {
                write!(f, "node {node} is cordoned and takes no tenants; uncordon it, or choose another")
            }
            Self::NotAdmitted { node, denial: AdmissionDenial::Draining } => {
                write!(
                    f,
                    "node {node} is being drained and takes no tenants; cancel the drain, or choose another"
                )
            }
            Self::NotAdmitted { node, denial: AdmissionDenial::Leaving } => {
                write!(f, "node {node} is leaving and hands its tenants over by itself; choose another")
            }
            Self::NotAdmitted { node, denial: AdmissionDenial::Full { capacity } } => {
                write!(
                    f,
                    "node {node} is full: it takes {capacity} at most; make room there, or choose another"
                )
            }
            Self::NotAdmitted { node, denial: denial @ AdmissionDenial::NotEnoughMemory { .. } } => {
                write!(f, "node {node} {denial}; make room there, lower the request, or choose another")
            }
            Self::NotAdmitted { node, denial: AdmissionDenial::Impaired | AdmissionDenial::Shedding } => {
                write!(f, "node {node} is impaired; `roost node get {node}` says why; choose another")
            }
            Self::NotAdmitted { node, denial } => write!(f, "node {node} {denial}; choose another"),
            Self::TenantStopped { tenant } => write!(
                f,
                "tenant {tenant} is stopped and is on no node that it could leave; start its worker first"
            ),
            Self::ThereAlready { tenant, node } => {
                write!(f, "tenant {tenant} is on node {node} already; there is nothing to move")
            }
            Self::PinnedElsewhere { tenant, node } => write!(
                f,
                "tenant {tenant} is pinned to node {node}; unpin it first, or pin it to the other node"
            ),
            Self::NoPairing { tenant, why } => why.tell(tenant, f),
            Self::ScanPaused { tenant } => write!(
                f,
                "nobody has scanned the codes of tenant {tenant}, and no more are shown; `roost session resume {tenant}` \
                 shows new ones"
            ),
            Self::NoCode { tenant, status: SessionStatus::Connected } => {
                write!(f, "tenant {tenant} is linked; there is nothing to scan")
            }
            Self::NoCode { tenant, status: SessionStatus::QrReady } => {
                write!(f, "the code of tenant {tenant} has expired and the next is on its way; try again")
            }
            Self::NoCode { tenant, status: SessionStatus::Disconnected } => write!(
                f,
                "no QR code of tenant {tenant} waits to be scanned; `roost worker get {tenant}` says why, \
                 `roost worker start {tenant}` starts one that is stopped"
            ),
            Self::NoWorkerRuns { tenant } => write!(
                f,
                "tenant {tenant} has no worker running; `roost worker start {tenant}` starts it, \
                 `roost explain {tenant}` says what one that is started waits for"
            ),
            Self::NoneChosen { action: WorkerAction::UpdateSettings, selector } => {
                let who =
                    if selector.is_empty() { "there is".to_owned() } else { format!("{selector} matches") };
                write!(f, "{who} no tenant; see `roost tenant list --selector`")
            }
            Self::NoneChosen { action, selector } => {
                let who = if selector.is_empty() { "no tenant has" } else { selector };
                let matches = if selector.is_empty() { "" } else { " matches no tenant with" };
                let wanted = match action {
                    WorkerAction::Start => "that is stopped or in ERROR",
                    _ => "that is to run",
                };
                write!(f, "{who}{matches} a worker {wanted}; see `roost worker list --selector`")
            }
            Self::NoneCanMove { first, more } => {
                write!(f, "none of the chosen can move: {}", by_name(first, *more))
            }
            Self::NoRollout { version, why: NoRollout::IsTheFleets } => {
                write!(f, "version {version} is the fleet's already: there is nobody to compare with")
            }
            Self::NoRollout { version, why: NoRollout::TooFew { candidates } } => write!(
                f,
                "version {version} cannot be tried: {candidates} of the chosen tenants answer and have no version of their own, and 2 are \
                 needed; `roost version pin` makes it the fleet's without a trial"
            ),
            Self::NoUndo { operation, why } => why.tell(*operation, f),
            Self::AllThereAlready { node } => {
                write!(f, "all that are chosen are on node {node} already; there is nothing to move")
            }
            Self::NoSecretsKey { role } => write!(
                f,
                "nobody could sign in as {}, for this coordinator has no key under which the secrets of codes are kept: give it \
                 --secrets-key-file, a file of one line by `openssl rand -hex 32` that is its owner's alone, the same for all",
                role.as_str()
            ),
            Self::TooManyChosen { most } => {
                write!(f, "more than {most} workers are chosen; choose fewer, by their node for one")
            }
        }
    }
}

/// Tenants, each with the reason.
fn by_name(first: &[(TenantId, String)], more: usize) -> String {
    let told: Vec<String> = first.iter().map(|(tenant, reason)| format!("{tenant}: {reason}")).collect();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", told.join("; "))
}

impl NoUndo {
    fn tell(&self, operation: OperationId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpdate => write!(
                f,
                "operation {operation} is no update of settings; only those can be undone, see `roost operation list`"
            ),
            Self::Runs => {
                write!(
                    f,
                    "operation {operation} still runs; wait for its end, or cancel it, and undo it then"
                )
            }
            Self::UndoneBy(other) => write!(
                f,
                "operation {operation} was undone by operation {other}; `roost operation undo {other}` takes that back"
            ),
            Self::NothingLeft { first, .. } if first.is_empty() => {
                write!(f, "operation {operation} has changed nothing that there is to put back")
            }
            Self::NothingLeft { first, more } => {
                write!(f, "nothing of operation {operation} can be put back: {}", by_name(first, *more))
            }
        }
    }
}

impl NoPairing {
    fn tell(&self, tenant: &TenantId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPhone { given, own } => write!(
                f,
                "{given} is not the number of tenant {tenant}, which is {own}: another phone would be logged out again; \
                 leave the number out, or change the tenant's first"
            ),
            Self::Stopped => write!(f, "tenant {tenant} is stopped; start its worker first"),
            Self::Linked => write!(f, "tenant {tenant} is linked; log it out first to link another phone"),
            Self::ByWhatsapp { reason } => write!(
                f,
                "there is no code for tenant {tenant}: {reason}; wait before asking again if it was asked for often, or scan \
                 its QR code"
            ),
            Self::Overdue => write!(
                f,
                "the page of tenant {tenant} has not given a code in time; `roost worker get {tenant}` says what it waits \
                 for; try again"
            ),
            Self::Overtaken => {
                write!(
                    f,
                    "another call has asked for a code of tenant {tenant} since, which replaces this one"
                )
            }
        }
    }
}
