//! The way through: ARCHITECTURE.md lists two walks by file and function, and each step is still there.
//!
//! A walk is a fenced block whose first line is "walk" and its name; a line of it is a file and the functions in it that are on the
//! way: those that decide, convert, or read and write.

use std::collections::BTreeSet;

use syn::{
    ImplItemFn, Item, ItemFn, TraitItemFn,
    visit::{self, Visit},
};

use crate::{
    circles::{attributes, is_test},
    tree,
};

struct Bound {
    walk: &'static str,
    /// It has so many files; fewer is better, and then this number goes down.
    files: usize,
}

const BOUNDS: &[Bound] = &[
    Bound { walk: "StartWorker to the browser", files: 23 },
    Bound { walk: "a loss to the acknowledgement", files: 14 },
];

#[derive(Debug, PartialEq, Eq)]
struct Walk {
    name: String,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    file: String,
    functions: Vec<String>,
}

#[test]
fn the_walks_are_as_short_as_they_are_said_to_be() {
    let walks = walks(&tree::read("ARCHITECTURE.md".as_ref()));
    assert_eq!(walks.len(), BOUNDS.len(), "the walks and their bounds");
    for Bound { walk, files } in BOUNDS {
        let found =
            walks.iter().find(|found| found.name == *walk).unwrap_or_else(|| panic!("no walk {walk:?}"));
        let entered: BTreeSet<&str> = found.steps.iter().map(|step| step.file.as_str()).collect();
        assert_eq!(entered.len(), found.steps.len(), "{walk}: a file stands once");
        assert!(entered.len() <= *files, "{walk}: {} files, and it may have {files}", entered.len());
        assert_eq!(entered.len(), *files, "{walk}: lower its bound in house/src/walks.rs");
    }
}

#[test]
fn every_step_of_the_walks_is_found() {
    let mut missing = Vec::new();
    for walk in walks(&tree::read("ARCHITECTURE.md".as_ref())) {
        for Step { file, functions } in walk.steps {
            if !tree::root().join(&file).is_file() {
                missing.push(format!("{}: there is no {file}", walk.name));
                continue;
            }
            let defined = functions_of(&tree::read(file.as_ref()));
            let lost = functions.iter().filter(|function| !defined.contains(*function));
            missing.extend(lost.map(|function| format!("{}: {file} has no function {function}", walk.name)));
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md walks where there is no way: {missing:#?}");
}

fn walks(text: &str) -> Vec<Walk> {
    let mut walks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("```walk ") else { continue };
        let steps = lines.by_ref().take_while(|line| *line != "```").map(step).collect();
        walks.push(Walk { name: name.to_owned(), steps });
    }
    walks
}

fn step(line: &str) -> Step {
    let (file, functions) =
        line.split_once(": ").unwrap_or_else(|| panic!("a step is `file: function`, not {line:?}"));
    Step { file: file.to_owned(), functions: functions.split(", ").map(str::to_owned).collect() }
}

/// The names of all functions that a source defines outside its tests.
fn functions_of(text: &str) -> BTreeSet<String> {
    let mut functions = Functions::default();
    functions.visit_file(&syn::parse_file(text).expect("a source that parses"));
    functions.0
}

#[derive(Default)]
struct Functions(BTreeSet<String>);

impl<'a> Visit<'a> for Functions {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'a ItemFn) {
        self.0.insert(function.sig.ident.to_string());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'a ImplItemFn) {
        self.0.insert(function.sig.ident.to_string());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'a TraitItemFn) {
        if function.default.is_some() {
            self.0.insert(function.sig.ident.to_string());
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[test]
fn walks_are_read_as_they_are_written() {
    let text =
        "A walk:\n```walk here to there\na/b.rs: one, two\nc.rs: three\n```\n```\nnot a walk: at all\n```\n";
    let step = |file: &str, functions: &[&str]| Step {
        file: file.to_owned(),
        functions: functions.iter().map(|f| (*f).to_owned()).collect(),
    };
    let steps = vec![step("a/b.rs", &["one", "two"]), step("c.rs", &["three"])];
    assert_eq!(walks(text), [Walk { name: "here to there".to_owned(), steps }]);
    let source =
        "fn a() {} impl B { fn c() {} } trait D { fn e(); fn f() {} } #[cfg(test)] mod t { fn g() {} }";
    assert_eq!(functions_of(source), ["a", "c", "f"].map(str::to_owned).into());
}
