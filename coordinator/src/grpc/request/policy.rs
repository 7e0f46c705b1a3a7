//! UpdatePolicy's request.

use roost_proto::{error::ApiError, v1};
use roost_store::{PolicyPatch, RETENTION_DAYS, Requester};

use super::Checks;

const RETENTION: &str = "message_retention_days";
const PATHS: [&str; 3] = ["auto_rebalance", "failover_breaker", RETENTION];

/// What to change, or all that is wrong with it. The mask is required: a switch that is not set cannot be told from one
/// that is to be off.
pub fn policy_patch(request: v1::UpdatePolicyRequest) -> Result<(PolicyPatch, Requester), ApiError> {
    let mut checks = Checks::default();
    let by = checks.by(request.requested_by, request.reason);
    let policy = checks.take("policy", request.policy.ok_or_else(|| "is required".to_owned()));
    let paths = request.update_mask.unwrap_or_default().paths;
    let choices = PATHS.join(", ");
    if paths.is_empty() {
        checks.take::<()>("update_mask", Err(format!("is required: {choices} or *")));
    }
    for unknown in paths.iter().filter(|path| *path != "*" && !PATHS.contains(&path.as_str())) {
        let shown: String = unknown.chars().take(80).collect();
        let why = format!("{shown:?} is no field of the policy that can be changed; use {choices} or *");
        checks.take::<()>("update_mask", Err(why));
    }
    let named = |path: &str| paths.iter().any(|given| given == "*" || given == path);
    let days = policy.as_ref().map_or(0, |policy| policy.message_retention_days);
    // With '*' alone it may come from a client that does not know of it, and stays what it was.
    let unknown = days == 0 && !paths.iter().any(|path| path == RETENTION);
    let retention = if unknown || !named(RETENTION) { Some(None) } else { checks.retention(days).map(Some) };
    match (policy, by, retention) {
        (Some(policy), Some(by), Some(message_retention_days)) if checks.passed() => {
            let patch = PolicyPatch {
                auto_rebalance: named("auto_rebalance").then_some(policy.auto_rebalance),
                failover_breaker: named("failover_breaker").then_some(policy.failover_breaker),
                message_retention_days,
            };
            Ok((patch, by))
        }
        _ => Err(checks.refusal()),
    }
}

impl Checks {
    fn retention(&mut self, days: i32) -> Option<u32> {
        let checked = u32::try_from(days).ok().filter(|days| RETENTION_DAYS.contains(days));
        let (least, most) = (RETENTION_DAYS.start(), RETENTION_DAYS.end());
        let wrong = || format!("{days} days is out of range: {least} to {most}");
        self.take("policy.message_retention_days", checked.ok_or_else(wrong))
    }
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;

    fn patch(paths: &[&str]) -> Result<PolicyPatch, ApiError> {
        patch_with(0, paths)
    }

    fn patch_with(message_retention_days: i32, paths: &[&str]) -> Result<PolicyPatch, ApiError> {
        let policy = v1::Policy { auto_rebalance: true, failover_breaker: false, message_retention_days };
        let request = v1::UpdatePolicyRequest {
            policy: Some(policy),
            update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
            ..Default::default()
        };
        policy_patch(request).map(|(patch, _)| patch)
    }

    #[test]
    fn only_what_the_mask_names_is_changed() {
        let one = patch(&["auto_rebalance"]).unwrap();
        assert_eq!((one.auto_rebalance, one.failover_breaker), (Some(true), None));
        let both = patch(&["*"]).unwrap();
        assert_eq!((both.auto_rebalance, both.failover_breaker), (Some(true), Some(false)));
    }

    #[test]
    fn a_retention_has_a_range_and_is_kept_for_clients_that_do_not_know_it() {
        let days = |days, path| patch_with(days, &[path]).map(|patch| patch.message_retention_days);
        assert_eq!(days(30, RETENTION).unwrap(), Some(30));
        assert_eq!((days(30, "*").unwrap(), days(0, "*").unwrap()), (Some(30), None));
        assert_eq!(days(30, "auto_rebalance").unwrap(), None);
        for (given, path) in [(0, RETENTION), (-1, RETENTION), (3_651, RETENTION), (-1, "*")] {
            assert_eq!(days(given, path).unwrap_err().violations[0].field, "policy.message_retention_days");
        }
    }

    #[test]
    fn a_mask_that_is_missing_or_wrong_is_refused() {
        for (paths, said) in [(&[][..], "is required"), (&["auto_rebalance", "colour"], "\"colour\"")] {
            let error = patch(paths).unwrap_err();
            assert_eq!(error.violations[0].field, "update_mask");
            assert!(error.message.contains(said), "{}", error.message);
        }
        let error = policy_patch(v1::UpdatePolicyRequest::default()).unwrap_err();
        let fields: Vec<_> = error.violations.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(fields, ["policy", "update_mask"]);
    }
}
