//! Which folder may import which.

use std::collections::BTreeSet;

use cargo_metadata::DependencyKind;

use crate::tree::{self, METADATA};

/// What each crate may import of the others, as ARCHITECTURE.md says.
fn allowed(package: &str) -> &'static [&'static str] {
    match package {
        "roost-model" | "roost-telemetry" | "roost-secrets" | "roost-house" => &[],
        "roost-tls" => &["roost-secrets"],
        "roost-proto" => &["roost-tls"],
        "roost-simulator" => &["roost-telemetry"],
        "roost-cluster" => &["roost-model", "roost-secrets", "roost-tls"],
        "roost-engine" | "roost-responder" => &["roost-model"],
        "roost-store" => &["roost-model", "roost-cluster", "roost-secrets"],
        "roost-node" => &[
            "roost-proto",
            "roost-model",
            "roost-cluster",
            "roost-store",
            "roost-engine",
            "roost-responder",
            "roost-telemetry",
            "roost-secrets",
            "roost-tls",
        ],
        "roost-coordinator" => &[
            "roost-proto",
            "roost-model",
            "roost-cluster",
            "roost-store",
            "roost-responder",
            "roost-telemetry",
            "roost-secrets",
            "roost-tls",
        ],
        "roost-devcluster" => &["roost-proto", "roost-tls"],
        "roost-cli" => &["roost-proto", "roost-devcluster", "roost-secrets", "roost-tls"],
        "roost-proofs" => &["roost-model", "roost-cluster", "roost-store", "roost-node"],
        "roost-tests" => &[
            "roost-proto",
            "roost-model",
            "roost-cluster",
            "roost-store",
            "roost-tls",
            "roost-devcluster",
            "roost-engine",
            "roost-responder",
            "roost-node",
            "roost-coordinator",
            "roost-simulator",
        ],
        other => panic!("{other} has no place in the order of imports: add it to ARCHITECTURE.md and here"),
    }
}

/// What a crate's own tests may start beside it.
fn allowed_in_tests(package: &str) -> &'static [&'static str] {
    match package {
        // A real server of object storage, for what is private to the node's sessions.
        "roost-node" => &["roost-devcluster"],
        // Its certificate authority.
        "roost-tls" | "roost-coordinator" => &["roost-devcluster"],
        _ => &[],
    }
}

#[test]
fn imports_go_one_way() {
    let members: BTreeSet<String> = METADATA.packages.iter().map(|p| p.name.to_string()).collect();
    assert!(members.len() >= 8, "the workspace lists only {members:?}");
    for package in &METADATA.packages {
        let may = allowed(&package.name);
        for dependency in &package.dependencies {
            let is_ours = members.contains(&dependency.name);
            let name = dependency.name.as_str();
            let is_for_tests = dependency.kind == DependencyKind::Development
                && allowed_in_tests(&package.name).contains(&name);
            assert!(
                !is_ours || may.contains(&name) || is_for_tests,
                "{} imports {} ({:?}), which the order of the house forbids",
                package.name,
                dependency.name,
                dependency.kind
            );
            assert!(dependency.kind != DependencyKind::Unknown);
        }
    }
}

#[test]
fn sql_is_only_in_the_store() {
    for path in tree::files(&["rs"]) {
        if path.starts_with("store") || path.starts_with("tests") {
            continue;
        }
        assert!(
            !tree::read(&path).contains(concat!("sqlx", "::")),
            "{} speaks SQL; only store/ does",
            path.display()
        );
    }
    for package in &METADATA.packages {
        let may = matches!(package.name.as_str(), "roost-store" | "roost-tests");
        let has = package.dependencies.iter().any(|dependency| dependency.name == "sqlx");
        assert!(may || !has, "{} depends on sqlx; only store/ and the tests do", package.name);
    }
}

#[test]
fn the_coordinators_application_knows_no_protocol() {
    let app = tree::files(&["rs"]).into_iter().filter(|path| path.starts_with("coordinator/src/app"));
    let app: Vec<_> = app.collect();
    assert!(app.len() > 10, "only {} sources found", app.len());
    for path in app {
        let text = tree::read(&path);
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for protocol in ["tonic", "roost_proto", "prost", "grpc::"] {
            let used = code.clone().find(|line| line.contains(protocol));
            assert!(used.is_none(), "{} speaks {protocol}: {used:?}; only a face does", path.display());
        }
    }
}
