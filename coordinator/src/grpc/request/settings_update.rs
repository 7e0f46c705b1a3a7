//! The same settings for many tenants, as they come in: checked as those of one, but for what makes no sense for many.

use std::collections::BTreeSet;

use roost_cluster::ledger::FleetLimits;
use roost_model::ids::OperationId;
use roost_proto::{
    error::{ApiError, Violation},
    v1,
};
use roost_store::{Requester, SettingsValues};

use super::{Checks, selector::OrderedWorkers, tenant::settings};
use crate::app::SettingsUpdate;

/// Fields whose entries are changed one by one: a tenant keeps those that are not named.
const WITH_ENTRIES: [(&str, &[&str]); 3] = [
    ("texts", &["greeting", "fallback", "limit_warning", "menu"]),
    ("browser", &["time_zone", "languages", "user_agent", "page_version", "library_version"]),
    (
        "timing",
        &[
            "probe_every",
            "stale_after",
            "start_deadline",
            "reconnect_attempts",
            "reconnect_delay",
            "reconnect_delay_max",
            "stable_after",
            "stop_grace",
            "max_crashes",
            "crash_window",
        ],
    ),
];

/// A valid update of settings, or all that is wrong with it.
pub fn settings_update(request: v1::PlanSettingsUpdateRequest) -> Result<SettingsUpdate, ApiError> {
    let mut checks = Checks::default();
    checks.settings_update(request).ok_or_else(|| checks.refusal())
}

/// What is undone, how many at once, and by whom; or all that is wrong with it.
pub fn settings_undo(
    request: v1::StartSettingsUndoRequest,
) -> Result<(OperationId, FleetLimits, Requester), ApiError> {
    let mut checks = Checks::default();
    let id = checks.operation_id(request.id);
    let limits = checks.settings_limits(request.max_concurrent, request.pause_on_failure);
    let by = checks.by(request.requested_by, request.reason);
    let (Some(id), Some(limits), Some(by)) = (id, limits, by) else { return Err(checks.refusal()) };
    Ok((id, limits, by))
}

impl Checks {
    pub fn settings_update(&mut self, request: v1::PlanSettingsUpdateRequest) -> Option<SettingsUpdate> {
        let v1::PlanSettingsUpdateRequest { settings, update_mask, selector, all } = request;
        let values = self.settings_values(settings, update_mask.unwrap_or_default().paths);
        let OrderedWorkers { selector, filter } = self.ordered_workers(&selector, all)?;
        Some(SettingsUpdate { values: values?, selector, filter })
    }

    /// No worker is taken away by it, so all may be.
    pub fn settings_limits(&mut self, max_concurrent: i32, pause_on_failure: bool) -> Option<FleetLimits> {
        let max_concurrent = self.workers_at_once(max_concurrent)?;
        let pauses_after = pause_on_failure.then_some(0);
        Some(FleetLimits { max_concurrent, max_unavailable_percent: 100, pauses_after })
    }

    fn settings_values(&mut self, given: Option<v1::Tenant>, paths: Vec<String>) -> Option<SettingsValues> {
        let given = self.take("settings", given.ok_or_else(|| "is required".to_owned()));
        let Masked { fields, entries } = self.masked(paths)?;
        let given = given?;
        if !given.id.is_empty() {
            let why = "is one tenant's; leave it empty, the selector says which";
            return self.take("settings.id", Err(why.to_owned()));
        }
        let mask = prost_types::FieldMask { paths: fields.into_iter().collect() };
        let mut checks = Self::default();
        let patch = settings(&mut checks, given, Some(mask));
        if checks.passed() {
            return Some(SettingsValues::new(&patch, &entries));
        }
        for Violation { field, description } in checks.violations {
            let field =
                field.strip_prefix("tenant.").map_or_else(|| field.clone(), |at| format!("settings.{at}"));
            self.take::<()>(&field, Err(description));
        }
        None
    }

    fn masked(&mut self, paths: Vec<String>) -> Option<Masked> {
        if paths.is_empty() {
            return self.take("update_mask", Err("is required".to_owned()));
        }
        let mut masked = Masked::default();
        let before = self.violations.len();
        for path in paths {
            match path.as_str() {
                "phone" => {
                    self.take::<()>(
                        "update_mask",
                        Err("\"phone\" is of one tenant; no two have the same".into()),
                    );
                }
                "*" | "labels" | "metadata" => {
                    let why = format!(
                        "{path:?} would go over what differs; name each field, and each entry as labels.NAME"
                    );
                    self.take::<()>("update_mask", Err(why));
                }
                _ => masked.add(path),
            }
        }
        (self.violations.len() == before).then_some(masked)
    }
}

/// A mask taken apart.
#[derive(Default)]
struct Masked {
    /// As one tenant's update takes them.
    fields: BTreeSet<String>,
    /// Of those with entries the ones that are changed.
    entries: BTreeSet<String>,
}

impl Masked {
    /// What is neither a field nor an entry is left for the check of one tenant's fields.
    fn add(&mut self, path: String) {
        let (of, entry) = path.split_once('.').map_or((path.as_str(), None), |(of, entry)| (of, Some(entry)));
        let known = WITH_ENTRIES.into_iter().find(|(field, _)| *field == of).map(|(_, names)| names);
        match (known, entry) {
            (Some(names), None) => self.entries.extend(names.iter().map(|name| format!("{of}.{name}"))),
            (Some(names), Some(entry)) if names.contains(&entry) => drop(self.entries.insert(path.clone())),
            _ => {
                self.fields.insert(path);
                return;
            }
        }
        self.fields.insert(of.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(settings: v1::Tenant, paths: &[&str]) -> Result<SettingsUpdate, ApiError> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        settings_update(v1::PlanSettingsUpdateRequest {
            settings: Some(settings),
            update_mask: Some(prost_types::FieldMask { paths }),
            selector: "plan=pro".into(),
            all: false,
        })
    }

    fn told(settings: v1::Tenant, paths: &[&str]) -> Vec<String> {
        let values = update(settings, paths).unwrap().values;
        values.told().into_iter().map(|(path, value)| format!("{path}={value}")).collect()
    }

    fn texts() -> v1::Tenant {
        let texts = v1::BusinessTexts { greeting: "Karibu".into(), ..Default::default() };
        let labels = [("tier".to_owned(), "gold".to_owned())].into();
        v1::Tenant { texts: Some(texts), labels, reply_limit_per_minute: Some(20), ..Default::default() }
    }

    #[test]
    fn an_entry_is_changed_alone_and_a_field_with_all_of_its_entries() {
        let paths = ["texts.greeting", "labels.tier", "labels.trial", "reply_limit_per_minute"];
        assert_eq!(
            told(texts(), &paths),
            ["labels.tier=gold", "labels.trial=", "reply_limit_per_minute=20", "texts.greeting=Karibu"]
        );
        let whole = ["texts.fallback=", "texts.greeting=Karibu", "texts.limit_warning=", "texts.menu="];
        assert_eq!(told(texts(), &["texts"]), whole);
    }

    #[test]
    fn the_names_of_entries_are_those_that_the_model_has() {
        let timing = roost_model::TimingOverrides::default();
        let spans = timing.spans().into_iter().map(|(name, ..)| name);
        let names: BTreeSet<_> = spans.chain(timing.counts().into_iter().map(|(name, ..)| name)).collect();
        assert_eq!(names, BTreeSet::from_iter(WITH_ENTRIES[2].1.iter().copied()));
    }

    #[test]
    fn what_makes_no_sense_for_many_or_for_anybody_is_refused_by_its_field() {
        let fields = |settings: v1::Tenant, paths: &[&str]| -> Vec<String> {
            let refusal = update(settings, paths).unwrap_err();
            refusal.violations.into_iter().map(|violation| violation.field).collect()
        };
        for path in ["phone", "*", "labels", "metadata", "texts.shoe_size", "status"] {
            assert_eq!(fields(texts(), &[path]), ["update_mask"], "{path}");
        }
        assert_eq!(fields(texts(), &[]), ["update_mask"]);
        let one = v1::Tenant { id: "duka".into(), ..texts() };
        assert_eq!(fields(one, &["texts"]), ["settings.id"]);
        let wrong = v1::Tenant { reply_limit_per_minute: Some(-1), ..Default::default() };
        assert_eq!(fields(wrong, &["reply_limit_per_minute"]), ["settings.reply_limit_per_minute"]);
        let nothing = settings_update(v1::PlanSettingsUpdateRequest::default()).unwrap_err();
        let fields: Vec<_> = nothing.violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["settings", "update_mask", "selector"]);
    }
}
