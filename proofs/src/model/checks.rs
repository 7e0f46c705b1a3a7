//! What the checker must find, and what it must not.

use std::time::Duration;

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

use super::{
    events::Ownership,
    exploration::{MOVES, NOTHING_BROKEN, ONE_BROWSER, RUNS, RUNS_AGAIN},
    guards::Guards,
    state::Budget,
    time::{SHOWN_BY_THE_SLOW, timing},
};

const CALM: Budget = Budget { crashes: 0, lapses: 0, losses: 0, departures: 0, writes: 0, ticks: 0 };

/// For all states of one budget.
const PATIENCE: Duration = Duration::from_secs(300);

fn checker(model: Ownership) -> CheckerBuilder<Ownership> {
    model.checker().threads(std::thread::available_parallelism().map_or(2, usize::from))
}

/// Looks at every state there is within the budget, and tells how many there were.
fn sound(budget: Budget, checks_recovery: bool) -> String {
    let model = Ownership { checks_recovery, ..Ownership::new(Guards::ALL, budget) };
    let began = std::time::Instant::now();
    let done = checker(model).timeout(PATIENCE).spawn_bfs().join();
    assert!(began.elapsed() < PATIENCE, "not every state was looked at");
    done.assert_no_discovery(ONE_BROWSER);
    done.assert_no_discovery(NOTHING_BROKEN);
    done.assert_any_discovery(RUNS);
    done.assert_any_discovery(MOVES);
    if checks_recovery {
        done.assert_no_discovery(RUNS_AGAIN);
    }
    format!(
        "{} states, {} of them different, at most {} events deep, in {:.1?}",
        done.state_count(),
        done.unique_state_count(),
        done.max_depth(),
        began.elapsed()
    )
}

/// Finds the history that the guard would have prevented, and tells it.
fn missed(guards: Guards, budget: Budget, property: &'static str) -> String {
    let stop = HasDiscoveries::AnyOf([property].into_iter().collect());
    let done = checker(Ownership::new(guards, budget)).finish_when(stop).spawn_bfs().join();
    let path = done.discovery(property).unwrap_or_else(|| panic!("nobody misses it: {guards:?}"));
    let events = path.into_actions();
    let (length, states) = (events.len(), done.unique_state_count());
    let told: String = events.iter().map(|event| format!("\n  {event:?}")).collect();
    format!("{property}: broken after {length} events, found in {states} states:{told}")
}

#[test]
fn the_models_numbers_have_the_products_proportions() {
    let timing = timing();
    let shown = Duration::from_secs(SHOWN_BY_THE_SLOW.into());
    assert!(
        timing.deadline_after + timing.kill_time <= shown,
        "the slow clock shows enough of a lease to end in"
    );
    assert!(timing.soft_stop_after < timing.deadline_after);
    assert!(timing.deadline_after + timing.kill_time < timing.ttl);
}

#[test]
fn no_lease_ends_before_what_runs_under_it() {
    println!("leases: {}", sound(Budget { ticks: 6, ..CALM }, true));
}

#[test]
fn no_order_of_a_change_of_controllers_breaks_ownership() {
    println!("controllers: {}", sound(Budget { lapses: 2, crashes: 1, ..CALM }, true));
}

#[test]
fn no_order_of_a_hand_over_breaks_ownership() {
    println!("hand-over: {}", sound(Budget { departures: 1, lapses: 1, crashes: 1, ..CALM }, true));
}

#[test]
fn no_order_of_a_failover_breaks_ownership() {
    println!("failover: {}", sound(Budget { crashes: 1, lapses: 1, writes: 1, ..CALM }, false));
}

#[test]
fn without_the_deadline_there_are_two_browsers() {
    println!(
        "{}",
        missed(Guards { deadline: false, ..Guards::ALL }, Budget { ticks: 4, ..CALM }, ONE_BROWSER)
    );
}

#[test]
fn without_the_check_of_generations_a_late_write_is_taken() {
    let budget = Budget { writes: 1, crashes: 1, ..CALM };
    println!("{}", missed(Guards { generation: false, ..Guards::ALL }, budget, NOTHING_BROKEN));
}

#[test]
fn without_the_check_of_terms_a_deposed_controller_writes() {
    println!(
        "{}",
        missed(Guards { term: false, ..Guards::ALL }, Budget { lapses: 1, ..CALM }, NOTHING_BROKEN)
    );
}

#[test]
fn without_the_leaders_guard_there_are_two_browsers() {
    let budget = Budget { lapses: 1, departures: 1, ..CALM };
    println!("{}", missed(Guards { leader: false, ..Guards::ALL }, budget, ONE_BROWSER));
}

#[test]
fn without_waiting_for_the_browsers_end_there_are_two() {
    println!(
        "{}",
        missed(Guards { let_go: false, ..Guards::ALL }, Budget { departures: 1, ..CALM }, ONE_BROWSER)
    );
}

#[test]
fn if_preparing_were_owning_there_would_be_two_browsers() {
    println!(
        "{}",
        missed(Guards { preparing: false, ..Guards::ALL }, Budget { departures: 1, ..CALM }, ONE_BROWSER)
    );
}
