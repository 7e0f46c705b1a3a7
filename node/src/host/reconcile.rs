//! What to do so that the node holds what it is assigned. Pure: records in, steps out.

use std::collections::BTreeMap;

use roost_cluster::records::{AssignmentEntry, Phase};
use roost_model::ids::{Generation, SpecRevision, TenantId};

use crate::worker::StopMode;

/// A tenant that the node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub generation: Generation,
    pub spec_revision: SpecRevision,
    /// How it is being stopped, if it is.
    pub stopping: Option<StopMode>,
}

/// A tenant of another node that this one prepares to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preparing {
    /// The owner's.
    pub generation: Generation,
    /// It is being undone.
    pub ending: bool,
}

/// What the node has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActualState {
    pub held: BTreeMap<TenantId, Held>,
    /// Never one that is held too, for both need the tenant's profile.
    pub preparing: BTreeMap<TenantId, Preparing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Hold the tenant, then run its worker, in the browser that was prepared if one was.
    Start {
        tenant: TenantId,
        generation: Generation,
        spec_revision: SpecRevision,
    },
    /// Look at the tenant's spec again.
    ReadSpec {
        tenant: TenantId,
        spec_revision: SpecRevision,
    },
    Stop {
        tenant: TenantId,
        mode: StopMode,
    },
    /// Do ahead what can be done ahead; nothing is held by it.
    Prepare {
        tenant: TenantId,
        generation: Generation,
    },
    /// Undo what was prepared.
    CancelPreparation {
        tenant: TenantId,
    },
}

/// The steps from what the node has to what is assigned. A tenant whose generation has changed is stopped first; it is begun
/// by the call after its old worker is gone, and likewise after a preparation that has to be undone. A node that is
/// `leaving` begins and prepares nothing.
///
/// I1: what was prepared under a generation is begun under a newer one only. Under the same one the tenant is the node's
/// that it is being taken over from, whatever the record says.
pub fn steps(actual: &ActualState, assigned: &[AssignmentEntry], leaving: bool) -> Vec<Step> {
    let wanted: BTreeMap<&TenantId, &AssignmentEntry> =
        assigned.iter().map(|entry| (&entry.tenant, entry)).collect();
    let held =
        actual.held.iter().filter_map(|(tenant, held)| change(tenant, *held, wanted.get(tenant).copied()));
    let undone = actual.preparing.iter().filter(|(tenant, preparing)| {
        !preparing.ending && (leaving || is_undone(**preparing, wanted.get(tenant).copied()))
    });
    let undone = undone.map(|(tenant, _)| Step::CancelPreparation { tenant: tenant.clone() });
    let begun = wanted.values().filter(|_| !leaving).filter_map(|entry| addition(actual, entry));
    held.chain(undone).chain(begun).collect()
}

/// What is to be done about a tenant that is held.
fn change(tenant: &TenantId, held: Held, wanted: Option<&AssignmentEntry>) -> Option<Step> {
    let stop = |mode| Some(Step::Stop { tenant: tenant.clone(), mode });
    match wanted {
        // Taken away without asking: it may be another node's by now, so nothing of it is touched.
        None | Some(AssignmentEntry { phase: Phase::Preparing, .. }) => {
            if held.stopping == Some(StopMode::Kill) { None } else { stop(StopMode::Kill) }
        }
        Some(_) if held.stopping.is_some() => None,
        Some(entry) if entry.phase == Phase::Releasing || entry.generation != held.generation => {
            stop(StopMode::Graceful)
        }
        Some(entry) if entry.spec_revision != held.spec_revision => {
            Some(Step::ReadSpec { tenant: tenant.clone(), spec_revision: entry.spec_revision })
        }
        Some(_) => None,
    }
}

/// Whether nothing comes of a preparation.
fn is_undone(preparing: Preparing, wanted: Option<&AssignmentEntry>) -> bool {
    match wanted {
        Some(AssignmentEntry { phase: Phase::Preparing, generation, .. }) => {
            *generation != preparing.generation
        }
        Some(AssignmentEntry { phase: Phase::Active, .. }) => false,
        Some(AssignmentEntry { phase: Phase::Releasing, .. }) | None => true,
    }
}

/// What an entry adds to what the node has.
fn addition(actual: &ActualState, entry: &AssignmentEntry) -> Option<Step> {
    let (tenant, generation) = (entry.tenant.clone(), entry.generation);
    if actual.held.contains_key(&tenant) {
        return None;
    }
    match (entry.phase, actual.preparing.get(&tenant)) {
        (Phase::Active, Some(preparing)) if preparing.ending || generation <= preparing.generation => None,
        (Phase::Active, _) => Some(Step::Start { tenant, generation, spec_revision: entry.spec_revision }),
        (Phase::Preparing, None) => Some(Step::Prepare { tenant, generation }),
        (Phase::Preparing, Some(_)) | (Phase::Releasing, _) => None,
    }
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

    fn preparing(number: u8, generation: i64, ending: bool) -> (TenantId, Preparing) {
        (tenant(number), Preparing { generation: Generation(generation), ending })
    }

    fn begin(number: u8, generation: i64) -> Step {
        Step::Start {
            tenant: tenant(number),
            generation: Generation(generation),
            spec_revision: SpecRevision(1),
        }
    }

    #[test]
    fn each_difference_has_its_step() {
        let actual = ActualState {
            held: [held(1, 1, 1), held(2, 1, 1), held(3, 1, 1), held(4, 1, 1), held(5, 1, 1)].into(),
            ..ActualState::default()
        };
        let assigned = [
            entry(1, 1, Phase::Active, 1),
            entry(2, 1, Phase::Active, 2),
            entry(3, 1, Phase::Releasing, 1),
            entry(4, 2, Phase::Active, 1),
            entry(6, 1, Phase::Active, 1),
            entry(7, 1, Phase::Releasing, 1),
            entry(8, 1, Phase::Preparing, 1),
        ];
        let expected = [
            Step::ReadSpec { tenant: tenant(2), spec_revision: SpecRevision(2) },
            Step::Stop { tenant: tenant(3), mode: StopMode::Graceful },
            Step::Stop { tenant: tenant(4), mode: StopMode::Graceful },
            Step::Stop { tenant: tenant(5), mode: StopMode::Kill },
            begin(6, 1),
            Step::Prepare { tenant: tenant(8), generation: Generation(1) },
        ];
        assert_eq!(steps(&actual, &assigned, false), expected);
        assert_eq!(
            steps(&actual, &assigned, true),
            expected[..4],
            "a leaving node begins and prepares nothing"
        );
    }

    #[test]
    fn what_is_prepared_is_begun_under_a_newer_generation_only() {
        let actual = ActualState { preparing: [preparing(1, 3, false)].into(), ..ActualState::default() };
        let wants = |generation, phase| steps(&actual, &[entry(1, generation, phase, 1)], false);
        assert_eq!(wants(3, Phase::Preparing), []);
        assert_eq!(wants(3, Phase::Active), [], "I1: it is still the other node's");
        assert_eq!(wants(2, Phase::Active), []);
        assert_eq!(wants(4, Phase::Active), [begin(1, 4)]);
    }

    #[test]
    fn a_preparation_is_undone_when_its_entry_goes_or_is_of_another_generation_and_the_next_waits_for_that() {
        let forget = [Step::CancelPreparation { tenant: tenant(1) }];
        let mut actual = ActualState { preparing: [preparing(1, 3, false)].into(), ..ActualState::default() };
        assert_eq!(steps(&actual, &[], false), forget);
        assert_eq!(steps(&actual, &[entry(1, 4, Phase::Preparing, 1)], false), forget);
        assert_eq!(steps(&actual, &[entry(1, 3, Phase::Releasing, 1)], false), forget);
        assert_eq!(steps(&actual, &[entry(1, 3, Phase::Preparing, 1)], true), forget);
        actual.preparing = [preparing(1, 3, true)].into();
        for entries in [vec![], vec![entry(1, 4, Phase::Preparing, 1)], vec![entry(1, 4, Phase::Active, 1)]] {
            assert_eq!(steps(&actual, &entries, false), [], "the profile is not free yet");
        }
        actual.preparing.clear();
        assert_eq!(steps(&actual, &[entry(1, 4, Phase::Active, 1)], false), [begin(1, 4)]);
    }

    #[test]
    fn a_tenant_that_is_held_is_let_go_before_it_is_prepared_for() {
        let mut actual = ActualState { held: [held(1, 3, 1)].into(), ..ActualState::default() };
        let assigned = [entry(1, 4, Phase::Preparing, 1)];
        assert_eq!(
            steps(&actual, &assigned, false),
            [Step::Stop { tenant: tenant(1), mode: StopMode::Kill }]
        );
        actual.held.clear();
        let prepare = Step::Prepare { tenant: tenant(1), generation: Generation(4) };
        assert_eq!(steps(&actual, &assigned, false), [prepare]);
    }

    fn apply(actual: &mut ActualState, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Start { tenant, generation, spec_revision } => {
                    if let Some(prepared) = actual.preparing.remove(&tenant) {
                        assert!(generation > prepared.generation, "I1");
                    }
                    let before =
                        actual.held.insert(tenant, Held { generation, spec_revision, stopping: None });
                    assert_eq!(before, None, "begun while it was held");
                }
                Step::ReadSpec { tenant, spec_revision } => {
                    actual.held.get_mut(&tenant).unwrap().spec_revision = spec_revision
                }
                Step::Stop { tenant, mode } => actual.held.get_mut(&tenant).unwrap().stopping = Some(mode),
                Step::Prepare { tenant, generation } => {
                    assert!(!actual.held.contains_key(&tenant), "both need the profile");
                    let before = actual.preparing.insert(tenant, Preparing { generation, ending: false });
                    assert_eq!(before, None, "prepared twice");
                }
                Step::CancelPreparation { tenant } => {
                    actual.preparing.get_mut(&tenant).unwrap().ending = true
                }
            }
        }
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop_oneof![Just(Phase::Active), Just(Phase::Releasing), Just(Phase::Preparing)]
    }

    proptest! {
        #[test]
        fn once_the_stopped_are_gone_the_node_has_what_it_is_assigned_and_rests(
            before in prop::collection::btree_map(0_u8..8, (1_i64..4, 1_i64..3, any::<bool>()), 0..8),
            assigned in prop::collection::btree_map(0_u8..8, (1_i64..4, 1_i64..3, phase()), 0..8),
        ) {
            let mut actual = ActualState::default();
            for (&number, &(generation, spec, is_held)) in &before {
                if is_held {
                    actual.held.extend([held(number, generation, spec)]);
                } else {
                    actual.preparing.extend([preparing(number, generation, false)]);
                }
            }
            let prepared = actual.preparing.clone();
            let assigned: Vec<_> = assigned
                .iter()
                .map(|(&number, &(generation, spec, phase))| entry(number, generation, phase, spec))
                .collect();
            let first = steps(&actual, &assigned, false);
            apply(&mut actual, first);
            prop_assert_eq!(steps(&actual, &assigned, false), vec![], "nothing is asked for twice");
            actual.held.retain(|_, held| held.stopping.is_none());
            actual.preparing.retain(|_, preparing| !preparing.ending);
            let second = steps(&actual, &assigned, false);
            apply(&mut actual, second);
            prop_assert_eq!(steps(&actual, &assigned, false), vec![]);
            for entry in &assigned {
                // Never opened under the generation of the one who may still have it.
                let is_too_old = prepared.get(&entry.tenant).is_some_and(|preparing| entry.generation <= preparing.generation);
                let is_held = actual.held.get(&entry.tenant).is_some_and(|held| held.generation == entry.generation);
                prop_assert_eq!(is_held, entry.phase == Phase::Active && !is_too_old);
                if entry.phase == Phase::Preparing {
                    prop_assert_eq!(actual.preparing[&entry.tenant].generation, entry.generation);
                }
            }
            prop_assert!(actual.held.keys().all(|tenant| !actual.preparing.contains_key(tenant)));
        }
    }
}
