//! Words that may not come back: riddles, and one word for two things, that have been given the field's names.
//!
//! A word is looked for in code, not in prose: as an identifier or a part of one that is in snake_case, in sources, in `.proto` and
//! `.sql` files, and between backticks in comments and documents. `left` is in how many places it still stands; it can only go down.

use std::{collections::BTreeMap, path::Path};

use proc_macro2::{TokenStream, TokenTree};

use crate::tree;

struct Retired {
    was: &'static str,
    now: &'static str,
    /// The folder in which it is retired, if it means something else in others.
    under: &'static str,
    left: usize,
}

const fn retired(was: &'static str, now: &'static str, left: usize) -> Retired {
    Retired { was, now, under: "", left }
}

const fn retired_in(under: &'static str, was: &'static str, now: &'static str, left: usize) -> Retired {
    Retired { was, now, under, left }
}

const WORDS: &[Retired] = &[
    retired_in("cluster", "Fence", "LeaseDeadline", 0),
    retired("Crew", "TenantRuntime", 0),
    retired("Charge", "RunRequest", 0),
    retired("Errand", "PrepareRequest", 0),
    retired("Fate", "Disposition", 0),
    retired("Told", "LeaseReportingRegistry", 0),
    retired("Senses", "FailureDetector", 0),
    retired("Findings", "Assessment", 0),
    retired_in("cluster", "Calm", "StabilisationWindow", 0),
    retired("Brake", "FailoverBreaker", 0),
    retired("Directions", "PlanInputs", 0),
    retired("Reign", "LeaderTerm", 0),
    retired("Mandate", "WriteAuthority", 0),
    retired("Rooms", "NodeLoads", 0),
    retired("Homeless", "Unplaced", 0),
    retired("homeless", "unplaced", 0),
    retired("Demand", "DesiredTenant", 0),
    retired("Note", "LedgerRecord", 0),
    retired("Untold", "PendingHistory", 0),
    retired("happenings", "events", 0),
    retired_in("coordinator", "Word", "a wakeup", 0),
    retired_in("coordinator", "News", "wakeups", 0),
    retired_in("node/src/worker", "Operation", "BrowserTask", 0),
    retired_in("node", "Tenure", "TenantRun", 0),
    retired_in("node", "Roster", "WorkerTable", 0),
    retired_in("node", "Warmed", "WarmStandby", 0),
    retired_in("node", "Vault", "SnapshotStore", 0),
    retired_in("node", "Lanes", "ChatQueues", 0),
    retired_in("node", "insist", "until_available", 0),
    retired_in("node", "Home", "SessionStore", 0),
    retired("furnish", "install_session", 0),
    retired("cool_down", "discard_unused", 0),
    retired("NOBODYS", "UNOWNED", 0),
    retired("GetQr", "GetSession", 0),
    retired("get_qr", "get_session", 0),
    retired("WatchQr", "WatchSession", 0),
    retired("watch_qr", "watch_session", 0),
];

/// The ends of paths that no file has any more.
const FILES: &[Retired] = &[
    retired("host/crew.rs", "tenant_runtime.rs", 0),
    retired("host/told.rs", "lease_reporting_registry.rs", 0),
    retired("controller/senses.rs", "failure_detector.rs", 0),
    retired("controller/calm.rs", "stabilisation_window.rs", 0),
    retired("controller/brake.rs", "failover_breaker.rs", 0),
    retired("controller/directions.rs", "plan_inputs.rs", 0),
    retired("controller/reign.rs", "leader_term.rs", 0),
    retired("plan/rooms.rs", "node_loads.rs", 0),
    retired("services/word.rs", "wakeups.rs", 0),
    retired("services/news.rs", "wakeups.rs", 0),
    retired("worker/home.rs", "session_store.rs", 0),
    retired("node/src/launch.rs", "exec_with_parent_death.rs", 0),
    retired("node/src/launches.rs", "launch_queue.rs", 0),
    retired("0001_main_job.sql", "0001_initial_schema.sql", 0),
];

const ENDINGS: &[&str] = &["rs", "proto", "md", "sql"];

#[test]
fn no_retired_word_comes_back() {
    let mut found = vec![BTreeMap::new(); WORDS.len()];
    for path in tree::files(ENDINGS)
        .iter()
        .filter(|path| !path.starts_with("house") && !path.ends_with("CHANGELOG.md"))
    {
        for word in code_words(path, &tree::read(path)) {
            for (word_at, retired) in WORDS.iter().enumerate() {
                if path.starts_with(retired.under) && is_part(retired.was, &word) {
                    *found[word_at].entry(path.clone()).or_insert(0) += 1;
                }
            }
        }
    }
    let rows = WORDS
        .iter()
        .zip(found)
        .map(|(retired, places)| (retired, places.values().sum(), format!("{places:?}")));
    assert_only_what_is_left(rows);
}

#[test]
fn no_file_has_a_retired_name() {
    let files = tree::files(ENDINGS);
    assert_only_what_is_left(FILES.iter().map(|retired| {
        let found: Vec<_> = files.iter().filter(|path| path.ends_with(retired.was)).collect();
        (retired, found.len(), format!("{found:?}"))
    }));
}

fn assert_only_what_is_left<'a>(found: impl Iterator<Item = (&'a Retired, usize, String)>) {
    let mut wrong = Vec::new();
    for (retired, count, places) in found {
        let (was, now, left) = (retired.was, retired.now, retired.left);
        if count > left {
            wrong.push(format!(
                "`{was}` is retired ({left} left) and stands in {count} places; say `{now}`: {places}"
            ));
        } else if count < left {
            wrong.push(format!(
                "`{was}` stands in {count} places; lower what is left in house/src/retired.rs from {left}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_part(retired: &str, word: &str) -> bool {
    format!("_{word}_").contains(&format!("_{retired}_"))
}

/// The words of a file that are code.
fn code_words(path: &Path, text: &str) -> Vec<String> {
    let mut words = Vec::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("rs") => {
            identifiers(text.parse().expect("a source that parses"), &mut words);
            text.lines()
                .filter_map(|line| line.split_once("//"))
                .for_each(|(_, prose)| quoted(prose, &mut words));
        }
        Some("md") => {
            let mut is_fenced = false;
            for line in text.lines() {
                is_fenced ^= line.trim_start().starts_with("```");
                if is_fenced { split(line, &mut words) } else { quoted(line, &mut words) }
            }
        }
        _ => {
            for line in text.lines() {
                let (code, prose) =
                    line.split_once("//").or_else(|| line.split_once("--")).unwrap_or((line, ""));
                split(code, &mut words);
                quoted(prose, &mut words);
            }
        }
    }
    words
}

fn identifiers(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Group(group) => identifiers(group.stream(), words),
            _ => {}
        }
    }
}

fn quoted(prose: &str, words: &mut Vec<String>) {
    prose.split('`').skip(1).step_by(2).for_each(|code| split(code, words));
}

fn split(code: &str, words: &mut Vec<String>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    words.extend(code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned));
}

#[test]
fn words_are_looked_for_in_code_and_not_in_prose() {
    let words = |path: &str, text: &str| code_words(Path::new(path), text).join(" ");
    assert_eq!(
        words("a.rs", "/// Told of [`Crew::run`].\nfn furnish() {} // a `home`"),
        "doc fn furnish Crew run home"
    );
    assert_eq!(words("a.md", "A home, or `Home`.\n```\nroost x\n```\nA word."), "Home roost x");
    assert_eq!(words("a.sql", "create table notes -- a `note` of ours"), "create table notes note");
    assert!(is_part("cool_down", "may_cool_down_now") && is_part("Home", "Home"));
    assert!(!is_part("Home", "Homeless") && !is_part("note", "notes"));
}
