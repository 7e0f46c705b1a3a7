//! Fields that a request has and its message does not, or that it has by both of their names: each by its path, and not only the first.

use prost_reflect::MessageDescriptor;
use roost_proto::error::Violation;
use serde_json::{Map, Value as Json};

use super::{masks::by_either_name, routes::Route};

/// A body may have very many.
const MOST: usize = 20;

pub fn unknown_fields(object: &Map<String, Json>, route: &Route) -> Vec<Violation> {
    let mut found = Vec::new();
    find(object, &route.call.input(), "", &mut found);
    let violation = |(path, wrong): (String, &str)| Violation {
        field: route.as_sent(&path),
        description: wrong.to_owned(),
    };
    found.into_iter().map(violation).collect()
}

fn find(
    object: &Map<String, Json>,
    message: &MessageDescriptor,
    above: &str,
    found: &mut Vec<(String, &'static str)>,
) {
    for (name, value) in object {
        if found.len() >= MOST {
            return;
        }
        let path = format!("{above}{name}");
        let Some(field) = by_either_name(message, name) else {
            found.push((path, "is no field of this call; see its description, or mind the spelling"));
            continue;
        };
        if name != field.json_name() && object.contains_key(field.json_name()) {
            found.push((path.clone(), "is there by both of its names; leave one of them out"));
        }
        let Some(inner) = field.kind().as_message().filter(|_| !field.is_map()).cloned() else { continue };
        match value {
            Json::Object(object) => find(object, &inner, &format!("{path}."), found),
            Json::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    if let Json::Object(object) = item {
                        find(object, &inner, &format!("{path}[{number}]."), found);
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}
