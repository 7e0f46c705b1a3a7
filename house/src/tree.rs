//! The workspace on disk: its root, its packages, its sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use cargo_metadata::{Metadata, MetadataCommand, TargetKind};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// What cargo says of the workspace's own packages.
pub static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata")
});

/// The root files of all libraries, programs and tests, relative to the workspace.
pub fn targets() -> BTreeSet<PathBuf> {
    let targets = METADATA.packages.iter().flat_map(|package| &package.targets);
    targets
        .filter(|target| !target.kind.contains(&TargetKind::CustomBuild))
        .map(|target| target.src_path.strip_prefix(root()).expect("inside the workspace").into())
        .collect()
}

/// Every file with one of these endings, relative to the workspace.
pub fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root(), endings, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| path.strip_prefix(root()).expect("inside the workspace").to_owned())
        .collect()
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("its entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | "node_modules" | ".git" | ".roost") {
            collect(&path, endings, found);
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e)) {
            found.push(path);
        }
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the workspace")
}
