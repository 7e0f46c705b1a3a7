//! What operators read about afterwards, in words.

use std::time::Duration;

use roost_model::ids::{NodeId, Term};

use crate::ledger::{Event, EventKind};

use super::losses::Sighting;

pub(super) fn of_sighting(sighting: &Sighting) -> Event {
    match sighting {
        Sighting::Joined { node } => of_node(EventKind::NodeJoined, node, format!("{node} is live")),
        Sighting::Left { node } => of_node(EventKind::NodeLeft, node, format!("{node} has left in order")),
        Sighting::Lost { node } => {
            of_node(EventKind::NodeLost, node, format!("{node} is gone: its lease has ended"))
        }
    }
}

pub(super) fn suspect(node: &NodeId, span: Duration) -> Event {
    let minutes = span.as_secs() / 60;
    let text = format!("{node} came and went too often: for {minutes} min it takes tenants last");
    of_node(EventKind::NodeSuspect, node, text)
}

pub(super) fn elected(holder: &str, term: Term) -> Event {
    let text = format!("{holder} is the controller of term {term}");
    Event { kind: EventKind::ControllerElected, node: None, tenant: None, text }
}

fn of_node(kind: EventKind, node: &NodeId, text: String) -> Event {
    Event { kind, node: Some(node.clone()), tenant: None, text }
}
