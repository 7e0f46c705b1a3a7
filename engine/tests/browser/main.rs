//! The web engine against a real Chromium and pages that mean harm. This binary plays two parts: the tests start it again as
//! the launcher between themselves and a browser, which is a part of `roost-node` else.
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod bounds;
mod closing;
mod frames;
mod groups;
mod holding;
mod hygiene;
mod identity;
mod launcher;
mod memory;
mod network;
mod proxy;
mod screenshot;
mod site;
mod stage;
mod texts;
mod turned_away;
mod versions;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("launch") {
        launcher::play();
    }
    if std::env::args().nth(1).as_deref() == Some(hygiene::ALONE) {
        runtime().unwrap().block_on(hygiene::fail_to_start());
        return ExitCode::SUCCESS;
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    vec![
        trial("a_page_reaches_its_own_host_and_port_and_nothing_else_of_the_network", network::reach),
        trial("a_page_sends_no_udp_to_a_peer_of_its_choice", network::webrtc),
        trial("a_browser_goes_before_its_node_when_memory_or_processors_are_short", memory::behind_its_node),
        trial(
            "a_browser_joins_its_control_group_and_one_that_the_kernel_ends_there_is_told_as_such",
            groups::ended,
        ),
        trial("a_browser_that_is_asked_to_closes_in_order", closing::in_order),
        trial("a_browser_that_is_killed_while_it_closes_has_not_closed", closing::killed_meanwhile),
        trial("twenty_starts_that_fail_leave_nothing_behind", hygiene::failed_starts),
        trial("a_site_that_answers_with_an_error_is_told_with_its_status", turned_away::status),
        trial("a_site_that_sends_its_page_elsewhere_is_told_with_what_permits_it", turned_away::redirect),
        trial("a_browser_that_is_gone_is_named", turned_away::no_browser),
        trial("what_a_page_shows_can_be_looked_at", screenshot::taken),
        trial("a_page_that_is_frozen_is_not_waited_for_without_an_end", screenshot::frozen),
        trial("what_a_page_frames_cannot_speak_for_it", frames::forgery),
        trial("half_a_character_stops_nothing_and_is_told_as_a_whole_one", texts::half_characters),
        trial("a_page_and_its_workers_do_not_say_that_they_are_headless", identity::unset),
        trial("a_page_and_its_workers_say_what_the_node_was_told", identity::set),
        trial("a_page_and_its_workers_say_what_their_tenant_has_set", identity::per_tenant),
        trial(
            "a_browser_goes_by_its_tenants_proxy_with_a_password_and_by_no_other_way",
            proxy::with_a_password,
        ),
        trial("the_way_by_a_tenants_proxy_is_tried_without_a_browser", proxy::tried_before),
        trial("a_pinned_page_stands_in_the_place_of_the_sites_however_it_is_loaded", versions::page_in_place),
        trial("of_a_pinned_page_nothing_is_replaced_but_its_document", versions::nothing_else),
        trial("a_service_worker_does_not_get_around_a_pinned_page", versions::service_worker),
        trial("another_build_of_the_library_runs_instead_of_the_nodes_own", versions::another_bridge),
        trial("a_warm_browser_adopts_the_versions_of_whoever_opens_it", versions::warm),
        trial("a_page_tells_a_window_of_messages_ahead_and_keeps_the_rest_in_order", holding::window),
        trial("a_page_tells_a_window_of_long_texts_ahead_by_their_length", holding::long_texts),
        trial("a_message_that_is_held_too_long_is_not_acknowledged_until_it_is_durable", holding::too_long),
        trial(
            "messages_beyond_those_that_are_held_are_not_acknowledged_and_taken_in_later",
            holding::too_many,
        ),
        trial("a_sweep_tells_again_what_is_not_confirmed_and_no_more_than_the_window", holding::sweep),
        trial("a_page_that_logs_more_than_may_be_loses_its_browser", bounds::message),
        trial("a_page_that_tells_more_at_once_than_may_be_loses_its_browser", bounds::payload),
        trial("a_page_that_tells_faster_than_anybody_listens_loses_its_browser", bounds::flood),
    ]
}

/// Browsers are started by threads of the runtime, which outlive them.
fn trial<F: Future<Output = ()> + Send + 'static>(name: &str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        runtime()?.block_on(test());
        Ok::<(), Failed>(())
    })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
