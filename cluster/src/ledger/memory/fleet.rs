//! The members of fleet operations in memory: restarts, where a worker is back when it was seen after it was told, moves, where
//! it is back when it has come up elsewhere, and updates of settings, of which a member is over when it is written.

use std::collections::{BTreeMap, BTreeSet};

use roost_model::ids::{NodeId, OperationId, TenantId};
use tokio::time::Instant;

use crate::ledger::{
    FleetMembers, FleetMove, FleetStep, MemberFailure, MemberState, MemberUnderWay, WaitingMember,
};

/// Why a tenant cannot have settings.
const UNFIT: &str = "the settings do not fit it";

#[derive(Default)]
pub(super) struct StoredFleet {
    members: BTreeMap<OperationId, Vec<StoredMember>>,
    /// Those whose members move away from where they are.
    moves: BTreeSet<OperationId>,
    /// Those that update settings, with the tenants that cannot have them.
    updates: BTreeMap<OperationId, BTreeSet<TenantId>>,
    /// How often each tenant was told.
    told: BTreeMap<TenantId, u32>,
}

struct StoredMember {
    tenant: TenantId,
    stands: Stands,
}

enum Stands {
    Waiting,
    /// `from`: where it was then.
    UnderWay {
        since: Instant,
        from: Option<NodeId>,
    },
    Done,
    Failed {
        error: String,
    },
    Gone,
}

impl StoredFleet {
    /// Of these, in this order; all of them answer.
    pub(super) fn start(&mut self, operation: OperationId, tenants: &[TenantId]) {
        let member = |tenant: &TenantId| StoredMember { tenant: tenant.clone(), stands: Stands::Waiting };
        self.members.insert(operation, tenants.iter().map(member).collect());
    }

    /// Away from where each one is at its turn.
    pub(super) fn start_move(&mut self, operation: OperationId, tenants: &[TenantId]) {
        self.start(operation, tenants);
        self.moves.insert(operation);
    }

    /// Of these each but those that cannot have the settings.
    pub(super) fn start_update(
        &mut self,
        operation: OperationId,
        tenants: &[TenantId],
        unfit: BTreeSet<TenantId>,
    ) {
        self.start(operation, tenants);
        self.updates.insert(operation, unfit);
    }

    /// Its members need not run.
    pub(super) fn is_update(&self, operation: OperationId) -> bool {
        self.updates.contains_key(&operation)
    }

    pub(super) fn is_move(&self, operation: OperationId) -> bool {
        self.moves.contains(&operation)
    }

    /// The members under way, if it is a move.
    pub(super) fn moves(&self, operation: OperationId) -> Vec<FleetMove> {
        let members = self.members.get(&operation).filter(|_| self.is_move(operation));
        let moves = members.into_iter().flatten().filter_map(|member| match &member.stands {
            Stands::UnderWay { from, .. } => {
                Some(FleetMove { operation, tenant: member.tenant.clone(), from: from.clone(), to: None })
            }
            _ => None,
        });
        moves.collect()
    }

    /// How often the tenant was told to restart or to move, or given settings.
    pub(super) fn told(&self, tenant: &TenantId) -> u32 {
        self.told.get(tenant).copied().unwrap_or_default()
    }

    /// `state_of` one that was told then, and was on that node.
    pub(super) fn members(
        &self,
        operation: OperationId,
        most: u32,
        state_of: impl Fn(&TenantId, Instant, Option<&NodeId>) -> MemberState,
    ) -> FleetMembers {
        let mut all = FleetMembers::default();
        for member in self.members.get(&operation).into_iter().flatten() {
            all.answered += u32::from(!matches!(member.stands, Stands::Gone));
            let tenant = member.tenant.clone();
            match &member.stands {
                Stands::Waiting => {
                    all.waiting += 1;
                    if all.next.len() < most as usize {
                        all.next.push(WaitingMember { tenant, answers: true });
                    }
                }
                Stands::UnderWay { since, from } => {
                    let state = state_of(&tenant, *since, from.as_ref());
                    let ordered_ago = since.elapsed();
                    all.under_way.push(MemberUnderWay { tenant, answered: true, ordered_ago, state });
                }
                Stands::Done => all.done += 1,
                Stands::Failed { error } => {
                    all.failed += 1;
                    all.silent_failed += 1;
                    all.failures.push(MemberFailure { tenant, error: error.clone() });
                }
                Stands::Gone => {}
            }
        }
        all
    }

    /// `tell` answers where the tenant is, if it is to run.
    pub(super) fn step(
        &mut self,
        operation: OperationId,
        step: &FleetStep,
        mut tell: impl FnMut(&TenantId) -> Option<Option<NodeId>>,
    ) {
        for tenant in &step.begin {
            if self.is_unfit(operation, tenant) {
                self.stand(operation, tenant, Stands::Failed { error: UNFIT.to_owned() });
                continue;
            }
            let stands = match tell(tenant) {
                Some(_) if self.is_update(operation) => Stands::Done,
                Some(from) => Stands::UnderWay { since: Instant::now(), from },
                None => Stands::Gone,
            };
            if !matches!(stands, Stands::Gone) {
                *self.told.entry(tenant.clone()).or_default() += 1;
            }
            self.stand(operation, tenant, stands);
        }
        step.done.iter().for_each(|tenant| self.stand(operation, tenant, Stands::Done));
        step.gone.iter().for_each(|tenant| self.stand(operation, tenant, Stands::Gone));
        for MemberFailure { tenant, error } in &step.failed {
            self.stand(operation, tenant, Stands::Failed { error: error.clone() });
        }
    }

    fn is_unfit(&self, operation: OperationId, tenant: &TenantId) -> bool {
        self.updates.get(&operation).is_some_and(|unfit| unfit.contains(tenant))
    }

    fn stand(&mut self, operation: OperationId, tenant: &TenantId, stands: Stands) {
        let mut members = self.members.get_mut(&operation).into_iter().flatten();
        if let Some(member) = members.find(|member| member.tenant == *tenant) {
            member.stands = stands;
        }
    }
}
