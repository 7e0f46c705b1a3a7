//! UpdatePolicy's request.

use roost_proto::{error::ApiError, v1};
use roost_store::{PolicyPatch, Requester};

use super::Checks;

const PATHS: [&str; 2] = ["auto_rebalance", "failover_breaker"];

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
    match (policy, by) {
        (Some(policy), Some(by)) if checks.passed() => {
            let patch = PolicyPatch {
                auto_rebalance: named("auto_rebalance").then_some(policy.auto_rebalance),
                failover_breaker: named("failover_breaker").then_some(policy.failover_breaker),
            };
            Ok((patch, by))
        }
        _ => Err(checks.refusal()),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::FieldMask;

    use super::*;

    fn patch(paths: &[&str]) -> Result<PolicyPatch, ApiError> {
        let request = v1::UpdatePolicyRequest {
            policy: Some(v1::Policy { auto_rebalance: true, failover_breaker: false }),
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
