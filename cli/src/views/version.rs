//! Versions of the page and of the library, and whom a rollout would choose.

use roost_proto::v1::{RolloutPlan, Version, VersionKind};
use serde::Serialize;

use super::{ago, enum_name, rfc3339};
use crate::{
    failure::Failure,
    output::{Output, Row},
};

#[derive(Debug, Serialize)]
pub struct VersionView {
    name: String,
    kind: String,
    size_bytes: i64,
    expire_time: Option<String>,
    create_time: Option<String>,
    created_by: String,
    is_fleets: bool,
    tenants: i64,
    warning: String,
}

impl From<Version> for VersionView {
    fn from(told: Version) -> Self {
        Self {
            kind: enum_name(told.kind, "VERSION_KIND_", VersionKind::as_str_name),
            size_bytes: told.size_bytes,
            expire_time: rfc3339(&told.expire_time),
            create_time: rfc3339(&told.create_time),
            created_by: told.created_by,
            is_fleets: told.is_fleets,
            tenants: told.tenants,
            warning: told.warning,
            name: told.name,
        }
    }
}

impl VersionView {
    /// What an operator should know of it.
    pub fn told(&self) -> String {
        format!("{} ({}): {}", self.name, self.used_by(), self.warning)
    }

    fn used_by(&self) -> String {
        let tenants = match self.tenants {
            0 => None,
            1 => Some("1 tenant".to_owned()),
            several => Some(format!("{several} tenants")),
        };
        let users: Vec<String> =
            self.is_fleets.then(|| "the fleet".to_owned()).into_iter().chain(tenants).collect();
        users.join(", ")
    }
}

impl Row for VersionView {
    const HEADER: &'static [&'static str] =
        &["name", "kind", "size", "used by", "expires", "created", "by", "warning"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.kind.clone(),
            format!("{} KiB", self.size_bytes.max(0).unsigned_abs().div_ceil(1024)),
            self.used_by(),
            self.expire_time.clone().unwrap_or_default(),
            ago(self.create_time.as_deref()),
            self.created_by.clone(),
            self.warning.clone(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

#[derive(Debug, Serialize)]
pub struct RolloutPlanView {
    candidates: i64,
    missed_percent: i32,
    tenant_ids: Vec<String>,
    control_tenant_ids: Vec<String>,
}

impl From<RolloutPlan> for RolloutPlanView {
    fn from(plan: RolloutPlan) -> Self {
        let RolloutPlan { candidates, tenant_ids, control_tenant_ids, missed_percent } = plan;
        Self { candidates, missed_percent, tenant_ids, control_tenant_ids }
    }
}

/// One of the tenants of a plan, and what would become of it.
#[derive(Debug, Serialize)]
struct ChosenTenantView {
    tenant_id: String,
    is_control: bool,
}

impl Row for ChosenTenantView {
    const HEADER: &'static [&'static str] = &["tenant", "is"];

    fn cells(&self) -> Vec<String> {
        let is = if self.is_control { "compared with" } else { "given it" };
        vec![self.tenant_id.clone(), is.to_owned()]
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        Self::HEADER.iter().copied().zip(self.cells()).collect()
    }
}

impl RolloutPlanView {
    pub fn print(self, output: &mut Output) -> Result<(), Failure> {
        if output.is_data() {
            return output.data(&self);
        }
        let (given, missed, candidates) = (self.tenant_ids.len(), self.missed_percent, self.candidates);
        let chosen = |is_control| move |tenant_id| ChosenTenantView { tenant_id, is_control };
        let tenants = self.tenant_ids.into_iter().map(chosen(false));
        let rows: Vec<_> = tenants.chain(self.control_tenant_ids.into_iter().map(chosen(true))).collect();
        output.list(&rows)?;
        output.note(&format!(
            "of {candidates} that could be chosen {given} would be given it; of 100 versions that break one tenant in ten {missed} would not \
             be found out; nothing was done"
        ));
        Ok(())
    }
}
