//! YAML is JSON in another form: the same values in the same order, for whatever is asked.

use std::{fs, path::Path, process::Output};

use serde_json::{Deserializer, Value};

use crate::{golden, roost, support};

#[tokio::test]
async fn yaml_is_printed_as_golden() {
    golden(
        "yaml",
        &[
            &["worker", "list", "-o", "yaml"],
            &["worker", "get", "shop", "-o", "yaml"],
            &["worker", "watch", "-o", "yaml"],
            &["worker", "logs", "lodge", "-o", "yaml"],
            &["tenant", "get", "lodge", "-o", "yaml"],
            &["cluster", "status", "-o", "yaml"],
            &["node", "drain", "node-1", "--plan", "-o", "yaml"],
            &["operation", "get", "10", "-o", "yaml"],
            &["worker", "get", "nobody", "-o", "yaml"],
        ],
    )
    .await;
}

/// The commands of the golden files that are asked for JSON, and some whose text means harm.
fn asked_for_json() -> Vec<Vec<String>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let lines: Vec<String> = files
        .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let commands = lines.iter().filter_map(|line| line.strip_prefix("$ roost "));
    let hostile = ["worker get hostile -o json", "worker watch hostile -o json"];
    let commands = commands.filter(|command| command.ends_with(" json")).chain(hostile);
    commands.map(|command| command.split(' ').map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn whatever_can_be_had_as_json_can_be_had_as_yaml_and_says_the_same() {
    let addr = support::coordinator().await;
    let commands = asked_for_json();
    assert!(commands.len() >= 30, "{} commands", commands.len());
    for command in commands {
        let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
        let json = roost(addr, &args).await;
        args.pop();
        args.push("yaml");
        let yaml = roost(addr, &args).await;
        assert_eq!(json.status, yaml.status, "{args:?}");
        assert_eq!(of_json(&json), of_yaml(&yaml), "{args:?}");
    }
}

fn of_json(output: &Output) -> Vec<Value> {
    Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
}

/// One document, or one after each `---`.
fn of_yaml(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let parsed =
        |document: &str| serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {text}"));
    match text.strip_prefix("---\n") {
        Some(stream) => stream.split("\n---\n").map(parsed).collect(),
        None if text.is_empty() => vec![],
        None => vec![parsed(&text)],
    }
}
