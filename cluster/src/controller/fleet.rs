//! One order on many workers: who is next, who has carried it out, and when it is halted.
//!
//! ```text
//!   WAITING --begin--> UNDER_WAY --carried out--> DONE
//!      |                   |------in ERROR, or not in time--> FAILED
//!      +--ordered otherwise, deleted--> GONE
//! ```
//!
//! Each pass reads how the members stand and takes one turn. What it decides from is in the ledger, so the next leader
//! goes on from there, and a cancelled operation is one that nobody reads.

use std::time::Duration;

use roost_model::ids::TenantId;

use super::{
    context::{Context, WriteAuthority},
    error::ControllerError,
    operations::Verdict,
    waits::bounded,
};
use crate::{
    ledger::{
        FleetLimits, FleetMembers, FleetStep, MemberFailure, MemberState, MemberUnderWay, Operation, Outcome,
        Progress, WaitingMember,
    },
    plan::{MoveState, Plan, ReleaseReason},
};

/// A worker that has not carried it out after so long has failed: a planned stop may take 50 s, and a page that others start
/// beside as long as 5 minutes.
pub(super) const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(360);
/// The operation is halted at so many failures, or at [`FAILURES_PERCENT`] of the members if that is more.
const FAILURES: u32 = 3;
const FAILURES_PERCENT: u32 = 5;
/// Failures that are told by name, and of each so much.
const NAMED: usize = 10;
const MOST_CHARS: usize = 150;

/// What comes of one look at the members.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    step: FleetStep,
    progress: Progress,
    verdict: Verdict,
}

impl Context {
    /// How far it has come, and what becomes of it.
    pub(super) async fn go_on_with_fleet(
        &self,
        authority: &WriteAuthority<'_>,
        operation: &Operation,
        limits: FleetLimits,
        plan: &Plan,
    ) -> Result<(Progress, Verdict), ControllerError> {
        let asked = self.ledger.fleet_members(operation.id, limits.max_concurrent);
        let mut members = self.ask_ledger(asked).await.map_err(ControllerError::reading_ledger)?;
        give_up_stuck(&mut members, plan);
        let Turn { step, progress, verdict } = turn(limits, members);
        if !step.is_empty() {
            authority.check()?;
            let written = self.ask_ledger(self.ledger.step_fleet(authority.term, operation.id, &step)).await;
            written.map_err(|error| ControllerError::writing_ledger("a step of a fleet operation", error))?;
        }
        Ok((progress, verdict))
    }
}

/// Whom the plan has no place for is not waited for: others of the operation may have one.
fn give_up_stuck(members: &mut FleetMembers, plan: &Plan) {
    for member in &mut members.under_way {
        let at = plan.moves.binary_search_by(|one| one.tenant.cmp(&member.tenant));
        let Some(planned) = at.ok().map(|at| &plan.moves[at]) else { continue };
        let is_ordered = matches!(planned.reason, ReleaseReason::MovedTo { .. } | ReleaseReason::MovedAway);
        if let (true, MoveState::Stuck(why), MemberState::UnderWay { .. }) =
            (is_ordered, &planned.state, &member.state)
        {
            member.state = MemberState::InError { error: why.to_string() };
        }
    }
}

fn turn(limits: FleetLimits, members: FleetMembers) -> Turn {
    let mut tally = Tally::of(&members, limits);
    let mut step = FleetStep::default();
    for member in members.under_way {
        tally.settle(member, &mut step);
    }
    let left = tally.waiting + tally.under_way;
    let verdict = if left == 0 {
        Verdict::Ends(tally.outcome())
    } else if tally.failed >= tally.most_failures() && tally.waiting > 0 {
        Verdict::Ends(tally.halted())
    } else if tally.is_paused() {
        Verdict::WaitsForTenants { waits_for: tally.paused() }
    } else {
        step.begin = tally.admitted(members.next);
        let is_stuck = tally.under_way == 0 && step.begin.is_empty();
        // What others have brought down may come back; of what this has brought down nobody knows.
        if is_stuck && tally.away_for_good >= tally.budget {
            Verdict::Ends(tally.halted())
        } else {
            Verdict::WaitsForTenants { waits_for: tally.waits_for(is_stuck) }
        }
    };
    Turn { step, progress: tally.progress(), verdict }
}

struct Tally {
    waiting: u32,
    under_way: u32,
    done: u32,
    failed: u32,
    /// The first of them.
    failures: Vec<MemberFailure>,
    max_concurrent: u32,
    pauses_after: Option<u32>,
    /// Members that answered when they were chosen.
    answered: u32,
    /// So many of these may not answer. Never none at all, or it could not go on.
    budget: u32,
    /// So many of these do not for the moment, and so many since they failed.
    away: u32,
    away_for_good: u32,
}

impl Tally {
    fn of(members: &FleetMembers, limits: FleetLimits) -> Self {
        let FleetMembers { waiting, done, failed, answered, silent, silent_failed, .. } = *members;
        Self {
            waiting,
            under_way: 0,
            done,
            failed,
            failures: members.failures.clone(),
            max_concurrent: limits.max_concurrent,
            pauses_after: limits.pauses_after,
            answered,
            budget: share(answered, limits.max_unavailable_percent).max(1),
            away: silent,
            away_for_good: silent_failed,
        }
    }

    /// Takes in what has come of a member's order.
    fn settle(&mut self, member: MemberUnderWay, step: &mut FleetStep) {
        let error = match member.state {
            MemberState::Done => {
                self.done += 1;
                return step.done.push(member.tenant);
            }
            MemberState::Gone => return step.gone.push(member.tenant),
            MemberState::UnderWay { .. } if member.ordered_ago < CARRIED_OUT_WITHIN => {
                self.under_way += 1;
                self.away += u32::from(member.answered);
                return;
            }
            MemberState::UnderWay { condition } => {
                format!("not done within {CARRIED_OUT_WITHIN:?}: {condition}")
            }
            MemberState::InError { error } => error,
        };
        self.failed += 1;
        self.away_for_good += u32::from(member.answered);
        let failure = MemberFailure { tenant: member.tenant, error };
        self.failures.push(failure.clone());
        step.failed.push(failure);
    }

    /// Those that both limits let go now.
    fn admitted(&self, next: Vec<WaitingMember>) -> Vec<TenantId> {
        let mut room = self.max_concurrent.saturating_sub(self.under_way);
        let mut may_go = self.budget.saturating_sub(self.away + self.away_for_good);
        let mut admitted = Vec::new();
        for member in next {
            let takes = u32::from(member.answers);
            if room == 0 || takes > may_go {
                break;
            }
            (room, may_go) = (room - 1, may_go - takes);
            admitted.push(member.tenant);
        }
        admitted
    }

    fn total(&self) -> u32 {
        self.waiting + self.under_way + self.done + self.failed
    }

    fn progress(&self) -> Progress {
        Progress { total: self.total(), done: self.done }
    }

    /// Until an operator resumes it, which raises the number, or cancels it. Where nobody waits there is nothing to pause.
    fn is_paused(&self) -> bool {
        self.waiting > 0 && self.pauses_after.is_some_and(|failures| self.failed > failures)
    }

    fn paused(&self) -> String {
        let told = self.told();
        bounded(&format!("paused until it is resumed or cancelled, for {} failed: {told}", self.failed))
    }

    fn most_failures(&self) -> u32 {
        share(self.total(), FAILURES_PERCENT).max(FAILURES)
    }

    /// Of one in which nobody is left.
    fn outcome(&self) -> Outcome {
        if self.failed == 0 {
            return Outcome::Done;
        }
        let reason = format!("{} of {} failed: {}", self.failed, self.total(), self.told());
        Outcome::Failed { reason: bounded(&reason) }
    }

    fn halted(&self) -> Outcome {
        let (failed, waiting) = (self.failed, self.waiting);
        let told = self.told();
        let reason = format!("halted, for {failed} of {} failed; {waiting} not begun: {told}", self.total());
        Outcome::Failed { reason: bounded(&reason) }
    }

    fn waits_for(&self, is_stuck: bool) -> String {
        let failed = (self.failed > 0).then(|| format!("{} failed: {}", self.failed, self.told()));
        let (away, answered, budget) = (self.away + self.away_for_good, self.answered, self.budget);
        let stuck = is_stuck.then(|| {
            format!("{away} of the {answered} that answered when they were chosen do not, and {budget} may")
        });
        let parts: Vec<String> = failed.into_iter().chain(stuck).collect();
        bounded(&parts.join("; "))
    }

    /// The first of the failures by name, each with its error.
    fn told(&self) -> String {
        let one = |failure: &MemberFailure| {
            let error: String = failure.error.chars().take(MOST_CHARS).collect();
            format!("{} ({error})", failure.tenant)
        };
        let named: Vec<String> = self.failures.iter().take(NAMED).map(one).collect();
        let more = (self.failed as usize).saturating_sub(named.len());
        let named = named.join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    }
}

fn share(of: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(of) * u64::from(percent) / 100).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use roost_model::ids::NodeId;

    use super::*;
    use crate::plan::{TenantMove, WaitReason};

    const LIMITS: FleetLimits =
        FleetLimits { max_concurrent: 10, max_unavailable_percent: 5, pauses_after: None };

    fn tenant(number: usize) -> TenantId {
        TenantId::new(&format!("t{number}")).unwrap()
    }

    /// So many that answer and wait.
    fn waiting(count: usize) -> FleetMembers {
        let next = (0..count.min(10)).map(|number| WaitingMember { tenant: tenant(number), answers: true });
        let count = u32::try_from(count).unwrap();
        FleetMembers { waiting: count, next: next.collect(), answered: count, ..FleetMembers::default() }
    }

    fn under_way(number: usize, state: MemberState) -> MemberUnderWay {
        MemberUnderWay { tenant: tenant(number), answered: true, ordered_ago: Duration::from_secs(9), state }
    }

    fn told(number: usize) -> MemberUnderWay {
        under_way(number, MemberState::UnderWay { condition: "STARTING".to_owned() })
    }

    fn failure(number: usize) -> MemberFailure {
        MemberFailure { tenant: tenant(number), error: "damaged".to_owned() }
    }

    fn halted(turn: &Turn) -> &str {
        match &turn.verdict {
            Verdict::Ends(Outcome::Failed { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn waits(turn: &Turn) -> &str {
        match &turn.verdict {
            Verdict::WaitsForTenants { waits_for } => waits_for,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_begins_in_order_no_more_than_either_limit_allows() {
        let begun = |limits, members| turn(limits, members).step.begin;
        assert_eq!(begun(LIMITS, waiting(60)), [tenant(0), tenant(1), tenant(2)], "5 % of 60");
        assert_eq!(begun(LIMITS, waiting(7)), [tenant(0)], "never none at all");
        assert_eq!(begun(LIMITS, waiting(1_000)).len(), 10, "at once");
        let two_go = FleetMembers { under_way: vec![told(90), told(91)], ..waiting(60) };
        assert_eq!(begun(LIMITS, two_go), [tenant(0)]);
        // Those that do not answer lose nothing by it.
        let mut broken = FleetMembers { answered: 0, ..waiting(60) };
        broken.next.iter_mut().for_each(|member| member.answers = false);
        assert_eq!(begun(LIMITS, broken).len(), 10);
    }

    #[test]
    fn what_does_not_answer_for_another_reason_takes_from_the_share_and_is_waited_for() {
        let lost = FleetMembers { silent: 3, ..waiting(60) };
        let stuck = turn(LIMITS, lost);
        assert_eq!(stuck.step, FleetStep::default());
        assert_eq!(waits(&stuck), "3 of the 60 that answered when they were chosen do not, and 3 may");
        let back = FleetMembers { silent: 2, ..waiting(60) };
        assert_eq!(turn(LIMITS, back).step.begin, [tenant(0)]);
    }

    #[test]
    fn a_member_is_done_when_it_is_back_failed_when_it_is_not_in_time_and_gone_when_it_is_not_to_run() {
        let mut late = told(3);
        late.ordered_ago = CARRIED_OUT_WITHIN;
        let in_error = MemberState::InError { error: "damaged".to_owned() };
        let under_way = vec![
            under_way(1, MemberState::Done),
            under_way(2, in_error),
            late,
            under_way(4, MemberState::Gone),
            told(5),
        ];
        let members = FleetMembers { under_way, done: 10, answered: 1_000, ..waiting(0) };
        let turn = turn(LIMITS, members);
        assert_eq!(
            (turn.step.done.as_slice(), turn.step.gone.as_slice()),
            (&[tenant(1)][..], &[tenant(4)][..])
        );
        let late = MemberFailure { tenant: tenant(3), error: "not done within 360s: STARTING".to_owned() };
        let damaged = MemberFailure { tenant: tenant(2), error: "damaged".to_owned() };
        assert_eq!(turn.step.failed, [damaged, late]);
        assert_eq!(turn.progress, Progress { total: 14, done: 11 }, "who is gone is not waited for");
        assert_eq!(waits(&turn), "2 failed: t2 (damaged), t3 (not done within 360s: STARTING)");
    }

    #[test]
    fn it_is_halted_by_three_failures_or_by_five_per_cent_if_that_is_more() {
        let with = |failed: usize, left: usize| {
            let failures = (100..100 + failed.min(10)).map(failure).collect();
            let failed = u32::try_from(failed).unwrap();
            turn(LIMITS, FleetMembers { failed, failures, ..waiting(left) })
        };
        assert_eq!(waits(&with(2, 38)), "2 failed: t100 (damaged), t101 (damaged)");
        let third = with(3, 37);
        let names = "t100 (damaged), t101 (damaged), t102 (damaged)";
        assert_eq!(halted(&third), format!("halted, for 3 of 40 failed; 37 not begun: {names}"));
        assert_eq!(third.step, FleetStep::default(), "nothing more is begun");
        assert!(!with(49, 951).step.begin.is_empty());
        assert!(halted(&with(50, 950)).ends_with("t109 (damaged) and 40 more"));
        // Where nobody waits there is nothing to halt.
        let last = FleetMembers { under_way: vec![told(1)], failed: 3, ..waiting(0) };
        assert!(waits(&turn(LIMITS, last)).starts_with("3 failed: "));
    }

    #[test]
    fn it_pauses_at_a_failure_if_that_was_asked_for_and_goes_on_when_it_is_resumed() {
        let at = |pauses_after, failed| {
            let limits = FleetLimits { pauses_after: Some(pauses_after), ..LIMITS };
            turn(limits, FleetMembers { failed, failures: vec![failure(7)], ..waiting(60) })
        };
        assert_eq!(at(0, 0).step.begin.len(), 3);
        let paused = at(0, 1);
        assert_eq!(paused.step, FleetStep::default());
        assert_eq!(waits(&paused), "paused until it is resumed or cancelled, for 1 failed: t7 (damaged)");
        assert_eq!(at(1, 1).step.begin.len(), 3, "resumed");
        // Who is under way is still heard, and the last one ends it.
        let limits = FleetLimits { pauses_after: Some(0), ..LIMITS };
        let last = FleetMembers { failed: 1, failures: vec![failure(7)], ..waiting(0) };
        assert_eq!(halted(&turn(limits, last)), "1 of 1 failed: t7 (damaged)");
    }

    #[test]
    fn failures_that_take_the_whole_share_halt_it_before_that() {
        let members = FleetMembers { failed: 1, failures: vec![failure(9)], silent_failed: 1, ..waiting(9) };
        let alone = turn(LIMITS, members.clone());
        assert_eq!(halted(&alone), "halted, for 1 of 10 failed; 9 not begun: t9 (damaged)");
        // One that is under way may be the last of it: it is heard first.
        let members = FleetMembers { under_way: vec![told(8)], ..members };
        assert_eq!(waits(&turn(LIMITS, members)), "1 failed: t9 (damaged)");
    }

    #[test]
    fn it_ends_when_nobody_is_left_and_names_who_has_failed() {
        let done = FleetMembers { under_way: vec![under_way(1, MemberState::Done)], done: 4, ..waiting(0) };
        let ended = turn(LIMITS, done.clone());
        assert_eq!(
            (ended.verdict, ended.progress),
            (Verdict::Ends(Outcome::Done), Progress { total: 5, done: 5 })
        );
        let failed = FleetMembers { failed: 1, failures: vec![failure(7)], ..done };
        assert_eq!(halted(&turn(LIMITS, failed)), "1 of 6 failed: t7 (damaged)");
    }

    #[test]
    fn who_has_no_place_to_move_to_fails_with_the_reason_and_who_moves_goes_on() {
        let planned = |number: usize, reason: ReleaseReason, state: MoveState| TenantMove {
            tenant: tenant(number),
            from: NodeId::new("a").unwrap(),
            to: None,
            reason,
            state,
        };
        let stuck = || MoveState::Stuck(WaitReason::EveryNodeFull);
        let moves = vec![
            planned(1, ReleaseReason::MovedAway, stuck()),
            planned(2, ReleaseReason::MovedAway, MoveState::Waiting),
            planned(3, ReleaseReason::NodeDraining, stuck()),
        ];
        let mut members = FleetMembers { under_way: (1..5).map(told).collect(), ..waiting(0) };
        give_up_stuck(&mut members, &Plan { decisions: Vec::new(), moves });
        let full = MemberFailure { tenant: tenant(1), error: "every node is full".to_owned() };
        assert_eq!(turn(LIMITS, members).step.failed, [full]);
    }

    #[test]
    fn the_next_leader_begins_nobody_twice() {
        let first = turn(LIMITS, waiting(60)).step.begin;
        let under_way = (0..first.len()).map(told).collect();
        let next = (first.len()..13).map(|number| WaitingMember { tenant: tenant(number), answers: true });
        let members = FleetMembers { waiting: 57, next: next.collect(), under_way, ..waiting(60) };
        assert_eq!(turn(LIMITS, members).step, FleetStep::default());
    }
}
