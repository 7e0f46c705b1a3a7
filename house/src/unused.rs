//! Dependencies that a crate lists and none of its files names: they cost a build, and a reader's time.

use std::{collections::HashSet, path::Path};

use crate::tree::{self, METADATA};

/// Named by code that is generated, and by no file.
const BY_GENERATED_CODE: [(&str, &str); 1] = [("roost-proto", "prost-types")];

#[test]
fn every_dependency_is_named_by_a_file_of_its_crate() {
    let sources = tree::files(&["rs"]);
    let mut unused = Vec::new();
    for package in &METADATA.packages {
        let folder = package.manifest_path.parent().expect("a folder").strip_prefix(tree::root());
        let words = words(&sources, folder.expect("inside the workspace").as_std_path());
        assert!(!words.is_empty(), "no sources of {} found", package.name);
        for dependency in &package.dependencies {
            let name = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let is_generated = BY_GENERATED_CODE.contains(&(package.name.as_str(), name.as_str()));
            if !is_generated && !words.contains(&name.replace('-', "_")) {
                unused.push(format!("{} does not use {name}", package.name));
            }
        }
    }
    assert!(unused.is_empty(), "take them out: {unused:#?}");
}

/// Every identifier of the folder's files. Comments do not count.
fn words(sources: &[impl AsRef<Path>], folder: &Path) -> HashSet<String> {
    let of_folder = sources.iter().map(AsRef::as_ref).filter(|path| path.starts_with(folder));
    let mut words = HashSet::new();
    for text in of_folder.map(tree::read) {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let split = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
        words.extend(split.map(str::to_owned));
    }
    words
}
