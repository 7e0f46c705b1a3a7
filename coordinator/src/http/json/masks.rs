//! Field masks in JSON: names in camelCase with commas between them, as the mapping of proto3 has them, but for the names of entries.
//!
//! The mapping would write the entry `labels.plan_tier` as `labels.planTier`, and has no way to write `labels.planTier` at all. The name
//! of an entry is its owner's and not the proto's, so it stands in a mask as it is. The masks of a request are therefore read here and
//! put back into the message that all else has become.

use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};
use serde_json::{Map, Value as Json};

const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// A mask that was taken out of a request.
#[derive(Debug)]
pub struct Mask {
    /// From the request to the field of the mask.
    at: Vec<Step>,
    paths: Vec<String>,
}

#[derive(Debug, Clone)]
enum Step {
    Field(FieldDescriptor),
    Item(usize),
}

/// Takes all masks out of the object, which is to become `message`. What is no string stays, for whoever reads the rest to refuse.
pub fn take(object: &mut Map<String, Json>, message: &MessageDescriptor) -> Vec<Mask> {
    let mut taken = Vec::new();
    take_below(object, message, &[], &mut taken);
    taken
}

fn take_below(
    object: &mut Map<String, Json>,
    message: &MessageDescriptor,
    at: &[Step],
    taken: &mut Vec<Mask>,
) {
    for field in message.fields() {
        let Some(inner) = field.kind().as_message().filter(|_| !field.is_map()).cloned() else { continue };
        let Some(name) =
            [field.json_name(), field.name()].into_iter().find(|name| object.contains_key(*name))
        else {
            continue;
        };
        let here = [at, &[Step::Field(field.clone())]].concat();
        match object.get_mut(name) {
            Some(Json::String(given)) if inner.full_name() == FIELD_MASK => {
                taken.push(Mask { at: here, paths: paths(given, message) });
                object.remove(name);
            }
            Some(Json::Object(object)) => take_below(object, &inner, &here, taken),
            Some(Json::Array(items)) => {
                for (number, item) in items.iter_mut().enumerate() {
                    let here = [here.as_slice(), &[Step::Item(number)]].concat();
                    if let Json::Object(object) = item {
                        take_below(object, &inner, &here, taken);
                    }
                }
            }
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) | None => {}
        }
    }
}

/// Puts them into the message that was made of the object.
pub fn put(message: &mut DynamicMessage, masks: Vec<Mask>) {
    for Mask { at, paths } in masks {
        let Some((Step::Field(field), way)) = at.split_last() else { continue };
        if let Some(holder) = follow(message, way)
            && let Some(mask) = field.kind().as_message()
        {
            let mut value = DynamicMessage::new(mask.clone());
            value.set_field_by_name("paths", Value::List(paths.into_iter().map(Value::String).collect()));
            holder.set_field(field, Value::Message(value));
        }
    }
}

fn follow<'a>(message: &'a mut DynamicMessage, way: &[Step]) -> Option<&'a mut DynamicMessage> {
    match way {
        [] => Some(message),
        [Step::Field(list), Step::Item(number), rest @ ..] => {
            let items = message.get_field_mut(list).as_list_mut()?;
            follow(items.get_mut(*number)?.as_message_mut()?, rest)
        }
        [Step::Field(field), rest @ ..] => follow(message.get_field_mut(field).as_message_mut()?, rest),
        [Step::Item(_), ..] => None,
    }
}

/// The paths of a mask of `message`: they are of what stands beside the mask.
fn paths(given: &str, message: &MessageDescriptor) -> Vec<String> {
    let given = given.split(',').map(str::trim).filter(|path| !path.is_empty());
    given.map(|path| path_of(path, message)).collect()
}

fn path_of(given: &str, message: &MessageDescriptor) -> String {
    let first = given.split('.').next().unwrap_or_default();
    let beside = message.fields().filter(|field| !field.is_list() && !field.is_map());
    let resource = beside
        .filter_map(|field| field.kind().as_message().cloned())
        .find(|inner| by_either_name(inner, first).is_some());
    match resource {
        Some(resource) => translated(given, &resource, |field| field.name().to_owned()),
        // Whoever the mask is for says that there is no such field.
        None => given.to_owned(),
    }
}

pub fn by_either_name(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))
}

/// A path in the names that `name` chooses, from either. The name of an entry, and what is no field, stays as it is. Places in lists, as
/// `menu[2]`, are passed on.
pub fn translated(
    path: &str,
    message: &MessageDescriptor,
    name: impl Fn(&FieldDescriptor) -> String + Copy,
) -> String {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
    let bare = segment.find('[').map_or(segment, |place| &segment[..place]);
    let Some(field) = by_either_name(message, bare) else { return path.to_owned() };
    let segment = format!("{}{}", name(&field), &segment[bare.len()..]);
    match (rest, field.kind().as_message()) {
        (None, _) => segment,
        (Some(rest), Some(inner)) if !field.is_map() => {
            format!("{segment}.{}", translated(rest, inner, name))
        }
        (Some(rest), _) => format!("{segment}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;
    use roost_proto::v1;
    use serde_json::json;

    use super::*;

    fn request(name: &str) -> MessageDescriptor {
        let pool = DescriptorPool::decode(roost_proto::FILE_DESCRIPTOR_SET).unwrap();
        pool.get_message_by_name(&format!("roost.v1.{name}")).unwrap()
    }

    fn mask(name: &str, given: &str) -> Vec<String> {
        paths(given, &request(name))
    }

    #[test]
    fn a_mask_names_fields_in_either_way_and_entries_as_they_are() {
        let given = "displayName,reply_limit_per_minute, texts.limitWarning,labels.planTier,labels.plan_tier,metadata.a.bC,*";
        let expected = [
            "display_name",
            "reply_limit_per_minute",
            "texts.limit_warning",
            "labels.planTier",
            "labels.plan_tier",
            "metadata.a.bC",
            "*",
        ];
        assert_eq!(mask("UpdateTenantRequest", given), expected);
        assert_eq!(mask("StartSettingsUpdateRequest", "timing.staleAfter"), ["timing.stale_after"]);
        assert_eq!(
            mask("UpdatePolicyRequest", "autoRebalance,noSuchField"),
            ["auto_rebalance", "noSuchField"]
        );
    }

    #[test]
    fn masks_within_lists_come_back_where_they_were() {
        let descriptor = request("ApplyTenantsRequest");
        let Json::Object(mut object) = json!({
            "declarations": [{"tenant": {"id": "a"}}, {"tenant": {"id": "b"}, "fields": "displayName"}],
        }) else {
            panic!()
        };
        let masks = take(&mut object, &descriptor);
        assert!(object["declarations"][1].get("fields").is_none());
        let mut message = DynamicMessage::deserialize(descriptor, Json::Object(object)).unwrap();
        put(&mut message, masks);
        let message: v1::ApplyTenantsRequest = message.transcode_to().unwrap();
        let fields: Vec<_> = message.declarations.into_iter().map(|declared| declared.fields).collect();
        assert_eq!(fields, [None, Some(prost_types::FieldMask { paths: vec!["display_name".into()] })]);
    }
}
