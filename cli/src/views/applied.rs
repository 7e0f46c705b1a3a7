//! What an apply does, tenant by tenant.

use std::fmt;

use roost_proto::v1::{AppliedTenant, FieldChange, TenantChange};
use serde::Serialize;

use super::enum_name;

#[derive(Debug, Serialize)]
pub struct AppliedView {
    pub id: String,
    change: String,
    fields: Vec<FieldChangeView>,
    more_fields: i32,
}

#[derive(Debug, Serialize)]
pub struct FieldChangeView {
    pub path: String,
    pub before: String,
    pub after: String,
}

impl From<FieldChange> for FieldChangeView {
    fn from(FieldChange { path, before, after }: FieldChange) -> Self {
        Self { path, before, after }
    }
}

impl From<AppliedTenant> for AppliedView {
    fn from(tenant: AppliedTenant) -> Self {
        Self {
            change: enum_name(tenant.change, "TENANT_CHANGE_", TenantChange::as_str_name),
            id: tenant.id,
            fields: tenant.fields.into_iter().map(FieldChangeView::from).collect(),
            more_fields: tenant.more_fields,
        }
    }
}

impl AppliedView {
    /// `+ soko`, `- old`, or `~ duka.phone: A -> B` for each field.
    pub fn lines(&self) -> Vec<String> {
        let Self { id, change, fields, more_fields } = self;
        match change.as_str() {
            "CREATED" => vec![format!("+ {id}")],
            "DELETED" => vec![format!("- {id}")],
            "CHANGED" => {
                let line = |FieldChangeView { path, before, after }: &FieldChangeView| {
                    format!("~ {id}.{path}: {} -> {}", value(before), value(after))
                };
                let more = (*more_fields > 0).then(|| format!("~ {id}: {more_fields} more"));
                fields.iter().map(line).chain(more).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn value(value: &str) -> String {
    match value {
        "" => "none".to_owned(),
        plain if plain.chars().all(|c| !c.is_whitespace() && !c.is_control()) => plain.to_owned(),
        text => format!("{text:?}"),
    }
}

/// How many tenants an apply makes, changes and removes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub created: usize,
    pub changed: usize,
    pub deleted: usize,
    pub unchanged: usize,
}

impl Counts {
    pub fn add(&mut self, change: TenantChange) {
        *match change {
            TenantChange::Created => &mut self.created,
            TenantChange::Changed => &mut self.changed,
            TenantChange::Deleted => &mut self.deleted,
            TenantChange::Unchanged | TenantChange::Noted | TenantChange::Unspecified => &mut self.unchanged,
        } += 1;
    }

    pub fn is_nothing(&self) -> bool {
        self.created + self.changed + self.deleted == 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, changed, deleted, unchanged } = self;
        write!(f, "{created} created, {changed} changed, {deleted} deleted, {unchanged} unchanged")
    }
}
