//! Labels and metadata of tenants, and the choice of tenants by labels.

use std::collections::BTreeMap;

use sqlx::types::Json;

/// Names and values, as they are kept.
pub type Labels = BTreeMap<String, String>;

/// What becomes of a tenant's labels, or of its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelPatch {
    /// Those that are there go first.
    pub replace: bool,
    pub set: Labels,
    pub remove: Vec<String>,
}

/// Tenants whose labels meet every one of these; without any, all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub equal: Labels,
    /// Also tenants without the label.
    pub unequal: Vec<(String, String)>,
    pub present: Vec<String>,
    pub absent: Vec<String>,
}

impl LabelSelector {
    /// As the statements decide it.
    pub fn takes(&self, labels: &Labels) -> bool {
        let has = |name: &String, value: &String| labels.get(name) == Some(value);
        self.equal.iter().all(|(name, value)| has(name, value))
            && !self.unequal.iter().any(|(name, value)| has(name, value))
            && self.present.iter().all(|name| labels.contains_key(name))
            && !self.absent.iter().any(|name| labels.contains_key(name))
    }

    /// As `labels @> any(…)` takes it.
    pub(crate) fn unequal(&self) -> Vec<Json<Labels>> {
        let of_one = |(key, value): &(String, String)| Json(Labels::from([(key.clone(), value.clone())]));
        self.unequal.iter().map(of_one).collect()
    }
}
