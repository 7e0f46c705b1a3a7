//! Users of the cluster, as they come in.

use roost_model::Role;
use roost_proto::{error::ApiError, v1};

use super::Checks;

/// An address in lower case, and a role in the cluster.
pub fn new_user(request: v1::CreateUserRequest) -> Result<(String, Role), ApiError> {
    checked(&request.email, request.role)
}

pub fn user_role(request: v1::SetUserRoleRequest) -> Result<(String, Role), ApiError> {
    checked(&request.email, request.role)
}

fn checked(email: &str, role: i32) -> Result<(String, Role), ApiError> {
    let mut checks = Checks::default();
    let email = checks.email("email", email);
    let role = checks.cluster_role(role);
    email.zip(role).ok_or_else(|| checks.refusal())
}

impl Checks {
    fn cluster_role(&mut self, given: i32) -> Option<Role> {
        let known: Option<v1::Role> = self.optional_enum("role", given)?;
        let role = match known {
            Some(v1::Role::Admin) => Ok(Role::Admin),
            Some(v1::Role::Operator) => Ok(Role::Operator),
            Some(v1::Role::Viewer) => Ok(Role::Viewer),
            _ => Err("has to be ROLE_ADMIN, ROLE_OPERATOR or ROLE_VIEWER".to_owned()),
        };
        self.take("role", role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_the_cluster_has_no_role_of_a_tenant() {
        let of = |role: v1::Role| {
            new_user(v1::CreateUserRequest { email: "Asha@duka.example".to_owned(), role: role.into() })
        };
        assert_eq!(of(v1::Role::Viewer).unwrap(), ("asha@duka.example".to_owned(), Role::Viewer));
        for role in [v1::Role::Unspecified, v1::Role::Owner, v1::Role::Staff, v1::Role::Processor] {
            assert_eq!(of(role).unwrap_err().violations[0].field, "role");
        }
    }
}
