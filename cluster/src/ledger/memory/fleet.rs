//! The members of fleet operations in memory, which are restarts: a worker is back when it was seen after it was told.

use std::collections::BTreeMap;

use roost_model::ids::{OperationId, TenantId};
use tokio::time::Instant;

use crate::ledger::{FleetMembers, FleetStep, MemberFailure, MemberState, MemberUnderWay, WaitingMember};

#[derive(Default)]
pub(super) struct StoredFleet {
    members: BTreeMap<OperationId, Vec<StoredMember>>,
    /// How often each tenant was told.
    told: BTreeMap<TenantId, u32>,
}

struct StoredMember {
    tenant: TenantId,
    stands: Stands,
}

enum Stands {
    Waiting,
    UnderWay { since: Instant },
    Done,
    Failed { error: String },
    Gone,
}

impl StoredFleet {
    /// Of these, in this order; all of them answer.
    pub(super) fn start(&mut self, operation: OperationId, tenants: &[TenantId]) {
        let member = |tenant: &TenantId| StoredMember { tenant: tenant.clone(), stands: Stands::Waiting };
        self.members.insert(operation, tenants.iter().map(member).collect());
    }

    /// How often the tenant was told to restart.
    pub(super) fn told(&self, tenant: &TenantId) -> u32 {
        self.told.get(tenant).copied().unwrap_or_default()
    }

    /// `state_of` one that was told then.
    pub(super) fn members(
        &self,
        operation: OperationId,
        most: u32,
        state_of: impl Fn(&TenantId, Instant) -> MemberState,
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
                Stands::UnderWay { since } => {
                    let state = state_of(&tenant, *since);
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

    /// `tell` answers whether the tenant is to run.
    pub(super) fn step(
        &mut self,
        operation: OperationId,
        step: &FleetStep,
        mut tell: impl FnMut(&TenantId) -> bool,
    ) {
        for tenant in &step.begin {
            if tell(tenant) {
                *self.told.entry(tenant.clone()).or_default() += 1;
                self.stand(operation, tenant, Stands::UnderWay { since: Instant::now() });
            } else {
                self.stand(operation, tenant, Stands::Gone);
            }
        }
        step.done.iter().for_each(|tenant| self.stand(operation, tenant, Stands::Done));
        step.gone.iter().for_each(|tenant| self.stand(operation, tenant, Stands::Gone));
        for MemberFailure { tenant, error } in &step.failed {
            self.stand(operation, tenant, Stands::Failed { error: error.clone() });
        }
    }

    fn stand(&mut self, operation: OperationId, tenant: &TenantId, stands: Stands) {
        let mut members = self.members.get_mut(&operation).into_iter().flatten();
        if let Some(member) = members.find(|member| member.tenant == *tenant) {
            member.stands = stands;
        }
    }
}
