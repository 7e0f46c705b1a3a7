//! Orders on many workers. Who is chosen is decided here and written down; the controller takes them in this order.

use std::collections::HashMap;

use roost_cluster::ledger::FleetLimits;
use roost_model::ids::{NodeId, OperationId};
use roost_store::{
    ChosenWorker, NewFleetOrder, OperationRecord, Requester, Resumption, WorkerAction, WorkerFilter,
};

use super::{App, Error, Refusal, operations::not_started};

/// Members of one operation.
const MOST: u32 = 100_000;

impl App {
    /// In the order in which they would be told.
    pub async fn plan_fleet_operation(
        &self,
        action: WorkerAction,
        selector: &str,
        filter: &WorkerFilter,
    ) -> Result<Vec<ChosenWorker>, Error> {
        let chosen = self.store()?.choose_workers(action, filter, MOST + 1).await?;
        if chosen.is_empty() {
            return Err(Refusal::NoneChosen { action, selector: selector.to_owned() }.into());
        }
        if chosen.len() > MOST as usize {
            return Err(Refusal::TooManyChosen { most: MOST }.into());
        }
        Ok(in_order(chosen))
    }

    pub async fn start_fleet_operation(
        &self,
        action: WorkerAction,
        selector: String,
        filter: &WorkerFilter,
        limits: FleetLimits,
        by: &Requester,
    ) -> Result<OperationRecord, Error> {
        let members = self.plan_fleet_operation(action, &selector, filter).await?;
        let order = NewFleetOrder { action, selector, limits, members };
        let started = self.store()?.start_fleet_operation(&order, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, ?action, workers = order.members.len(), "fleet operation started");
        Ok(started)
    }

    pub async fn resume_operation(&self, id: OperationId, by: &Requester) -> Result<OperationRecord, Error> {
        match self.store()?.resume_operation(id, by).await? {
            Resumption::Resumed(operation) => {
                tracing::info!(operation = %id, "operation resumed");
                Ok(operation)
            }
            Resumption::NotPaused { state } => Err(Error::OperationNotPaused { id, state }),
        }
    }
}

/// First those that do not answer, for they have nothing to lose; then one of each node, and again, so that no node has all
/// that are under way to launch. In the order of their ids otherwise.
fn in_order(mut chosen: Vec<ChosenWorker>) -> Vec<ChosenWorker> {
    let mut turns: HashMap<(bool, Option<NodeId>), usize> = HashMap::new();
    chosen.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    let mut with_turns: Vec<(usize, ChosenWorker)> = Vec::with_capacity(chosen.len());
    for worker in chosen {
        let turn = turns.entry((worker.answers, worker.node.clone())).or_default();
        with_turns.push((*turn, worker));
        *turn += 1;
    }
    with_turns.sort_by(|(turn_a, a), (turn_b, b)| {
        (a.answers, turn_a, &a.node, &a.tenant).cmp(&(b.answers, turn_b, &b.node, &b.tenant))
    });
    with_turns.into_iter().map(|(_, worker)| worker).collect()
}

#[cfg(test)]
mod tests {
    use roost_model::ids::TenantId;

    use super::*;

    #[test]
    fn those_that_do_not_answer_come_first_and_the_others_by_turns_of_each_node() {
        let worker = |id: &str, node: &str, answers| ChosenWorker {
            tenant: TenantId::new(id).unwrap(),
            node: NodeId::new(node).ok(),
            answers,
        };
        let chosen = vec![
            worker("a", "n1", true),
            worker("b", "n1", true),
            worker("c", "n1", true),
            worker("d", "n2", true),
            worker("e", "n2", false),
            worker("f", "n2", true),
            worker("g", "", false),
        ];
        let order: Vec<String> = in_order(chosen).into_iter().map(|one| one.tenant.to_string()).collect();
        assert_eq!(order, ["g", "e", "a", "d", "b", "f", "c"]);
    }
}
