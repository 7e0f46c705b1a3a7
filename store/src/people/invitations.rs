//! Links that are used once: an invitation to a business or to ask for one, and the reset of a password.

use std::time::Duration;

use roost_model::ids::TenantId;

use super::{
    identities::{UserIdentity, taken},
    members::{Member, Standing},
};
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

/// By what the user of a link signs in from now on.
#[derive(Debug, Clone, Copy)]
pub enum NewLogin<'a> {
    /// Its hash.
    Password(&'a str),
    /// And by no password: nothing typed is the hash of none.
    Identity(&'a UserIdentity),
}

/// What has become of a link that was to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkUse {
    /// By this user.
    By(i64),
    /// It was not good.
    Over,
    /// The identity is another user's; the link is as good as before.
    IdentityOfAnother,
}

impl<'a> NewLogin<'a> {
    /// As the columns have it: the password, issuer and subject.
    pub(super) fn columns(self) -> (&'a str, Option<&'a str>, Option<&'a str>) {
        match self {
            Self::Password(hash) => (hash, None, None),
            Self::Identity(UserIdentity { issuer, subject }) => ("", Some(issuer), Some(subject)),
        }
    }
}

impl LinkUse {
    /// From the statement's answer.
    pub(super) fn of(answer: Result<Option<i64>, StoreError>) -> Result<Self, StoreError> {
        match answer {
            Ok(user) => Ok(user.map_or(Self::Over, Self::By)),
            // Another invitation to the same address was used in this moment.
            Err(error) if error.unique_violation() == Some("users_email_key") => Ok(Self::Over),
            Err(error) => taken(error).map(|_| Self::IdentityOfAnother),
        }
    }
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

    /// One that stands for the same user is worthless from now on. The user's identities are his no more: one of them may be a thief's.
    pub async fn create_password_reset(
        &self,
        email: &str,
        link: &TokenDigest,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with person as (
                select id from users where email = $2 and cluster_role is null
            ), unbound as (
                delete from user_identities i using person where i.user_id = person.id
            )
            insert into password_resets (digest, user_id, expires_at)
            select $1, id, now() + make_interval(secs => $3) from person
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

    /// Uses an invitation up: makes its owner a user who signs in by this, and a member if it is to a business. It is not good where there is
    /// such a user already.
    pub async fn sign_up(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, StoreError> {
        let (password, issuer, subject) = login.columns();
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
            ), bound as (
                insert into user_identities (issuer, subject, user_id) select $3, $4, id from person where $3::text is not null
            )
            select id from person"#,
            &link[..],
            password,
            issuer,
            subject,
        );
        LinkUse::of(self.maybe("make a user", query).await.map(|row| row.map(|row| row.id)))
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

    /// Uses a reset up: its owner signs in by this alone from now on, and is signed in nowhere.
    pub async fn reset_login(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, StoreError> {
        let (password, issuer, subject) = login.columns();
        let query = sqlx::query!(
            r#"with used as (
                delete from password_resets r using users u
                where r.digest = $1 and r.expires_at > now() and u.id = r.user_id and u.cluster_role is null
                returning r.user_id
            ), signed_out as (
                delete from web_sessions s using used where s.user_id = used.user_id
            ), unbound as (
                delete from user_identities i using used
                where i.user_id = used.user_id and i.issuer is distinct from $3::text
            ), bound as (
                insert into user_identities (issuer, subject, user_id)
                select $3, $4, user_id from used where $3::text is not null
                on conflict on constraint user_identities_one do update set subject = excluded.subject, created_at = now()
            )
            update users u set password = $2 from used where u.id = used.user_id returning u.id"#,
            &link[..],
            password,
            issuer,
            subject,
        );
        LinkUse::of(self.maybe("let a person come in anew", query).await.map(|row| row.map(|row| row.id)))
    }
}
