//! What stands in the path and in the query of a request, put into the object that its body is.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use roost_proto::error::Violation;
use serde_json::{Map, Value as Json};

use super::{
    masks::by_either_name,
    routes::{Body, Route},
};

/// Types that are a string in JSON.
const STRINGS: [&str; 3] =
    ["google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"];

/// Puts the values of the path's fields into the object. One that is in the body as well has to be the same there.
pub fn put_path(object: &mut Map<String, Json>, route: &Route, values: &[String]) -> Vec<Violation> {
    let fields = route.template.fields().zip(values);
    let different = fields.filter_map(|(path, value)| {
        let given = place(object, &route.call.input(), path, Json::String(value.clone()))?;
        let description =
            format!("is {value:?} in the path and {given} in the body; leave it out of the body");
        Some(Violation { field: route.as_sent(path), description })
    });
    different.collect()
}

/// Puts the value at the path, unless there is another one already, which is the answer. What is no object on the way stays as it is, and
/// is refused as what it is by whoever reads the whole.
fn place(
    object: &mut Map<String, Json>,
    message: &MessageDescriptor,
    path: &str,
    value: Json,
) -> Option<Json> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = message.get_field_by_name(name)?;
    let key = if object.contains_key(field.name()) { field.name() } else { field.json_name() };
    let slot = object.entry(key).or_insert(Json::Null);
    match (rest, slot) {
        (None, slot) if slot.is_null() || is_same(slot, &value) => *slot = value,
        (None, slot) => return Some(slot.clone()),
        (Some(rest), slot) => {
            if slot.is_null() {
                *slot = Json::Object(Map::new());
            }
            return place(slot.as_object_mut()?, field.kind().as_message()?, rest, value);
        }
    }
    None
}

/// Numbers are the same in quotes and without.
fn is_same(given: &Json, value: &Json) -> bool {
    given == value || value.as_str() == Some(&given.to_string())
}

/// Puts the parameters of the query into the object; what is wrong with them, all of it.
pub fn put_query(object: &mut Map<String, Json>, route: &Route, query: &str) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let put = parameter(route, &name).and_then(|field| put_parameter(object, &field, &text));
        if let Err(description) = put {
            wrong.push(Violation { field: name.into_owned(), description });
        }
    }
    wrong
}

/// Every parameter that the call's query takes.
pub fn parameters(route: &Route) -> Vec<FieldDescriptor> {
    if let Body::Whole = route.body {
        return Vec::new();
    }
    let is_elsewhere = |field: &FieldDescriptor| {
        let in_path = route.template.fields().any(|path| path == field.name());
        in_path || matches!(&route.body, Body::Field(body) if body == field)
    };
    let is_parameter = |field: &FieldDescriptor| !field.is_map() && is_text(field) && !is_elsewhere(field);
    route.call.input().fields().filter(is_parameter).collect()
}

fn parameter(route: &Route, name: &str) -> Result<FieldDescriptor, String> {
    let known = parameters(route);
    let found = known.iter().find(|field| field.json_name() == name || field.name() == name);
    found.cloned().ok_or_else(|| match (&route.body, by_either_name(&route.call.input(), name)) {
        (Body::Whole, _) => {
            "is no parameter: this call takes its fields in the body, and none in the query".to_owned()
        }
        (_, Some(_)) => "is no parameter: it is in the path or in the body".to_owned(),
        (_, None) if known.is_empty() => "is no parameter: this call takes none".to_owned(),
        (_, None) => {
            let names: Vec<_> = known.iter().map(FieldDescriptor::json_name).collect();
            format!("is no parameter: this call takes {}", names.join(", "))
        }
    })
}

/// Whether it can be written as one word.
fn is_text(field: &FieldDescriptor) -> bool {
    match field.kind() {
        Kind::Message(message) => STRINGS.contains(&message.full_name()),
        _ => true,
    }
}

/// As JSON has it.
fn value_of(field: &FieldDescriptor, text: &str) -> Result<Json, String> {
    match field.kind() {
        Kind::Bool => match text {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err(format!("is {text:?} and takes true or false")),
        },
        Kind::Enum(names) if names.get_value_by_name(text).is_none() => {
            let known: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
            Err(format!("is {text:?} and takes one of {}", known.join(", ")))
        }
        // Numbers may be strings in JSON.
        _ => Ok(Json::String(text.to_owned())),
    }
}

fn put_parameter(object: &mut Map<String, Json>, field: &FieldDescriptor, text: &str) -> Result<(), String> {
    let value = value_of(field, text)?;
    match object.get_mut(field.json_name()) {
        None => {
            let value = if field.is_list() { Json::Array(vec![value]) } else { value };
            object.insert(field.json_name().to_owned(), value);
            Ok(())
        }
        Some(Json::Array(items)) => {
            items.push(value);
            Ok(())
        }
        Some(_) => Err("is given twice".to_owned()),
    }
}
