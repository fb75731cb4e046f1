//! All cases, and where each is run.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use crate::{
    bodies, doors, heads,
    stage::{Case, Door, Stage},
    upgrades,
};

/// Where a case is run beside directly, and on what ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Behind nginx, too.
    Everywhere,
    /// Behind nginx that is given no path of its own, too: it would resolve the path.
    NotBelow,
    /// nginx does by itself what this is about.
    Direct,
    /// As [`Self::Everywhere`], and only where the test itself listens on the sandbox's network.
    Machine,
    /// As [`Self::Direct`], on that network.
    MachineDirect,
}

type Run = for<'a> fn(Case<'a>) -> LocalBoxFuture<'a, ()>;

macro_rules! cases {
    ($($place:ident: $module:ident::$name:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), Where::$place, |case| {
            Box::pin($module::$name(case))
        })),*]
    };
}

const CASES: &[(&str, Where, Run)] = cases![
    Everywhere: bodies::a_plain_request,
    Everywhere: bodies::chunked_both_ways,
    Everywhere: bodies::a_body_of_a_get,
    Everywhere: bodies::an_empty_post,
    Direct: bodies::response_trailers,
    Direct: bodies::request_trailers,
    Everywhere: bodies::continue_when_the_program_says_so,
    Direct: bodies::no_continue_when_the_program_refuses,
    Everywhere: bodies::informational_answers_are_skipped,
    Everywhere: bodies::a_slow_request_body,
    Everywhere: bodies::a_slow_answer,
    Everywhere: bodies::server_sent_events,
    Everywhere: bodies::grpc_web,
    Everywhere: bodies::an_early_answer,
    Everywhere: bodies::an_answer_with_a_length_beside_chunks,
    Everywhere: bodies::a_cut_in_a_sized_answer,
    Everywhere: bodies::a_cut_in_a_chunked_answer,
    MachineDirect: bodies::a_reset_in_an_unsized_answer,
    Everywhere: bodies::an_answer_that_ends_with_the_connection,
    Everywhere: bodies::no_answer_at_all,
    Everywhere: bodies::head_has_no_body,
    Everywhere: bodies::a_range,
    Everywhere: bodies::not_modified,
    Everywhere: bodies::no_content,
    Everywhere: bodies::requests_in_a_row,
    Everywhere: bodies::a_large_body_each_way,
    Everywhere: bodies::a_client_that_goes_away,
    Everywhere: upgrades::taken_with_all_that_was_agreed,
    Everywhere: upgrades::what_the_program_says_with_its_answer_is_not_lost,
    Everywhere: upgrades::frames_are_left_as_they_are,
    Everywhere: upgrades::a_message_of_eight_mebibytes,
    Everywhere: upgrades::another_protocol,
    Everywhere: upgrades::refused,
    Everywhere: upgrades::answered_as_an_ordinary_request,
    Everywhere: upgrades::a_protocol_nobody_asked_for,
    Direct: upgrades::http_2_is_not_upgraded_to,
    Direct: upgrades::each_direction_ends_by_itself,
    Everywhere: upgrades::either_end_that_goes_away_ends_the_other,
    Everywhere: upgrades::only_for_pages_of_this_origin,
    NotBelow: heads::paths_and_queries_word_for_word,
    NotBelow: heads::dots_in_a_path,
    Everywhere: heads::what_is_told_of_the_outside,
    Everywhere: heads::what_counts_for_one_connection_only,
    Everywhere: heads::repeated_headers_stay_apart_and_in_order,
    Everywhere: heads::large_headers,
    Everywhere: heads::too_large_headers,
    Direct: heads::too_many_headers,
    Everywhere: heads::too_large_headers_of_an_answer,
    Everywhere: heads::redirects,
    Everywhere: heads::headers_that_are_not_ascii,
    Everywhere: heads::a_prefix_without_its_slash,
    Everywhere: heads::a_base_path_that_the_program_knows,
    Everywhere: heads::cookies_that_go_in,
    Everywhere: heads::authorization_of_the_programs_own,
    Everywhere: heads::cookies_that_come_out,
    Everywhere: heads::who_may_frame_it,
    Everywhere: heads::nothing_for_the_whole_host,
    Everywhere: heads::encoded_content_is_left_as_it_is,
    Everywhere: doors::nobody,
    Everywhere: doors::a_wrong_token,
    Everywhere: doors::a_viewer,
    Everywhere: doors::a_token_of_another_session,
    Everywhere: doors::a_page_of_another_origin,
    Machine: doors::nothing_listens_and_then_something_does,
    Machine: doors::a_program_on_ipv6_alone,
    Machine: doors::the_servers_own_ports,
    Everywhere: doors::no_other_address_is_served,
    Direct: doors::odd_hosts,
    Everywhere: doors::smuggled_requests,
    Everywhere: doors::a_length_beside_chunks,
    Machine: doors::broken_chunks,
    NotBelow: doors::a_host_of_its_own,
    NotBelow: doors::a_ticket_signs_in_once,
    Everywhere: doors::a_ticket_stays_here,
    Everywhere: doors::too_many_connections,
];

/// Runs every case that fits, one after another; says how each went, and fails with those that failed.
pub(crate) async fn run(stage: &Stage, doors: &[Door], on_machine: bool, at_least: usize) {
    let only = std::env::var("STAITHE_CASE").unwrap_or_default();
    let (mut ran, mut failed) = (0, Vec::new());
    for door in doors {
        for (name, place, run) in CASES.iter().filter(|(name, ..)| name.contains(&only)) {
            let fits = match place {
                Where::Everywhere => true,
                Where::NotBelow => *door != Door::Below,
                Where::Direct => *door == Door::Direct,
                Where::Machine => on_machine,
                Where::MachineDirect => on_machine && *door == Door::Direct,
            };
            if !fits {
                continue;
            }
            let outcome = AssertUnwindSafe(run(Case { stage, door: *door })).catch_unwind().await;
            ran += 1;
            eprintln!("{} {door:?} {name}", if outcome.is_ok() { "ok    " } else { "FAILED" });
            if outcome.is_err() {
                failed.push(format!("{door:?} {name}"));
            }
        }
    }
    eprintln!("{ran} cases were run, {} of them failed", failed.len());
    assert!(failed.is_empty(), "failed:\n  {}", failed.join("\n  "));
    assert!(ran >= at_least || !only.is_empty(), "only {ran} cases were run");
}
