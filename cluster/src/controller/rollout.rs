//! A version that some tenants are given first: who is next, and whether it does them good, beside as many that keep what they have.
//!
//! ```text
//!   WAITING --give--> GIVEN ----- sound --> the fleet's
//!                       |-------- broken, undecided, cancelled --> back to what they had
//! ```
//!
//! Each pass reads how they stand and takes one turn, a pure function of that. The version is
//!
//! | | when |
//! |---|---|
//! | broken | of those that have it more fail than of the others, by over [`MARGIN_PERCENT`] of them |
//! | sound | all answer with it, the last for as long as it is watched, no more of them fail than that margin, and enough sends were acknowledged |
//! | undecided | neither after so long, or nobody is left to compare: silence is no success |
//!
//! A tenant fails by what its worker had to do about it, by not coming back, and by sends that WhatsApp does not acknowledge.

use std::time::Duration;

use super::{
    context::{Context, WriteAuthority},
    error::ControllerError,
    fleet::CARRIED_OUT_WITHIN,
    names::named,
    operations::Verdict,
    waits::bounded,
};
use crate::ledger::{Operation, Outcome, Progress, RolloutLimits, RolloutMember, RolloutStep};
use roost_model::ids::TenantId;

/// With a fleet of ten that is one: a rollout that was halted for nothing costs another one.
const MARGIN_PERCENT: u32 = 5;
/// Sends without an acknowledgement that say nothing yet.
const FEW_UNACKNOWLEDGED: u32 = 2;
/// One in so many sends may have none.
const UNACKNOWLEDGED_ONE_IN: u32 = 10;

/// What comes of one look.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    give: Vec<TenantId>,
    progress: Progress,
    verdict: Verdict,
}

impl Context {
    /// How far it has come; none once it is over, which is written with all that follows from it.
    pub(super) async fn go_on_with_rollout(
        &self,
        authority: &WriteAuthority<'_>,
        operation: &Operation,
        limits: RolloutLimits,
    ) -> Result<Option<(Progress, Verdict)>, ControllerError> {
        let asked = self.ask_ledger(self.ledger.rollout_members(operation.id)).await;
        let members = asked.map_err(ControllerError::reading_ledger)?;
        let Turn { give, progress, verdict } = turn(limits, &members);
        let step = match &verdict {
            Verdict::Ends(outcome) => RolloutStep::End { outcome: outcome.clone(), done: progress.done },
            _ if give.is_empty() => return Ok(Some((progress, verdict))),
            _ => RolloutStep::Give(give),
        };
        authority.check()?;
        let written = self.ask_ledger(self.ledger.step_rollout(authority.term, operation.id, &step)).await;
        written.map_err(|error| ControllerError::writing_ledger("a step of a rollout", error))?;
        let goes_on = matches!(step, RolloutStep::Give(_));
        Ok(goes_on.then_some((progress, verdict)))
    }
}

fn turn(limits: RolloutLimits, members: &[RolloutMember]) -> Turn {
    let (controls, chosen): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.is_control);
    let (given, waiting): (Vec<_>, Vec<_>) = chosen.iter().partition(|member| member.given_ago.is_some());
    let trial =
        Trial { given: Side::of(&given), controls: Side::of(&controls), waiting: waiting.len(), limits };
    let progress = Progress { total: count(chosen.len()), done: trial.given.answering };
    let verdict = trial.verdict();
    let mut give = Vec::new();
    if matches!(verdict, Verdict::WaitsForTenants { .. }) && trial.given.failing.is_empty() {
        let away = trial.given.size.saturating_sub(trial.given.answering);
        let room = limits.max_concurrent.saturating_sub(away) as usize;
        give = waiting.iter().take(room).map(|member| member.tenant.clone()).collect();
    }
    Turn { give, progress, verdict }
}

/// One of the two groups, or what of it has had its turn.
#[derive(Debug, Default)]
struct Side {
    size: u32,
    answering: u32,
    acknowledged: u32,
    /// Each with the reason.
    failing: Vec<String>,
    youngest: Duration,
    oldest: Duration,
}

impl Side {
    fn of(members: &[&RolloutMember]) -> Self {
        let ages = || members.iter().filter_map(|member| member.given_ago);
        Self {
            size: count(members.len()),
            answering: count(members.iter().filter(|member| member.answers).count()),
            acknowledged: members.iter().map(|member| member.acknowledged).sum(),
            failing: members.iter().filter_map(|member| failure(member)).collect(),
            youngest: ages().min().unwrap_or_default(),
            oldest: ages().max().unwrap_or_default(),
        }
    }

    fn failing(&self) -> u32 {
        count(self.failing.len())
    }

    /// The first of them by name.
    fn told(&self) -> String {
        named(self.failing.iter().map(String::as_str))
    }
}

/// Why a tenant fails, if it does.
fn failure(member: &RolloutMember) -> Option<String> {
    let RolloutMember { tenant, acknowledged, unacknowledged, .. } = member;
    let sends = acknowledged + unacknowledged;
    let is_late = || {
        // One that was given nothing does not start anew.
        !member.answers
            && (member.is_control || member.given_ago.is_some_and(|ago| ago >= CARRIED_OUT_WITHIN))
    };
    if let Some(trouble) = &member.trouble {
        Some(format!("{tenant} ({trouble})"))
    } else if is_late() {
        Some(format!("{tenant} (it does not answer)"))
    } else if *unacknowledged >= FEW_UNACKNOWLEDGED && unacknowledged * UNACKNOWLEDGED_ONE_IN > sends {
        Some(format!("{tenant} ({unacknowledged} of {sends} sends were not acknowledged)"))
    } else {
        None
    }
}

struct Trial {
    given: Side,
    controls: Side,
    waiting: usize,
    limits: RolloutLimits,
}

impl Trial {
    fn verdict(&self) -> Verdict {
        let Self { given, controls, waiting, limits } = self;
        if self.is_broken() {
            Verdict::Ends(failed(&format!(
                "broken: {} of {} that have it fail, and {} of {} that do not: {}",
                given.failing(),
                given.size,
                controls.failing(),
                controls.size,
                given.told()
            )))
        } else if given.size == 0 && *waiting == 0 || controls.size == 0 {
            Verdict::Ends(failed("undecided: nobody is left to compare"))
        } else if *waiting == 0
            && given.answering == given.size
            && given.youngest >= limits.watch_for
            && given.acknowledged >= limits.least_acknowledged
            && 100 * given.failing() <= MARGIN_PERCENT * given.size
        {
            Verdict::Ends(Outcome::Done)
        } else if given.oldest >= limits.give_up_after {
            Verdict::Ends(failed(&format!("undecided after {:?}: {}", limits.give_up_after, self.told())))
        } else {
            Verdict::WaitsForTenants { waits_for: self.told() }
        }
    }

    fn is_broken(&self) -> bool {
        let (given, controls) = (u64::from(self.given.size), u64::from(self.controls.size.max(1)));
        let (fail, usual) = (u64::from(self.given.failing()), u64::from(self.controls.failing()));
        100 * fail * controls > given * (100 * usual + u64::from(MARGIN_PERCENT) * controls)
    }

    fn told(&self) -> String {
        let Self { given, controls, waiting, limits } = self;
        let (minutes, of) = (given.youngest.as_secs() / 60, limits.watch_for.as_secs().div_ceil(60));
        let sends = given.acknowledged.min(limits.least_acknowledged);
        let mut told = format!(
            "{} of {} have it and {} answer; {sends} of {} sends acknowledged; watched for {minutes} of {of} minutes",
            given.size,
            given.size as usize + waiting,
            given.answering,
            limits.least_acknowledged
        );
        if controls.failing() > 0 {
            told += &format!("; of those without it {} of {} fail", controls.failing(), controls.size);
        }
        told
    }
}

fn failed(reason: &str) -> Outcome {
    Outcome::Failed { reason: bounded(reason) }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: RolloutLimits = RolloutLimits {
        max_concurrent: 3,
        watch_for: Duration::from_secs(15 * 60),
        give_up_after: Duration::from_secs(60 * 60),
        least_acknowledged: 20,
    };

    fn member(number: usize, is_control: bool) -> RolloutMember {
        RolloutMember {
            tenant: TenantId::new(&format!("t{number}")).unwrap(),
            is_control,
            given_ago: Some(15 * MINUTE),
            answers: true,
            acknowledged: 5,
            unacknowledged: 0,
            trouble: None,
        }
    }

    /// So many that have it and do well, and as many that do without.
    fn members(each: usize) -> Vec<RolloutMember> {
        (0..each)
            .map(|number| member(number, false))
            .chain((0..each).map(|number| member(100 + number, true)))
            .collect()
    }

    fn reason(turn: &Turn) -> &str {
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
    fn it_is_sound_once_all_have_answered_with_it_for_long_enough_and_enough_was_acknowledged() {
        let sound = turn(LIMITS, &members(4));
        assert_eq!(sound.verdict, Verdict::Ends(Outcome::Done));
        assert_eq!(sound.progress, Progress { total: 4, done: 4 });
        let mut young = members(4);
        young[2].given_ago = Some(14 * MINUTE);
        let told = "4 of 4 have it and 4 answer; 20 of 20 sends acknowledged; watched for 14 of 15 minutes";
        assert_eq!(waits(&turn(LIMITS, &young)), told);
        let mut silent = members(4);
        silent[0].acknowledged = 4;
        assert!(waits(&turn(LIMITS, &silent)).contains("19 of 20 sends acknowledged"));
        let mut away = members(4);
        away[1] = RolloutMember { answers: false, given_ago: Some(MINUTE), ..away[1].clone() };
        assert!(waits(&turn(LIMITS, &away)).contains("and 3 answer"));
    }

    #[test]
    fn silence_is_no_success() {
        let mut silent = members(4);
        for member in &mut silent {
            (member.acknowledged, member.given_ago) = (0, Some(60 * MINUTE));
        }
        let undecided = turn(LIMITS, &silent);
        assert!(reason(&undecided).starts_with("undecided after 3600s: 4 of 4 have it"), "{undecided:?}");
        // Neither are sends of those that are to be compared with.
        silent.iter_mut().filter(|member| member.is_control).for_each(|member| member.acknowledged = 900);
        assert!(reason(&turn(LIMITS, &silent)).contains("0 of 20 sends acknowledged"));
    }

    #[test]
    fn one_in_ten_that_fails_is_enough_in_whatever_way_it_does() {
        let ways: [fn(&mut RolloutMember); 3] = [
            |bad| bad.trouble = Some("HEALING: the page does not send".to_owned()),
            |bad| (bad.answers, bad.given_ago) = (false, Some(CARRIED_OUT_WITHIN)),
            |bad| (bad.acknowledged, bad.unacknowledged) = (17, 2),
        ];
        let told =
            ["HEALING: the page does not send", "it does not answer", "2 of 19 sends were not acknowledged"];
        for (spoil, told) in ways.into_iter().zip(told) {
            let mut spoilt = members(10);
            spoil(&mut spoilt[6]);
            let broken = turn(LIMITS, &spoilt);
            let expected = format!("broken: 1 of 10 that have it fail, and 0 of 10 that do not: t6 ({told})");
            assert_eq!(reason(&broken), expected);
            assert!(broken.give.is_empty());
        }
    }

    #[test]
    fn it_is_judged_as_soon_as_it_fails_and_nobody_else_is_given_it() {
        let mut begun = members(10);
        for waiting in &mut begun[3..10] {
            *waiting = RolloutMember { given_ago: None, answers: true, ..waiting.clone() };
        }
        begun[1].trouble = Some("NEEDS_UPDATE".to_owned());
        begun.iter_mut().take(3).for_each(|given| given.given_ago = Some(MINUTE));
        assert!(reason(&turn(LIMITS, &begun)).starts_with("broken: 1 of 3 that have it fail"));
    }

    #[test]
    fn what_happens_to_the_others_as_well_is_not_its_fault() {
        let mut outage = members(10);
        for number in [0, 1, 2, 10, 11, 12] {
            outage[number].trouble = Some("HEALING".to_owned());
        }
        let turn = super::turn(LIMITS, &outage);
        assert!(
            waits(&turn).ends_with("; of those without it 3 of 10 fail"),
            "nor is it a time to say that it is sound"
        );
        outage[3].trouble = Some("HEALING".to_owned());
        let broken = super::turn(LIMITS, &outage);
        assert!(reason(&broken).starts_with("broken: 4 of 10 that have it fail, and 3 of 10"), "{broken:?}");
    }

    #[test]
    fn a_few_at_a_time_are_given_it_and_no_more_while_somebody_does_not_answer() {
        let mut begun = members(10);
        for waiting in &mut begun[..10] {
            waiting.given_ago = None;
        }
        let first: Vec<TenantId> = begun[..3].iter().map(|member| member.tenant.clone()).collect();
        assert_eq!(turn(LIMITS, &begun).give, first);
        for given in &mut begun[..3] {
            (given.given_ago, given.answers) = (Some(MINUTE), false);
        }
        assert!(turn(LIMITS, &begun).give.is_empty(), "all three are on their way");
        begun[0].answers = true;
        assert_eq!(turn(LIMITS, &begun).give, [begun[3].tenant.clone()]);
    }

    #[test]
    fn without_anybody_to_compare_it_is_undecided() {
        let alone: Vec<_> = members(4).into_iter().filter(|member| !member.is_control).collect();
        assert_eq!(reason(&turn(LIMITS, &alone)), "undecided: nobody is left to compare");
        let others: Vec<_> = members(4).into_iter().filter(|member| member.is_control).collect();
        assert_eq!(reason(&turn(LIMITS, &others)), "undecided: nobody is left to compare");
    }
}
