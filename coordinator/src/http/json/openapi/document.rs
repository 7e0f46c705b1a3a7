//! The whole of the document.

use prost_reflect::DescriptorPool;
use serde_json::{Map, Value, json};

use super::{
    super::{
        kind::Kind,
        problem::PROBLEM_JSON,
        routes::{NOT_SERVED, Routes},
    },
    comments::Comments,
    operations::{operation, path},
    schemas::Schemas,
};
use crate::grpc::code_name;

const ABOUT: &str = "Every call of Roost's gRPC API, at paths of its own. Errors are problem documents (RFC 9457), and their `type` is the place of this \
    document that says what they mean. Integers of 64 bits are strings in answers; requests may have them either way. Times are RFC 3339 in \
    UTC, durations seconds with an `s`, field masks names with commas between them. A call that streams answers `text/event-stream`: one \
    event for each message, a comment now and then, and an event `error` with a problem document where it fails.";

/// Of all calls that there are.
pub fn document(routes: &Routes, pool: &DescriptorPool) -> Value {
    let comments = Comments::of(pool);
    let mut schemas = Schemas::new(&comments);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes.iter() {
        let at = paths.entry(path(route)).or_insert_with(|| json!({}));
        at[route.http_method.as_str().to_ascii_lowercase()] = operation(route, &comments, &mut schemas);
    }
    let mut components = schemas.into_components();
    components.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Roost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": about(),
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": tags(routes, &comments),
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": responses(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the coordinator's token file."},
            },
        },
    })
}

fn about() -> String {
    let without =
        NOT_SERVED.iter().map(|(call, why)| format!("\n\n`{call}` is not to be had over HTTP: {why}."));
    ABOUT.to_owned() + &without.collect::<String>()
}

/// One for each service.
fn tags(routes: &Routes, comments: &Comments) -> Vec<Value> {
    let mut tags: Vec<Value> = Vec::new();
    for route in routes.iter() {
        let service = route.call.parent_service();
        if tags.iter().all(|tag| tag["name"] != service.name()) {
            let about = comments.at(&service.parent_file(), service.path());
            tags.push(json!({"name": service.name(), "description": about}));
        }
    }
    tags
}

/// One for each kind of failure, which a problem's `type` refers to, and the one that all calls may answer with.
fn responses() -> Map<String, Value> {
    let content = json!({PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let of_kind = |kind: Kind| {
        let about = format!("{} ({} over gRPC): {}.", kind.status, code_name(kind.code), kind.title);
        (kind.reason.to_owned(), json!({"description": about, "content": content}))
    };
    let mut responses: Map<String, Value> = Kind::all().map(of_kind).collect();
    let any =
        json!({"description": "Whatever went wrong; `reason` says of which kind it is.", "content": content});
    responses.insert("Problem".into(), any);
    responses
}

fn problem_schema() -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    json!({
        "type": "object",
        "description": "What went wrong, and what to do (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "reason"],
        "properties": {
            "type": {
                "type": "string", "format": "uri-reference",
                "description": "The same for every failure of the kind; the place of this document that says what it means.",
            },
            "title": text("The kind, in a few words."),
            "status": {"type": "integer", "description": "The status of HTTP."},
            "detail": text("What is wrong here and what to do, in one line."),
            "code": text("The code that the call fails with over gRPC."),
            "reason": text("The kind, as one word."),
            "violations": {
                "type": "array",
                "description": "All fields that are wrong.",
                "items": {
                    "type": "object",
                    "required": ["field", "description"],
                    "properties": {
                        "field": text("Its path in the body, or the name of the parameter: `texts.menu[2].title`."),
                        "description": text("What is wrong with it."),
                    },
                },
            },
            "resource": {
                "type": "object",
                "description": "The thing that it is about.",
                "required": ["kind", "id"],
                "properties": {"kind": text("`tenant`, `node`, ..."), "id": text("Its id.")},
            },
            "dependency": text("What is away: `postgres`, `etcd`, `coordinator` while it stops, ..."),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn described() -> (Routes, Value) {
        let pool = DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET).unwrap();
        let routes = Routes::new(&pool).unwrap();
        let document = document(&routes, &pool);
        (routes, document)
    }

    fn each<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Map<String, Value>)) {
        match value {
            Value::Object(object) => {
                visit(object);
                object.values().for_each(|value| each(value, visit));
            }
            Value::Array(items) => items.iter().for_each(|value| each(value, visit)),
            _ => {}
        }
    }

    fn operations(document: &Value) -> Vec<(&String, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, at)| at.as_object().unwrap().values().map(move |operation| (path, operation)))
            .collect()
    }

    #[test]
    fn every_call_is_described_once_with_what_its_proto_says() {
        let (routes, document) = described();
        let operations = operations(&document);
        assert_eq!(operations.len(), routes.iter().count());
        let ids: HashSet<_> =
            operations.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len());
        for (path, operation) in operations {
            assert!(!operation["description"].as_str().unwrap().is_empty(), "{path}");
        }
        let get = &document["paths"]["/v1/tenants/{id}"]["get"];
        assert_eq!(get["description"], "Errors: NOT_FOUND.");
        assert!(document["info"]["description"].as_str().unwrap().contains("ImportSession"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let (_, document) = described();
        let mut found = 0;
        each(&document, &mut |object| {
            if let Some(Value::String(to)) = object.get("$ref") {
                found += 1;
                assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
            }
        });
        assert!(found > 100, "{found}");
        for kind in Kind::all() {
            let (_, pointer) = kind.uri().split_once('#').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
            assert!(document.pointer(&pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn the_fields_of_a_path_are_its_parameters_and_no_two_paths_differ_by_their_names_alone() {
        let (_, document) = described();
        for (path, operation) in operations(&document) {
            let named: HashSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let in_path = parameters.filter(|parameter| parameter["in"] == "path");
            let told: HashSet<_> = in_path.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert_eq!(named, told, "{path}");
        }
        let bare = |path: &String| path.split(['{', '}']).step_by(2).collect::<Vec<_>>().join("{}");
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(bare).collect();
        assert_eq!(paths.iter().collect::<HashSet<_>>().len(), paths.len());
    }

    #[test]
    fn what_a_caller_may_send_and_sees_is_described() {
        let (_, document) = described();
        let tenant = &document["components"]["schemas"]["Tenant"]["properties"];
        assert_eq!(tenant["status"]["readOnly"], true);
        assert_eq!(tenant["memoryLimitBytes"]["format"], "int64");
        assert_eq!(tenant["labels"]["additionalProperties"]["type"], "string");
        let drain = &document["paths"]["/v1/nodes/{nodeId}:startDrain"]["post"]["requestBody"]["content"];
        let properties = drain["application/json"]["schema"]["properties"].as_object().unwrap();
        assert!(properties.contains_key("deadline") && !properties.contains_key("nodeId"), "{properties:?}");
        let watch = &document["paths"]["/v1/workers:watch"]["get"]["responses"]["200"]["content"];
        assert!(watch["text/event-stream"].is_object(), "{watch}");
        let update = document["paths"]["/v1/tenants/{id}"]["patch"]["parameters"].as_array().unwrap();
        assert!(update.iter().any(|parameter| parameter["name"] == "updateMask"), "{update:?}");
    }
}
