//! One tenant: how its worker is, why it is where it is, and what became of it so far.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use futures::StreamExt;
use minijinja::{Value, context, value::Serde};
use roost_model::{LogLevel, causes, ids::TenantId};
use roost_store::{ConditionChange, ListedSnapshot, Placement, SnapshotState, Worker};

use super::{
    answer::{failed, nothing, page},
    feed::key,
    live::parts,
    nodes::mebibytes,
    operator::Operator,
    orders::ORDERS,
    tenants::TenantRow,
};
use crate::{
    app::{Error, PlacementExplanation, WorkerDescription},
    portal::{
        log_lines::{KeptLines, kept_lines},
        moment::Moment,
        state::Portal,
    },
};

const DESCRIBE: &str = "/roost.v1.WorkerInspectionService/DescribeWorker";
const LOG: &str = "/roost.v1.WorkerInspectionService/ReadWorkerLog";
/// Of the history, on the page.
const CHANGES: usize = 30;

pub async fn tenant(
    State(portal): State<Arc<Portal>>,
    Path(id): Path<String>,
    operator: Operator,
) -> Response {
    let Some(id) = TenantId::new(&id).ok().filter(|_| operator.may(DESCRIBE)) else {
        return nothing(&portal, &operator);
    };
    match read(&portal, &operator, &id).await {
        Ok(content) => page(&portal, &operator, "tenants", "tenant.html", content),
        Err(error) => failed(&portal, &operator, error),
    }
}

/// How the worker is, at each change.
pub async fn live(State(portal): State<Arc<Portal>>, Path(id): Path<String>, operator: Operator) -> Response {
    let Some(id) = TenantId::new(&id).ok().filter(|_| operator.may(DESCRIBE)) else {
        return nothing(&portal, &operator);
    };
    match portal.app.watch_worker(id).await {
        Ok(changes) => {
            let changes = changes.take_while(|change| std::future::ready(change.is_ok()));
            let contents = changes
                .filter_map(|change| async move { change.ok().map(|change| standing(&change.worker)) });
            parts(&portal, &operator, "tenant_live.html", contents)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}

/// What is renewed.
fn standing(worker: &Worker) -> Value {
    let row = Value::from(Serde(TenantRow::of(worker)));
    let session = format!("{:?}", worker.session_status);
    let (last_error, generation) = (worker.last_error.as_str(), worker.generation.0);
    let seen = worker.last_seen_at.and_then(Moment::shown);
    context! { row, session, last_error, generation, seen }
}

async fn read(portal: &Portal, operator: &Operator, id: &TenantId) -> Result<Value, Error> {
    let WorkerDescription { worker, tenant, queues, live, .. } = portal.app.describe_worker(id).await?;
    let changes = portal.app.condition_changes(id).await?;
    let snapshots = portal.app.list_session_snapshots(id).await?;
    // The plan's part needs etcd; without it the rest is told all the same.
    let (placement, no_placement) = match portal.app.explain_placement(id).await {
        Ok(explained) => (Some(explanation(&explained)), None),
        Err(error) => (None, Some(causes(&error).to_string())),
    };
    let node_says = match live {
        Some(Ok(live)) => Some(live.vitals.state),
        Some(Err(problem)) => Some(causes(&problem).to_string()),
        None => None,
    };
    let usage = worker.usage.map(|usage| mebibytes(usage.memory_bytes));
    let orders: Vec<&str> =
        ORDERS.iter().filter(|order| operator.may(order.call)).map(|order| order.key).collect();
    Ok(context! {
        name => tenant.settings.display_name.as_str(),
        phone => tenant.settings.phone.as_str(),
        labels => worker.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        inbound => queues.inbound,
        outbound => queues.outbound,
        conflicts => worker.conflicts,
        resends => worker.resends,
        pin => worker.pin.as_ref().map(ToString::to_string),
        usage, node_says, placement, no_placement, orders,
        may_see_log => operator.may(LOG),
        may_see_letters => operator.may("/roost.v1.MessageService/ListDeadLetters"),
        may_move => operator.may("/roost.v1.OperationService/StartMove"),
        changes => changes.iter().take(CHANGES).map(change).collect::<Vec<_>>(),
        snapshots => snapshots.iter().map(snapshot).collect::<Vec<_>>(),
        ..standing(&worker)
    })
}

fn explanation(explained: &PlacementExplanation) -> Value {
    let candidates = explained.candidates.iter().map(|candidate| {
        context! { node => candidate.node.as_str(), fits => candidate.fits, reason => candidate.reason.as_str() }
    });
    context! {
        summary => explained.summary.as_str(),
        candidates => candidates.collect::<Vec<_>>(),
        triggers => explained.triggers.clone(),
        history => explained.history.iter().map(moved).collect::<Vec<_>>(),
    }
}

fn moved(placement: &Placement) -> Value {
    context! {
        from => placement.from.as_ref().map(ToString::to_string),
        to => placement.to.as_str(),
        reason => placement.reason.as_str(),
        at => Moment::shown(placement.at),
    }
}

fn change(change: &ConditionChange) -> Value {
    context! {
        condition => key(change.kind),
        reason => change.reason.as_str(),
        node => change.node.as_ref().map(ToString::to_string),
        at => Moment::shown(change.at),
    }
}

fn snapshot(snapshot: &ListedSnapshot) -> Value {
    let state = match snapshot.state {
        _ if snapshot.is_void => "void",
        SnapshotState::Kept => "kept",
        SnapshotState::Damaged => "damaged",
        SnapshotState::PassedOver => "passed-over",
    };
    context! {
        id => snapshot.id.to_string(),
        state,
        is_newest => snapshot.is_newest,
        size => snapshot.bytes.map(mebibytes),
        node => snapshot.node.as_ref().map(ToString::to_string),
        at => Moment::shown(snapshot.taken_at),
    }
}

/// The last lines of its log, from wherever they are.
pub async fn log(State(portal): State<Arc<Portal>>, Path(id): Path<String>, operator: Operator) -> Response {
    let Some(id) = TenantId::new(&id).ok().filter(|_| operator.may(LOG)) else {
        return nothing(&portal, &operator);
    };
    match kept_lines(&portal.app, &id, LogLevel::Info).await {
        Ok(KeptLines { lines, notices, .. }) => {
            let content = context! { id => id.as_str(), lines, notices };
            page(&portal, &operator, "tenants", "log.html", content)
        }
        Err(error) => failed(&portal, &operator, error),
    }
}
