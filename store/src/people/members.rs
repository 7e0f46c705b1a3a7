//! Who is of a business, and who is invited to be.

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{Store, StoreError, columns::Role};

/// Of one business: a user of several is listed with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub tenant: TenantId,
    pub email: String,
    /// OWNER or STAFF.
    pub role: roost_model::Role,
    pub invited_by: String,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Joined { at: OffsetDateTime },
    Invited { until: OffsetDateTime },
}

impl Store {
    /// Members, and invitations that count, in the order of their addresses. Who is invited to another role is listed with both.
    pub async fn list_members(
        &self,
        tenant: &TenantId,
        after: Option<&(String, bool)>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let (email, is_invited) = after.map_or(("", false), |(email, is_invited)| (email, *is_invited));
        let query = sqlx::query!(
            r#"select email as "email!", is_invited as "is_invited!", role as "role!: Role", at as "at!", by as "by!" from (
                select u.email, false as is_invited, m.role, m.created_at as at, m.invited_by as by
                from memberships m join users u on u.id = m.user_id where m.tenant_id = $1
                union all
                select email, true, role, expires_at, created_by from invitations where tenant_id = $1 and expires_at > now()
            ) people
            where (email, is_invited) > ($2, $3) order by email, is_invited limit $4"#,
            tenant.as_str(),
            email,
            is_invited,
            i64::from(limit),
        );
        let rows = self.all("list the members of a tenant", query).await?;
        let members = rows.into_iter().map(|row| Member {
            tenant: tenant.clone(),
            email: row.email,
            role: row.role.into(),
            invited_by: row.by,
            standing: match row.is_invited {
                true => Standing::Invited { until: row.at },
                false => Standing::Joined { at: row.at },
            },
        });
        Ok(members.collect())
    }

    /// Takes the invitation back as well. Every browser of a member is signed out, also one who is of other businesses too.
    pub async fn remove_member(&self, tenant: &TenantId, email: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with gone as (
                delete from memberships m using users u
                where u.id = m.user_id and m.tenant_id = $1 and u.email = $2 returning m.user_id
            ), signed_out as (
                delete from web_sessions s using gone where s.user_id = gone.user_id
            ), uninvited as (
                delete from invitations where tenant_id = $1 and email = $2 returning tenant_id
            )
            select exists(select from gone) or exists(select from uninvited) as "was_there!""#,
            tenant.as_str(),
            email,
        );
        match self.one("remove a member", query).await?.was_there {
            true => Ok(()),
            false => Err(StoreError::NotFound { kind: "member", id: email.to_owned() }),
        }
    }
}
