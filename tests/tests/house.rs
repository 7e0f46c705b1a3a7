//! The order of the house: which folder may import which, and rules of style that a machine can check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// What each crate may import of the others, as ARCHITECTURE.md says.
fn allowed(package: &str) -> &'static [&'static str] {
    match package {
        "roost-proto" | "roost-cluster" | "roost-telemetry" => &[],
        "roost-simulator" => &["roost-telemetry"],
        "roost-store" => &["roost-cluster"],
        "roost-node" => &["roost-proto", "roost-cluster", "roost-store", "roost-telemetry"],
        "roost-coordinator" => &["roost-proto", "roost-cluster", "roost-store", "roost-telemetry"],
        "roost-cli" => &["roost-proto"],
        "roost-tests" => &[
            "roost-proto",
            "roost-cluster",
            "roost-store",
            "roost-cli",
            "roost-node",
            "roost-coordinator",
            "roost-simulator",
        ],
        other => panic!("{other} has no place in the order of imports: add it to ARCHITECTURE.md and here"),
    }
}

#[test]
fn imports_go_one_way() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let members: BTreeSet<String> = metadata.packages.iter().map(|p| p.name.to_string()).collect();
    assert!(members.len() >= 8, "the workspace lists only {members:?}");
    for package in &metadata.packages {
        let may = allowed(&package.name);
        for dependency in &package.dependencies {
            let is_ours = members.contains(&dependency.name);
            assert!(
                !is_ours || may.contains(&dependency.name.as_str()),
                "{} imports {} ({:?}), which the order of the house forbids",
                package.name,
                dependency.name,
                dependency.kind
            );
            assert!(dependency.kind != DependencyKind::Unknown);
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("its entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | "node_modules" | ".git" | ".roost") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_are_small_enough_to_read() {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 50, "only {} sources found", found.len());
    let too_long: Vec<String> = found
        .iter()
        .filter_map(|path| {
            let lines = fs::read_to_string(path).expect("a source").lines().count();
            (lines > 500).then(|| format!("{} has {lines} lines", path.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "split by meaning: {too_long:#?}");
}

#[test]
fn sql_is_only_in_the_store() {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    for path in found {
        let inside = path.strip_prefix(root()).expect("inside the workspace").to_owned();
        if inside.starts_with("store") || inside.starts_with("tests") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        assert!(!text.contains("sqlx::"), "{} speaks SQL; only store/ does", inside.display());
    }
}

#[test]
fn the_coordinator_s_application_knows_no_protocol() {
    let app = root().join("coordinator/src/app");
    let mut found = Vec::new();
    sources(&app, &mut found);
    assert!(found.len() > 10, "only {} sources found", found.len());
    for path in found {
        let text = fs::read_to_string(&path).expect("a source");
        for protocol in ["tonic", "roost_proto", "prost", "grpc::"] {
            let used =
                text.lines().find(|line| !line.trim_start().starts_with("//") && line.contains(protocol));
            assert!(used.is_none(), "{} speaks {protocol}: {used:?}; only a face does", path.display());
        }
    }
}
