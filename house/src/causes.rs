//! An error is logged with its causes: the message of an error of ours never repeats its source.

use proc_macro2::{TokenStream, TokenTree};

use crate::tree;

/// The rooms whose log operators read.
const ROOMS: &[&str] = &["cluster", "coordinator", "engine", "node", "responder", "store"];

const MACROS: &[&str] = &["trace", "debug", "info", "warn", "error", "event"];

#[test]
fn errors_are_logged_with_their_causes() {
    let mut wrong = Vec::new();
    for path in tree::files(&["rs"]) {
        if ROOMS.iter().any(|room| path.starts_with(room)) {
            let tokens = tree::read(&path).parse().expect("a source that parses");
            wrong.extend(bare(tokens).into_iter().map(|what| format!("{}: {what}", path.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "an error is logged without its causes; write `error = %causes(&error)` (roost_model::causes):\n{}",
        wrong.join("\n")
    );
}

/// What each log macro shows of a variable or a field named `error`, unless it is `error = %causes(...)`.
fn bare(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before = |back: usize| at.checked_sub(back).map(|at| tokens[at].to_string()).unwrap_or_default();
        if before(1) == "!" && MACROS.contains(&before(2).as_str()) {
            found.extend(bare_fields(group.stream()));
        }
        found.extend(bare(group.stream()));
    }
    found
}

fn bare_fields(arguments: TokenStream) -> Vec<String> {
    let words: Vec<_> = arguments.into_iter().map(|token| token.to_string()).collect();
    let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
    let mut found = Vec::new();
    for at in 0..words.len() {
        let is_shown = matches!(word(at), "%" | "?")
            && word(at + 1) == "error"
            && at.checked_sub(1).is_none_or(|before| word(before) != "=");
        let is_named = word(at) == "error" && word(at + 1) == "=";
        if is_shown {
            found.push(format!("{}error", word(at)));
        } else if is_named && (word(at + 2), word(at + 3)) != ("%", "causes") {
            found.push(format!("error = {}{}", word(at + 2), word(at + 3)));
        }
    }
    found
}

#[test]
fn a_bare_error_is_found_wherever_it_stands() {
    let found = |source: &str| bare(source.parse().expect("tokens")).join(", ");
    assert_eq!(found("fn f() { tracing::warn!(%lease, %error, \"lost\"); }"), "%error");
    assert_eq!(found("match x { Err(error) => { info!(error = ?error, \"x\") } }"), "error = ?error");
    assert_eq!(found("warn!(error = error.to_string(), \"x\")"), "error = error.");
    assert_eq!(
        found("warn!(error = %causes(&error), \"x\"); assert!(a % error == b); format!(\"{error}\")"),
        ""
    );
}
