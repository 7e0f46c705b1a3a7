//! The finder of circles on small made-up trees.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::circles;

/// Every circle of the tree as the sorted names of its files; the root is `lib.rs`.
fn found(tree: &[(&str, &str)]) -> Vec<Vec<String>> {
    let tree: BTreeMap<&Path, &str> = tree.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
    let read = |path: &Path| tree.get(path).map(|text| (*text).to_owned());
    let names = |files: &BTreeSet<PathBuf>| files.iter().map(|f| f.display().to_string()).collect();
    circles(Path::new("lib.rs"), &read).iter().map(|circle| names(&circle.files)).collect()
}

#[test]
fn what_goes_one_way_is_no_circle() {
    let tree = [
        ("lib.rs", "mod a; mod b; pub use b::B;"),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "pub struct B; impl B { pub fn b(&self) {} }"),
    ];
    assert!(found(&tree).is_empty());
}

#[test]
fn two_files_that_import_each_other_are_found() {
    let tree = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "use super::a::{self}; pub struct B(Box<a::A>);"),
    ];
    assert_eq!(found(&tree), [["a.rs", "b.rs"]]);
}

#[test]
fn a_circle_through_a_re_export_is_found() {
    let tree = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use self::b::*;"),
        ("a.rs", "pub struct A(crate::B);"),
        ("b.rs", "use super::*; pub struct B(Option<Box<A>>);"),
    ];
    assert_eq!(found(&tree), [["a.rs", "b.rs"]]);
}

#[test]
fn a_re_export_makes_no_circle_of_the_module_that_holds_it() {
    let tree = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod chair; pub use chair::Chair; pub struct Wood;"),
        ("room/chair.rs", "pub struct Chair(super::Wood);"),
    ];
    assert!(found(&tree).is_empty());
}

#[test]
fn a_module_that_needs_what_its_child_builds_on_it_is_found() {
    let tree = [
        ("lib.rs", "mod room;"),
        ("room.rs", "mod chair; pub struct Wood; pub fn sit() -> chair::Chair { chair::Chair::new() }"),
        (
            "room/chair.rs",
            "pub struct Chair(super::Wood); impl Chair { pub fn new() -> Self { Self(super::Wood) } }",
        ),
    ];
    assert_eq!(found(&tree), [["room/chair.rs", "room.rs"]]);
}

#[test]
fn a_circle_of_three_through_renames_and_globs_is_found() {
    let tree = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::make as build; pub struct A; pub fn a() { build() }"),
        ("b.rs", "use crate::c::*; pub fn make() { help() }"),
        ("c.rs", "pub fn help() { let _ = crate::a::A; }"),
    ];
    assert_eq!(found(&tree), [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn names_in_macros_and_attributes_are_found() {
    let tree = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub fn a() { println!(\"{}\", crate::b::VALUE) }"),
        ("b.rs", "pub const VALUE: u8 = 1; struct S { #[arg(value_parser = crate::a::a)] s: u8 }"),
    ];
    assert_eq!(found(&tree), [["a.rs", "b.rs"]]);
}

#[test]
fn a_macro_of_a_module_above_is_found() {
    let tree = [
        ("lib.rs", "macro_rules! id { () => {} } mod a; fn b() { a::a() }"),
        ("a.rs", "id!(); pub fn a() {}"),
    ];
    assert_eq!(found(&tree), [["a.rs", "lib.rs"]]);
}

#[test]
fn a_function_that_is_named_like_its_module_is_found() {
    let tree = [
        ("lib.rs", "mod plan; mod user; use plan::plan; pub struct Input; fn f() { plan(Input) }"),
        ("plan.rs", "pub fn plan(_: crate::Input) {}"),
        ("user.rs", "pub fn user() {}"),
    ];
    assert_eq!(found(&tree), [["lib.rs", "plan.rs"]]);
}

#[test]
fn tests_and_variables_and_other_crates_are_left_out() {
    let tree = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "use serde::b::B as Other; pub struct A(Other); \
             #[cfg(test)] mod tests; #[cfg(test)] use crate::b::B; #[cfg(all(test, unix))] fn t() { crate::b::b() }",
        ),
        (
            "b.rs",
            "use crate::a::*; pub fn b(a: A) { let taken = a; drop(taken); inform!(b = 1) } pub struct B;",
        ),
    ];
    assert!(found(&tree).is_empty());
}

#[test]
fn what_is_there_in_tests_or_by_a_feature_counts() {
    let tree = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "#[cfg(any(test, feature = \"x\"))] use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B(crate::a::A);"),
    ];
    assert_eq!(found(&tree), [["a.rs", "b.rs"]]);
}

#[test]
fn modules_are_looked_for_where_the_compiler_does() {
    let tree = [
        ("lib.rs", "mod a { pub mod inner; } #[path = \"other/b.rs\"] mod b;"),
        ("a/inner.rs", "pub struct I(crate::b::B);"),
        ("other/b.rs", "mod below; pub struct B; use crate::a::inner::I;"),
        ("other/below.rs", "pub struct Below(super::super::a::inner::I);"),
    ];
    assert_eq!(found(&tree), [["a/inner.rs", "other/b.rs"]]);
}
