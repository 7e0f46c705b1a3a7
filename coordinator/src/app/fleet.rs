//! Orders on many workers. Who is chosen is decided here and written down; the controller takes them in this order.

use std::collections::{BTreeMap, HashMap, HashSet};

use roost_cluster::ledger::FleetLimits;
use roost_model::ids::{NodeId, OperationId, TenantId};
use roost_store::{
    ChosenWorker, NewFleetOrder, OperationRecord, Requester, Resumption, WorkerAction, WorkerFilter,
};

use super::{
    App, BlockedMove, Error, PlannedMove, Refusal, dry_run, operations::not_started, refusal::may_take_many,
};

/// Members of one operation.
const MOST: u32 = 100_000;

/// Those of the chosen that cannot move that are told by name in a refusal.
const NAMED: usize = 10;

/// An order on many workers.
#[derive(Debug, Clone)]
pub struct FleetOrder {
    pub action: WorkerAction,
    /// As it was given; empty for all.
    pub selector: String,
    pub filter: WorkerFilter,
    /// Of a move, if it is to one node.
    pub to: Option<NodeId>,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetPlan {
    /// In the order in which they would be told.
    pub workers: Vec<ChosenWorker>,
    /// Of a move, where each of these would go.
    pub moves: BTreeMap<TenantId, PlannedMove>,
    /// Of a move, the chosen that are not in it.
    pub blocked: Vec<BlockedMove>,
}

impl App {
    pub async fn plan_fleet_operation(&self, order: &FleetOrder) -> Result<FleetPlan, Error> {
        let FleetOrder { action, selector, filter, to } = order;
        let workers = self.choose(*action, selector, filter).await?;
        if *action == WorkerAction::Move {
            return self.plan_moves(workers, to.as_ref()).await;
        }
        Ok(FleetPlan { workers, moves: BTreeMap::new(), blocked: Vec::new() })
    }

    /// In the order in which they are told.
    pub(super) async fn choose(
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

    /// Whoever of these is on the node already has nothing to do.
    async fn plan_moves(
        &self,
        mut workers: Vec<ChosenWorker>,
        to: Option<&NodeId>,
    ) -> Result<FleetPlan, Error> {
        let survey = self.survey().await?;
        if let Some(to) = to {
            may_take_many(&survey, to)?;
            workers.retain(|worker| worker.node.as_ref() != Some(to));
            if workers.is_empty() {
                return Err(Refusal::AllThereAlready { node: to.clone() }.into());
            }
        }
        let moved: HashSet<&TenantId> = workers.iter().map(|worker| &worker.tenant).collect();
        let plan = dry_run::move_many(survey.snapshot, &moved, to);
        let moves: BTreeMap<TenantId, PlannedMove> =
            plan.moves.into_iter().map(|planned| (planned.tenant.clone(), planned)).collect();
        let mut why: BTreeMap<TenantId, String> =
            plan.blocked.into_iter().map(|blocked| (blocked.tenant, blocked.reason)).collect();
        let (workers, others): (Vec<_>, Vec<_>) =
            workers.into_iter().partition(|worker| moves.contains_key(&worker.tenant));
        let told = |ChosenWorker { tenant, node, .. }: ChosenWorker| {
            // What the plan has no move of is not running anywhere at this moment.
            let reason =
                why.remove(&tenant).unwrap_or_else(|| "it is on no node that it could leave".to_owned());
            BlockedMove { tenant, from: node, reason }
        };
        let mut blocked: Vec<BlockedMove> = others.into_iter().map(told).collect();
        blocked.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        if workers.is_empty() {
            let more = blocked.len().saturating_sub(NAMED);
            let named = blocked.into_iter().take(NAMED);
            let first = named.map(|one| (one.tenant, one.reason)).collect();
            return Err(Refusal::NoneCanMove { first, more }.into());
        }
        Ok(FleetPlan { workers, moves, blocked })
    }

    /// With those of the chosen that are not in it.
    pub async fn start_fleet_operation(
        &self,
        order: FleetOrder,
        limits: FleetLimits,
        by: &Requester,
    ) -> Result<(OperationRecord, Vec<BlockedMove>), Error> {
        let FleetPlan { workers: members, blocked, .. } = self.plan_fleet_operation(&order).await?;
        let FleetOrder { action, selector, to, .. } = order;
        let order = NewFleetOrder { action, selector, to, settings: None, limits, members };
        let started = self.store()?.start_fleet_operation(&order, by).await.map_err(not_started)?;
        tracing::info!(operation = %started.id, ?action, workers = order.members.len(), "fleet operation started");
        Ok((started, blocked))
    }

    pub async fn resume_operation(&self, id: OperationId, by: &Requester) -> Result<OperationRecord, Error> {
        match self.store()?.resume_operation(id, by).await? {
            Resumption::Resumed(operation) => {
                tracing::info!(operation = %id, "operation resumed");
                Ok(*operation)
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
