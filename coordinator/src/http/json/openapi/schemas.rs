//! The types of the API as JSON Schema.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;

/// Those that have been asked for, and all that these need.
pub struct Schemas<'a> {
    comments: &'a Comments,
    components: Map<String, Value>,
}

impl<'a> Schemas<'a> {
    pub fn new(comments: &'a Comments) -> Self {
        Self { comments, components: Map::new() }
    }

    pub fn into_components(self) -> Map<String, Value> {
        self.components
    }

    /// A message, as what a body is.
    pub fn message(&mut self, message: &MessageDescriptor) -> Value {
        match well_known(message.full_name()) {
            Some(schema) => schema,
            None => self.reference(message.full_name(), |schemas| {
                let about = schemas.comments.at(&message.parent_file(), message.path()).to_owned();
                schemas.object(message.fields().collect(), &about)
            }),
        }
    }

    /// An object of these fields.
    pub fn object(&mut self, fields: Vec<FieldDescriptor>, about: &str) -> Value {
        let is_required = |field: &&FieldDescriptor| self.about(field).starts_with("Required");
        let required: Vec<_> =
            fields.iter().filter(is_required).map(|field| field.json_name().to_owned()).collect();
        let properties = fields.iter().map(|field| (field.json_name().to_owned(), self.field(field)));
        let mut object = json!({"type": "object", "properties": properties.collect::<Map<_, _>>()});
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        if !about.is_empty() {
            object["description"] = json!(about);
        }
        object
    }

    /// A field, with what is said of it.
    pub fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                json!({"type": "object", "additionalProperties": self.single(&entry.map_entry_value_field())})
            }
            _ if field.is_list() => json!({"type": "array", "items": self.single(field)}),
            _ => self.single(field),
        };
        let about = self.about(field);
        if !about.is_empty() {
            schema["description"] = json!(about);
        }
        if about.starts_with("Output only") {
            schema["readOnly"] = json!(true);
        }
        schema
    }

    fn single(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "format": "int64"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Message(message) => self.message(&message),
            Kind::Enum(names) => self.reference(names.full_name(), |schemas| schemas.names_of(&names)),
        }
    }

    fn names_of(&self, names: &EnumDescriptor) -> Value {
        let mut about = self.comments.at(&names.parent_file(), names.path()).to_owned();
        for value in names.values() {
            let said = self.comments.at(&names.parent_file(), value.path());
            if !said.is_empty() {
                about.push_str(&format!("\n- `{}`: {said}", value.name()));
            }
        }
        let known: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
        json!({"type": "string", "enum": known, "description": about.trim_start()})
    }

    /// Puts what `make` makes among the others, once. A type may have itself within it.
    fn reference(&mut self, full_name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        let name = full_name.rsplit('.').next().unwrap_or(full_name).to_owned();
        if !self.components.contains_key(&name) {
            self.components.insert(name.clone(), Value::Null);
            let schema = make(self);
            self.components.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn about(&self, field: &FieldDescriptor) -> String {
        self.comments.at(&field.parent_file(), field.path()).to_owned()
    }
}

/// Those that JSON has a form of its own for.
fn well_known(full_name: &str) -> Option<Value> {
    match full_name {
        "google.protobuf.Timestamp" => Some(json!({"type": "string", "format": "date-time"})),
        "google.protobuf.Duration" => Some(json!({"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$"})),
        "google.protobuf.FieldMask" => Some(json!({"type": "string"})),
        "google.protobuf.Empty" => Some(json!({"type": "object"})),
        _ => None,
    }
}
