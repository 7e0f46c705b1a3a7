//! What to do so that the node holds what it is assigned. Pure: records in, steps out.

use std::collections::BTreeMap;

use roost_cluster::{
    ids::{Generation, SpecRevision, TenantId},
    records::{AssignmentEntry, Phase},
};

use crate::worker::StopMode;

/// A tenant that the node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) generation: Generation,
    pub(super) spec_revision: SpecRevision,
    /// How it is being stopped, if it is.
    pub(super) stopping: Option<StopMode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Hold the tenant, then run its worker.
    Begin {
        tenant: TenantId,
        generation: Generation,
        spec_revision: SpecRevision,
    },
    /// Look at the tenant's spec again.
    Look {
        tenant: TenantId,
        spec_revision: SpecRevision,
    },
    Stop {
        tenant: TenantId,
        mode: StopMode,
    },
}

/// The steps from what is held to what is assigned. A tenant whose generation has changed is stopped first; it is begun
/// by the call after its old worker is gone. A node that is `leaving` begins nothing.
pub(super) fn steps(
    held: &BTreeMap<TenantId, Held>,
    assigned: &[AssignmentEntry],
    leaving: bool,
) -> Vec<Step> {
    let wanted: BTreeMap<&TenantId, &AssignmentEntry> =
        assigned.iter().map(|entry| (&entry.tenant, entry)).collect();
    let mut steps = Vec::new();
    for (tenant, held) in held {
        let stop = |mode| Step::Stop { tenant: tenant.clone(), mode };
        match wanted.get(tenant) {
            // Taken away without asking: it may be another node's by now, so nothing of it is touched.
            None if held.stopping != Some(StopMode::Kill) => steps.push(stop(StopMode::Kill)),
            Some(entry) if held.stopping.is_none() => {
                if entry.phase == Phase::Releasing || entry.generation != held.generation {
                    steps.push(stop(StopMode::Graceful));
                } else if entry.spec_revision != held.spec_revision {
                    steps.push(Step::Look { tenant: tenant.clone(), spec_revision: entry.spec_revision });
                }
            }
            None | Some(_) => {}
        }
    }
    let begun = wanted.values().filter(|entry| !leaving && entry.phase == Phase::Active);
    steps.extend(begun.filter(|entry| !held.contains_key(&entry.tenant)).map(|entry| Step::Begin {
        tenant: entry.tenant.clone(),
        generation: entry.generation,
        spec_revision: entry.spec_revision,
    }));
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::new(&format!("t{number}")).unwrap()
    }

    fn entry(number: u8, generation: i64, phase: Phase, spec: i64) -> AssignmentEntry {
        AssignmentEntry {
            tenant: tenant(number),
            generation: Generation(generation),
            phase,
            spec_revision: SpecRevision(spec),
        }
    }

    fn held(number: u8, generation: i64, spec: i64) -> (TenantId, Held) {
        let held =
            Held { generation: Generation(generation), spec_revision: SpecRevision(spec), stopping: None };
        (tenant(number), held)
    }

    #[test]
    fn each_difference_has_its_step() {
        let now = BTreeMap::from([held(1, 1, 1), held(2, 1, 1), held(3, 1, 1), held(4, 1, 1), held(5, 1, 1)]);
        let assigned = [
            entry(1, 1, Phase::Active, 1),
            entry(2, 1, Phase::Active, 2),
            entry(3, 1, Phase::Releasing, 1),
            entry(4, 2, Phase::Active, 1),
            entry(6, 1, Phase::Active, 1),
            entry(7, 1, Phase::Releasing, 1),
        ];
        let expected = [
            Step::Look { tenant: tenant(2), spec_revision: SpecRevision(2) },
            Step::Stop { tenant: tenant(3), mode: StopMode::Graceful },
            Step::Stop { tenant: tenant(4), mode: StopMode::Graceful },
            Step::Stop { tenant: tenant(5), mode: StopMode::Kill },
            Step::Begin { tenant: tenant(6), generation: Generation(1), spec_revision: SpecRevision(1) },
        ];
        assert_eq!(steps(&now, &assigned, false), expected);
        assert_eq!(steps(&now, &assigned, true), expected[..4], "a leaving node begins nothing");
    }

    fn apply(held: &mut BTreeMap<TenantId, Held>, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Begin { tenant, generation, spec_revision } => {
                    let before = held.insert(tenant, Held { generation, spec_revision, stopping: None });
                    assert_eq!(before, None, "begun while it was held");
                }
                Step::Look { tenant, spec_revision } => {
                    held.get_mut(&tenant).unwrap().spec_revision = spec_revision
                }
                Step::Stop { tenant, mode } => held.get_mut(&tenant).unwrap().stopping = Some(mode),
            }
        }
    }

    proptest! {
        #[test]
        fn once_the_stopped_are_gone_the_node_holds_what_it_is_assigned_and_rests(
            before in prop::collection::btree_map(0_u8..8, (1_i64..4, 1_i64..3), 0..8),
            assigned in prop::collection::btree_map(0_u8..8, (1_i64..4, 1_i64..3, any::<bool>()), 0..8),
        ) {
            let mut now: BTreeMap<_, _> =
                before.iter().map(|(&number, &(generation, spec))| held(number, generation, spec)).collect();
            let assigned: Vec<_> = assigned
                .iter()
                .map(|(&number, &(generation, spec, active))| {
                    entry(number, generation, if active { Phase::Active } else { Phase::Releasing }, spec)
                })
                .collect();
            let first = steps(&now, &assigned, false);
            apply(&mut now, first);
            prop_assert_eq!(steps(&now, &assigned, false), vec![], "nothing is asked for twice");
            now.retain(|_, held| held.stopping.is_none());
            let second = steps(&now, &assigned, false);
            apply(&mut now, second);
            let active: BTreeMap<_, _> = assigned
                .iter()
                .filter(|entry| entry.phase == Phase::Active)
                .map(|entry| {
                    let held = Held { generation: entry.generation, spec_revision: entry.spec_revision, stopping: None };
                    (entry.tenant.clone(), held)
                })
                .collect();
            prop_assert_eq!(now, active);
        }
    }
}
