//! Circles: files of one crate that need each other, so that none can be read, or changed, without all the others.
//!
//! `cargo test -p roost-house circles -- --nocapture` prints every one with the names that tie it. `known.txt` lists the files that
//! still stand in one; it can only get shorter.

mod modules;
mod resolve;
mod tests;
mod uses;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    fs,
    path::{Path, PathBuf},
};

pub use self::modules::{attributes, is_test};
use self::{
    modules::{Crate, Read},
    uses::Edges,
};
use crate::tree;

/// Files that reach each other by the names they use, and those names.
struct Circle {
    files: BTreeSet<PathBuf>,
    ties: BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a circle of {} files", self.files.len())?;
        for ((user, definer), names) in &self.ties {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            writeln!(f, "  {} uses of {}: {}", user.display(), definer.display(), names.join(", "))?;
        }
        Ok(())
    }
}

fn circles(root: &Path, read: Read<'_>) -> Vec<Circle> {
    let krate = Crate::load(root, read);
    let edges = uses::edges(&krate);
    let reached: Vec<BTreeSet<usize>> = (0..krate.files.len()).map(|from| reach(from, &edges)).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for file in 0..krate.files.len() {
        let together: BTreeSet<usize> =
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        if together.len() > 1 && seen.insert(together.clone()) {
            found.push(circle(&krate, &edges, &together));
        }
    }
    found
}

fn reach(from: usize, edges: &Edges) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for (_, definer) in edges.keys().filter(|(user, _)| *user == file) {
            if reached.insert(*definer) {
                next.push(*definer);
            }
        }
    }
    reached
}

fn circle(krate: &Crate, edges: &Edges, together: &BTreeSet<usize>) -> Circle {
    let path = |file: &usize| krate.files[*file].clone();
    Circle {
        files: together.iter().map(path).collect(),
        ties: edges
            .iter()
            .filter(|((user, definer), _)| together.contains(user) && together.contains(definer))
            .map(|((user, definer), names)| ((path(user), path(definer)), names.clone()))
            .collect(),
    }
}

#[test]
fn no_files_of_a_crate_need_each_other() {
    let root = tree::root();
    let read = |path: &Path| fs::read_to_string(root.join(path)).ok();
    let mut standing = BTreeSet::new();
    let mut report = String::new();
    for target in tree::targets() {
        for circle in circles(&target, &read) {
            if standing.is_superset(&circle.files) {
                continue; // A file that several test binaries share.
            }
            write!(report, "{circle}").expect("a string");
            standing.extend(circle.files);
        }
    }
    println!("{report}");
    let known: BTreeSet<PathBuf> = include_str!("known.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(PathBuf::from)
        .collect();
    let new: Vec<_> = standing.difference(&known).collect();
    let gone: Vec<_> = known.difference(&standing).collect();
    assert!(new.is_empty(), "these files have come to stand in a circle: {new:#?}\n{report}");
    assert!(
        gone.is_empty(),
        "these files stand in no circle any more; take them off house/src/circles/known.txt: {gone:#?}"
    );
}
