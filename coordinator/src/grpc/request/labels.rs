//! Labels and metadata of a tenant as they come in: names with values, as a whole or one by one.

use std::collections::HashMap;

use roost_store::{LabelPatch, Labels};

use super::{Checks, Text};

pub const LABELS: Entries = Entries {
    field: "labels",
    most: 64,
    check_name: label_name,
    check_value: |value| if value.is_empty() { Ok(()) } else { label(value, "-_.") },
};

pub const METADATA: Entries = Entries {
    field: "metadata",
    most: 1_024,
    check_name: |name| Text::line(1, 128).check(name),
    check_value: |value| Text::lines(0, 4_096).check(value),
};

/// Names that selectors have for something else.
pub const RESERVED: [&str; 2] = ["status", "node"];

const LONGEST: usize = 63;

/// A field of a tenant that holds names with values.
pub struct Entries {
    field: &'static str,
    most: usize,
    check_name: fn(&str) -> Result<(), String>,
    check_value: fn(&str) -> Result<(), String>,
}

/// The entries that an update's mask names one by one, by field.
#[derive(Default)]
pub struct Named {
    pub labels: Vec<String>,
    pub metadata: Vec<String>,
}

impl Named {
    /// Takes them from the mask; the other paths.
    pub fn take_from(&mut self, paths: Vec<String>) -> Vec<String> {
        let mut fields = Vec::new();
        for path in paths {
            match path.split_once('.') {
                Some(("labels", name)) => self.labels.push(name.to_owned()),
                Some(("metadata", name)) => self.metadata.push(name.to_owned()),
                _ => fields.push(path),
            }
        }
        fields
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.metadata.is_empty()
    }
}

impl Entries {
    pub fn check(&self, checks: &mut Checks, given: HashMap<String, String>) -> Option<Labels> {
        let field = format!("tenant.{}", self.field);
        if given.len() > self.most {
            let why = format!("has {} entries, at most {} are allowed", given.len(), self.most);
            return checks.take(&field, Err(why));
        }
        let given = Labels::from_iter(given);
        for (name, value) in &given {
            let shown: String = name.chars().take(80).collect();
            let is_named = (self.check_name)(name).map_err(|why| format!("the name {shown:?} {why}"));
            let is_allowed = is_named.and_then(|()| {
                (self.check_value)(value).map_err(|why| format!("the value of {shown:?} {why}"))
            });
            checks.take(&field, is_allowed);
        }
        checks.passed().then_some(given)
    }

    /// All of them anew if the mask names the field, else those that it names.
    pub fn patch(
        &self,
        checks: &mut Checks,
        given: HashMap<String, String>,
        replace: bool,
        named: Vec<String>,
    ) -> LabelPatch {
        if replace {
            let set = self.check(checks, given).unwrap_or_default();
            return LabelPatch { replace, set, remove: Vec::new() };
        }
        let (set, remove): (Vec<_>, Vec<_>) = named.into_iter().partition(|name| given.contains_key(name));
        let of = |name: String| given.get(&name).map(|value| (name.clone(), value.clone()));
        let set = self.check(checks, set.into_iter().filter_map(of).collect()).unwrap_or_default();
        LabelPatch { replace, set, remove }
    }
}

fn label_name(name: &str) -> Result<(), String> {
    if RESERVED.contains(&name) {
        return Err("belongs to selectors; choose another".to_owned());
    }
    label(name, "-_./")
}

/// What a label's name or value may be; `between` may stand within it.
pub fn label(text: &str, between: &str) -> Result<(), String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || between.contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let chars = text.chars();
    if text.chars().count() <= LONGEST
        && chars.clone().all(inside)
        && edge(chars.clone().next())
        && edge(chars.clone().next_back())
    {
        return Ok(());
    }
    let signs = between.chars().map(|c| format!("'{c}'")).collect::<Vec<_>>().join(" ");
    Err(format!("is not 1 to {LONGEST} letters, digits and {signs}, with a letter or digit at both ends"))
}
