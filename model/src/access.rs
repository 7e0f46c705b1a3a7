//! What a caller of the API may be, and of whom.

use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

/// From the one who may do most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    Admin,
    Operator,
    Viewer,
    /// Of one tenant, as the next ones.
    Owner,
    Staff,
    /// For a tenant's programs.
    Processor,
}

impl Role {
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Operator, Self::Viewer, Self::Owner, Self::Staff, Self::Processor];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Owner => "owner",
            Self::Staff => "staff",
            Self::Processor => "processor",
        }
    }

    /// Whoever has it is of one tenant and sees nothing of the others.
    pub fn is_of_a_tenant(self) -> bool {
        matches!(self, Self::Owner | Self::Staff | Self::Processor)
    }
}

/// A role, with the tenant where it is of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    role: Role,
    tenant: Option<TenantId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    #[error("is required for the role {}, which is of one tenant", .0.as_str())]
    NoTenant(Role),
    #[error("has no place with the role {}, which is of the whole cluster", .0.as_str())]
    OfTheCluster(Role),
}

impl Grant {
    pub fn new(role: Role, tenant: Option<TenantId>) -> Result<Self, GrantError> {
        match (&tenant, role.is_of_a_tenant()) {
            (None, true) => Err(GrantError::NoTenant(role)),
            (Some(_), false) => Err(GrantError::OfTheCluster(role)),
            _ => Ok(Self { role, tenant }),
        }
    }

    /// Of the whole cluster, to do everything there.
    pub fn admin() -> Self {
        Self { role: Role::Admin, tenant: None }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// The only one of which its bearer may see or do anything; none: all of them.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_of_one_tenant_or_of_the_cluster_and_never_of_both() {
        let asha = TenantId::new("asha").unwrap();
        for role in Role::ALL {
            let (with, without) = (Grant::new(role, Some(asha.clone())), Grant::new(role, None));
            assert_ne!(with.is_ok(), without.is_ok(), "{role:?}");
            assert_eq!(with.is_ok(), role.is_of_a_tenant());
        }
    }
}
