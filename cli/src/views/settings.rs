//! What an update of settings of many tenants gives, and what it would change.

use roost_proto::v1::{PlannedSettings, SettingValue, SettingsPlan};
use serde::Serialize;

use super::{WorkerFailureView, applied::FieldChangeView};
use crate::{
    failure::Failure,
    output::{Output, Row},
};

#[derive(Debug, Serialize)]
pub struct SettingValueView {
    pub path: String,
    pub value: String,
}

#[derive(Debug, Serialize)]
pub struct SettingsPlanView {
    changes: Vec<PlannedSettingsView>,
    changed_tenants: i32,
    unchanged_tenants: i32,
    refused: Vec<WorkerFailureView>,
    refused_tenants: i32,
}

#[derive(Debug, Serialize)]
struct PlannedSettingsView {
    tenant_id: String,
    fields: Vec<FieldChangeView>,
}

/// A field of a tenant that would change, or a tenant that would not, with the reason.
#[derive(Serialize)]
struct SettingsRow {
    tenant_id: String,
    field: String,
    from: String,
    to: String,
    reason: String,
}

impl SettingsPlanView {
    /// Field by field, as many tenants as the coordinator names.
    pub fn print(&self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(self);
        }
        output.list(&self.rows())?;
        let Self { changed_tenants, unchanged_tenants, refused_tenants, .. } = self;
        let first = |named: usize, all: i32| match usize::try_from(all) {
            Ok(all) if all > named => format!(", of which the first {named} are named"),
            _ => String::new(),
        };
        output.note(&format!(
            "{changed_tenants} would change{}; {unchanged_tenants} have it already; {refused_tenants} refused{}; nothing was done",
            first(self.changes.len(), *changed_tenants),
            first(self.refused.len(), *refused_tenants),
        ));
        Ok(())
    }

    fn rows(&self) -> Vec<SettingsRow> {
        let changes = self.changes.iter().flat_map(|planned| {
            planned.fields.iter().map(|field| SettingsRow {
                tenant_id: planned.tenant_id.clone(),
                field: field.path.clone(),
                from: field.before.clone(),
                to: field.after.clone(),
                reason: String::new(),
            })
        });
        let refused = self.refused.iter().map(|refused| SettingsRow {
            tenant_id: refused.tenant_id.clone(),
            field: String::new(),
            from: String::new(),
            to: String::new(),
            reason: refused.error.clone(),
        });
        changes.chain(refused).collect()
    }
}

impl From<SettingsPlan> for SettingsPlanView {
    fn from(plan: SettingsPlan) -> Self {
        let planned = |PlannedSettings { tenant_id, fields }: PlannedSettings| PlannedSettingsView {
            tenant_id,
            fields: fields.into_iter().map(FieldChangeView::from).collect(),
        };
        Self {
            changes: plan.changes.into_iter().map(planned).collect(),
            changed_tenants: plan.changed_tenants,
            unchanged_tenants: plan.unchanged_tenants,
            refused: plan.refused.into_iter().map(WorkerFailureView::from).collect(),
            refused_tenants: plan.refused_tenants,
        }
    }
}

impl From<SettingValue> for SettingValueView {
    fn from(SettingValue { path, value }: SettingValue) -> Self {
        Self { path, value }
    }
}

impl Row for SettingsRow {
    const HEADER: &'static [&'static str] = &["tenant", "field", "from", "to", "refused"];

    fn cells(&self) -> Vec<String> {
        let Self { tenant_id, field, from, to, reason } = self;
        [tenant_id, field, from, to, reason].map(String::clone).into()
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}
