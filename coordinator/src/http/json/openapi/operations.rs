//! A call, as it is asked for and answered.

use prost_reflect::FieldDescriptor;
use serde_json::{Value, json};

use super::{
    super::{
        parameters::parameters,
        routes::{Body, Route, field},
    },
    comments::Comments,
    schemas::Schemas,
};

/// With the fields' names in JSON. That of a field within another is its own alone: two calls at one path have to name it alike.
pub fn path(route: &Route) -> String {
    route.template.written(|path| field(&route.call.input(), path).map_or_else(String::new, name))
}

fn name(field: FieldDescriptor) -> String {
    field.json_name().to_owned()
}

pub fn operation(route: &Route, comments: &Comments, schemas: &mut Schemas) -> Value {
    let service = route.call.parent_service();
    let mut operation = json!({
        "operationId": route.call.name(),
        "tags": [service.name()],
        "description": comments.at(&service.parent_file(), route.call.path()),
        "parameters": all_parameters(route, schemas),
        "responses": {
            "200": answer(route, schemas),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    if let Some(body) = body(route, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

fn all_parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let input = route.call.input();
    let in_path: Vec<_> = route.template.fields().filter_map(|path| field(&input, path)).collect();
    let mut parameters: Vec<_> =
        parameters(route).iter().map(|field| parameter(field, "query", schemas)).collect();
    parameters.splice(0..0, in_path.iter().map(|field| parameter(field, "path", schemas)));
    parameters
}

fn parameter(field: &FieldDescriptor, place: &str, schemas: &mut Schemas) -> Value {
    let mut schema = schemas.field(field);
    let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({"name": field.json_name(), "in": place, "schema": schema});
    if let Some(about) = about {
        parameter["description"] = about;
    }
    if place == "path" {
        parameter["required"] = json!(true);
    }
    parameter
}

fn body(route: &Route, schemas: &mut Schemas) -> Option<Value> {
    let (schema, required) = match &route.body {
        Body::None => return None,
        Body::Field(field) => (schemas.field(field), true),
        Body::Whole => {
            let is_in_body =
                |field: &FieldDescriptor| route.template.fields().all(|path| path != field.name());
            let fields: Vec<_> = route.call.input().fields().filter(is_in_body).collect();
            (schemas.object(fields, ""), false)
        }
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn answer(route: &Route, schemas: &mut Schemas) -> Value {
    let schema = schemas.message(&route.call.output());
    if !route.call.is_server_streaming() {
        return json!({"description": "What the call answers with.", "content": {"application/json": {"schema": schema}}});
    }
    let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": schema});
    json!({
        "description": "A stream of events. The data of each is JSON, as contentSchema has it; that of an event `error`, the last one, is a Problem.",
        "content": {"text/event-stream": {"schema": data}},
    })
}
