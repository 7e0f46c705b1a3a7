//! The people of a business, as they come in.

use roost_model::Role;
use roost_proto::{error::ApiError, v1};

use super::{Checks, required};
use crate::app::people::Invitation;

const LOCAL_PART_AT_MOST: usize = 64;
const EMAIL_AT_MOST: usize = 254;

pub fn invited(request: v1::InviteMemberRequest) -> Result<Invitation, ApiError> {
    let v1::InviteMemberRequest { tenant_id, email, role } = request;
    let mut checks = Checks::default();
    let tenant = checks.tenant_id("tenant_id", &tenant_id);
    let email = checks.email("email", &email);
    let role = checks.member_role(role);
    match (tenant, email, role) {
        (Some(tenant), Some(email), Some(role)) => Ok(Invitation { tenant, email, role }),
        _ => Err(checks.refusal()),
    }
}

/// Where a page of members ended: an address, and whether it was that of an invitation.
pub fn member_key(key: &str) -> Option<(String, bool)> {
    let (email, is_invited) = key.split_once(' ')?;
    Some((email.to_owned(), is_invited.parse().ok()?))
}

impl Checks {
    /// In lower case, as it is kept.
    pub fn email(&mut self, field: &str, given: &str) -> Option<String> {
        self.take(field, required(given).and_then(check_email))
    }

    fn member_role(&mut self, given: i32) -> Option<Role> {
        let known: Option<v1::Role> = self.optional_enum("role", given)?;
        let role = match known {
            Some(v1::Role::Owner) => Ok(Role::Owner),
            Some(v1::Role::Staff) => Ok(Role::Staff),
            _ => Err("has to be ROLE_OWNER or ROLE_STAFF".to_owned()),
        };
        self.take("role", role)
    }
}

/// Whether it may be one, as a browser asks it; whether there is such a mailbox only a mail would tell.
fn check_email(given: &str) -> Result<String, String> {
    let email = given.trim().to_lowercase();
    let is_one = email.split_once('@').is_some_and(|(local, host)| {
        let is_short = local.len() <= LOCAL_PART_AT_MOST && email.len() <= EMAIL_AT_MOST;
        let is_plain = |part: &str| {
            let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '@';
            !part.is_empty() && !part.contains(is_odd)
        };
        is_short && is_plain(local) && is_plain(host)
    });
    if is_one { Ok(email) } else { Err("is no e-mail address, as asha@duka.example is one".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_in_lower_case_and_anything_else_refused() {
        assert_eq!(check_email(" Asha@Duka.Example ").as_deref(), Ok("asha@duka.example"));
        let long = format!("{}@duka.example", "a".repeat(65));
        for wrong in ["asha", "@duka", "asha@", "a b@duka", "a@b@c", "a@b\u{7}", &long] {
            assert!(check_email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_is_invited_to_be_anything_but_owner_or_staff() {
        let of = |role: v1::Role| {
            let (tenant_id, email) = ("asha".to_owned(), "a@b".to_owned());
            invited(v1::InviteMemberRequest { tenant_id, email, role: role.into() })
        };
        assert_eq!(of(v1::Role::Owner).unwrap().role, Role::Owner);
        assert_eq!(of(v1::Role::Staff).unwrap().role, Role::Staff);
        for role in [v1::Role::Unspecified, v1::Role::Admin, v1::Role::Operator, v1::Role::Processor] {
            assert_eq!(of(role).unwrap_err().violations[0].field, "role");
        }
    }
}
