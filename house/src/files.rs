//! What every source file keeps to: a length that can be read, and a first line that says what it is about.

use crate::tree;

#[test]
fn files_are_small_enough_to_read() {
    let found = tree::files(&["rs"]);
    assert!(found.len() > 50, "only {} sources found", found.len());
    let too_long: Vec<String> = found
        .iter()
        .filter_map(|path| {
            let lines = tree::read(path).lines().count();
            (lines > 500).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "split by meaning: {too_long:#?}");
}

#[test]
fn every_file_begins_with_its_subject() {
    let has_subject = |text: &str| {
        text.lines().next().and_then(|line| line.strip_prefix("//!")).is_some_and(|s| !s.trim().is_empty())
    };
    let without: Vec<_> =
        tree::files(&["rs"]).into_iter().filter(|path| !has_subject(&tree::read(path))).collect();
    assert!(without.is_empty(), "the first line says what the file is about (`//! ...`): {without:#?}");
}
