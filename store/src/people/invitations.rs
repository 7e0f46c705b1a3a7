//! Links that are used once: an invitation to a business or to ask for one, and the reset of a password.

use std::time::Duration;

use roost_model::ids::TenantId;

use super::members::{Member, Standing};
use crate::{
    Store, StoreError, TokenDigest,
    columns::{Role, optional_id, storable},
};

/// That stand at a time in one business, and to ask for one.
pub(super) const INVITATIONS: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    pub tenant: TenantId,
    /// In lower case.
    pub email: String,
    /// OWNER or STAFF.
    pub role: roost_model::Role,
    pub created_by: String,
    pub digest: TokenDigest,
    pub lifetime: Duration,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub email: String,
    pub purpose: Purpose,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Whoever it is of has no password yet. No tenant: is to ask for one.
    SignUp {
        tenant: Option<TenantId>,
    },
    /// He has one, and comes in with it.
    Join {
        tenant: Option<TenantId>,
    },
    Reset,
}

impl Store {
    /// One that stands for the same address is worthless from now on.
    pub async fn create_invitation(&self, new: &NewInvitation) -> Result<Member, StoreError> {
        let query = sqlx::query!(
            r#"with lapsed as (
                delete from invitations where tenant_id = $2 and expires_at <= now() and email <> $3
            )
            insert into invitations (digest, tenant_id, email, role, created_by, expires_at)
            select $1, id, $3, $4, $5, now() + make_interval(secs => $6)
            from tenants where id = $2 and deleting_since is null
                and (select count(*) from invitations i where i.tenant_id = $2 and i.email <> $3 and i.expires_at > now()) < $7
            on conflict on constraint invitations_one do update set
                digest = excluded.digest, role = excluded.role, created_at = now(), created_by = excluded.created_by,
                expires_at = excluded.expires_at
            returning expires_at"#,
            &new.digest[..],
            new.tenant.as_str(),
            new.email,
            Role::from(new.role) as Role,
            &storable(&new.created_by),
            new.lifetime.as_secs_f64(),
            INVITATIONS,
        );
        let Some(made) = self.maybe("invite a member", query).await? else {
            self.get_tenant(&new.tenant).await?;
            return Err(StoreError::TooManyInvitations { most: INVITATIONS });
        };
        Ok(Member {
            tenant: new.tenant.clone(),
            email: new.email.clone(),
            role: new.role,
            invited_by: new.created_by.clone(),
            standing: Standing::Invited { until: made.expires_at },
        })
    }

    /// One that stands for the same user is worthless from now on.
    pub async fn create_password_reset(
        &self,
        email: &str,
        link: &TokenDigest,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"insert into password_resets (digest, user_id, expires_at)
            select $1, id, now() + make_interval(secs => $3) from users where email = $2 and cluster_role is null
            on conflict (user_id) do update set digest = excluded.digest, created_at = now(), expires_at = excluded.expires_at
            returning user_id"#,
            &link[..],
            email,
            lifetime.as_secs_f64(),
        );
        match self.maybe("reset a password", query).await? {
            Some(_) => Ok(()),
            None if self.cluster_role(email).await?.is_some() => {
                Err(StoreError::UserOfCluster { email: email.to_owned() })
            }
            None => Err(StoreError::NotFound { kind: "user", id: email.to_owned() }),
        }
    }

    /// None when it was used, has lapsed, or never was.
    pub async fn link(&self, link: &TokenDigest) -> Result<Option<Link>, StoreError> {
        let query = sqlx::query!(
            r#"select i.email as "email!", i.tenant_id as "tenant_id?", u.id is not null as "has_password!", false as "is_reset!"
            from invitations i left join users u on u.email = i.email
            where i.digest = $1 and i.expires_at > now() and (i.tenant_id is null
                or exists(select from tenants t where t.id = i.tenant_id and t.deleting_since is null))
            union all
            select u.email, null, true, true from password_resets r join users u on u.id = r.user_id
            where r.digest = $1 and r.expires_at > now() and u.cluster_role is null"#,
            &link[..],
        );
        let Some(row) = self.maybe("look a link up", query).await? else { return Ok(None) };
        let tenant = optional_id(row.tenant_id.as_deref(), TenantId::new)?;
        let purpose = match row.is_reset {
            true => Purpose::Reset,
            false if row.has_password => Purpose::Join { tenant },
            false => Purpose::SignUp { tenant },
        };
        Ok(Some(Link { email: row.email, purpose }))
    }

    /// Uses an invitation up: makes its owner a user with this password, and a member if it is to a business. Whose it was, if it was good
    /// and there was no such user yet.
    pub async fn sign_up(&self, link: &TokenDigest, password: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                delete from invitations i
                where i.digest = $1 and i.expires_at > now() and not exists(select from users u where u.email = i.email)
                    and (i.tenant_id is null
                        or exists(select from tenants t where t.id = i.tenant_id and t.deleting_since is null))
                returning i.email, i.tenant_id, i.role, i.created_by
            ), person as (
                insert into users (email, password) select email, $2 from used returning id
            ), member as (
                insert into memberships (user_id, tenant_id, role, invited_by)
                select person.id, used.tenant_id, used.role, used.created_by from person, used where used.tenant_id is not null
            )
            select id from person"#,
            &link[..],
            password,
        );
        match self.maybe("make a user", query).await {
            Ok(row) => Ok(row.map(|row| row.id)),
            // Another invitation to the same address was used in this moment.
            Err(error) if error.unique_violation() == Some("users_email_key") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uses an invitation up for a user who has proved that he is the one who is invited. False when it is good no more. Who has another role
    /// from now on is signed out.
    pub async fn join(&self, link: &TokenDigest, user: i64) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                delete from invitations i using users u
                where i.digest = $1 and i.expires_at > now() and u.id = $2 and u.email = i.email
                    and (i.tenant_id is null
                        or exists(select from tenants t where t.id = i.tenant_id and t.deleting_since is null))
                returning i.tenant_id, i.role, i.created_by
            ), signed_out as (
                delete from web_sessions where user_id = $2 and exists(select from used)
            ), member as (
                insert into memberships (user_id, tenant_id, role, invited_by)
                select $2, tenant_id, role, created_by from used where tenant_id is not null
                on conflict (user_id, tenant_id) do update set role = excluded.role, invited_by = excluded.invited_by
            )
            select true as "is_used!" from used"#,
            &link[..],
            user,
        );
        Ok(self.maybe("join a business", query).await?.is_some())
    }

    /// Uses a reset up: its owner has this password from now on, and is signed in nowhere. Whose it is, if it was good.
    pub async fn set_password(&self, link: &TokenDigest, password: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                delete from password_resets r using users u
                where r.digest = $1 and r.expires_at > now() and u.id = r.user_id and u.cluster_role is null
                returning r.user_id
            ), signed_out as (
                delete from web_sessions s using used where s.user_id = used.user_id
            )
            update users u set password = $2 from used where u.id = used.user_id returning u.id"#,
            &link[..],
            password,
        );
        Ok(self.maybe("set a password", query).await?.map(|row| row.id))
    }
}
