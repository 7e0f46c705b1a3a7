//! Tokens and questions about the audit, as they come in.

use std::time::Duration;

use roost_model::{Grant, GrantError, Role, ids::TenantId};
use roost_proto::{error::ApiError, v1};

use super::Checks;

const USUAL_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);
const NAME_AT_MOST: usize = 64;

/// A name, what it may do, and for how long.
pub fn new_token(request: v1::CreateTokenRequest) -> Result<(String, Grant, Duration), ApiError> {
    let v1::CreateTokenRequest { name, role, tenant_id, lifetime } = request;
    let mut checks = Checks::default();
    let name = checks.take("name", check_name(&name).map(|()| name));
    let role = checks.role(role);
    let tenant = checks.optional_tenant_id("tenant_id", &tenant_id);
    let grant = role.zip(tenant).and_then(|(role, tenant)| checks.grant(role, tenant));
    let lifetime = checks.lifetime(lifetime);
    match (name, grant, lifetime) {
        (Some(name), Some(grant), Some(lifetime)) => Ok((name, grant, lifetime)),
        _ => Err(checks.refusal()),
    }
}

fn check_name(given: &str) -> Result<(), String> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric();
    let begins_well = given.starts_with(is_letter);
    let rest = given.chars().all(|letter| is_letter(letter) || "._-".contains(letter));
    if given.is_empty() {
        Err("is required".to_owned())
    } else if begins_well && rest && given.len() <= NAME_AT_MOST {
        Ok(())
    } else {
        Err(format!("has to be 1 to {NAME_AT_MOST} letters, digits and . _ -, with a letter or digit first"))
    }
}

impl Checks {
    fn role(&mut self, given: i32) -> Option<Role> {
        let known: Option<v1::Role> = self.optional_enum("role", given)?;
        let role = match known {
            Some(v1::Role::Admin) => Ok(Role::Admin),
            Some(v1::Role::Operator) => Ok(Role::Operator),
            Some(v1::Role::Viewer) => Ok(Role::Viewer),
            Some(v1::Role::Owner) => Ok(Role::Owner),
            Some(v1::Role::Staff) => Ok(Role::Staff),
            Some(v1::Role::Processor) => Ok(Role::Processor),
            Some(v1::Role::Unspecified) | None => Err("is required".to_owned()),
        };
        self.take("role", role)
    }

    fn grant(&mut self, role: Role, tenant: Option<TenantId>) -> Option<Grant> {
        self.take("tenant_id", Grant::new(role, tenant).map_err(|error: GrantError| error.to_string()))
    }

    fn lifetime(&mut self, given: Option<prost_types::Duration>) -> Option<Duration> {
        let Some(given) = given else { return Some(USUAL_LIFETIME) };
        let whole = u64::try_from(given.seconds).ok().filter(|_| given.nanos == 0).map(Duration::from_secs);
        let lifetime = whole.filter(|lifetime| (SHORTEST..=LONGEST).contains(lifetime));
        self.take(
            "lifetime",
            lifetime.ok_or_else(|| "has to be whole seconds, from 1 minute to 10 years".to_owned()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(request: v1::CreateTokenRequest) -> Vec<String> {
        let error = new_token(request).unwrap_err();
        error.violations.into_iter().map(|violation| violation.field).collect()
    }

    fn of(role: v1::Role, tenant: &str) -> v1::CreateTokenRequest {
        v1::CreateTokenRequest {
            name: "ci".into(),
            role: role.into(),
            tenant_id: tenant.into(),
            lifetime: None,
        }
    }

    #[test]
    fn a_token_has_a_name_a_role_and_the_tenant_that_the_role_asks_for() {
        let (name, grant, lifetime) = new_token(of(v1::Role::Operator, "")).unwrap();
        assert_eq!((name.as_str(), grant.role(), lifetime), ("ci", Role::Operator, USUAL_LIFETIME));
        let (_, grant, _) = new_token(of(v1::Role::Processor, "asha")).unwrap();
        assert_eq!(grant.tenant().map(TenantId::as_str), Some("asha"));
        assert_eq!(fields(of(v1::Role::Processor, "")), ["tenant_id"]);
        assert_eq!(fields(of(v1::Role::Admin, "asha")), ["tenant_id"]);
        assert_eq!(fields(of(v1::Role::Unspecified, "")), ["role"]);
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        for days in [1, 365, 3_650] {
            let long =
                v1::CreateTokenRequest { lifetime: seconds(days * 86_400), ..of(v1::Role::Viewer, "") };
            let lasts = u64::try_from(days).unwrap() * 86_400;
            assert_eq!(new_token(long).unwrap().2.as_secs(), lasts);
        }
        let parts = Some(prost_types::Duration { seconds: 60, nanos: 1 });
        for lifetime in [seconds(59), seconds(3_651 * 86_400), seconds(-1), parts] {
            let wrong = v1::CreateTokenRequest { lifetime, ..of(v1::Role::Viewer, "") };
            assert_eq!(fields(wrong), ["lifetime"]);
        }
        for name in ["", "-a", "a b", "ä", &"a".repeat(65)] {
            let wrong = v1::CreateTokenRequest { name: name.into(), ..of(v1::Role::Viewer, "") };
            assert_eq!(fields(wrong), ["name"], "{name:?}");
        }
    }
}
