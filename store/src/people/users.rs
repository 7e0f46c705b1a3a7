//! Users of the cluster: who they are, the links by which they come in, and how they go.

use std::time::Duration;

use time::OffsetDateTime;

use super::invitations::{LinkUse, NewLogin};
use crate::{
    Store, StoreError, TokenDigest,
    columns::{Role, storable},
};

/// Links that stand at a time.
const INVITATIONS: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUser {
    pub email: String,
    /// ADMIN, OPERATOR or VIEWER.
    pub role: roost_model::Role,
    /// By whom he has it, or is to.
    pub given_by: String,
    /// Null of who was only invited.
    pub since: Option<OffsetDateTime>,
    /// Until when a link for this address may be used.
    pub link_until: Option<OffsetDateTime>,
    /// Whether a phone of his makes codes.
    pub has_second_factor: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUserLink {
    /// In lower case.
    pub email: String,
    /// ADMIN, OPERATOR or VIEWER.
    pub role: roost_model::Role,
    pub created_by: String,
    pub digest: TokenDigest,
    pub lifetime: Duration,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLink {
    pub email: String,
    pub role: roost_model::Role,
    pub purpose: UserLinkPurpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserLinkPurpose {
    /// There is no such user yet.
    SignUp,
    /// He has a password, and comes in with it.
    Join,
    Reset,
}

impl Store {
    /// One that stands for the same address is worthless from now on. Until when it may be used.
    pub async fn create_user_link(&self, new: &NewUserLink) -> Result<OffsetDateTime, StoreError> {
        let query = sqlx::query!(
            r#"with lapsed as (
                delete from user_invitations where expires_at <= now() and email <> $2
            )
            insert into user_invitations (digest, email, role, resets, created_by, expires_at)
            select $1, $2, $3, false, $4, now() + make_interval(secs => $5)
            where not exists(select from users where email = $2 and cluster_role is not null)
                and (select count(*) from user_invitations where email <> $2 and expires_at > now()) < $6
            on conflict (email) do update set
                digest = excluded.digest, role = excluded.role, resets = excluded.resets, created_at = now(),
                created_by = excluded.created_by, expires_at = excluded.expires_at
            returning expires_at"#,
            &new.digest[..],
            new.email,
            Role::from(new.role) as Role,
            &storable(&new.created_by),
            new.lifetime.as_secs_f64(),
            INVITATIONS,
        );
        match self.maybe("invite a user", query).await? {
            Some(made) => Ok(made.expires_at),
            None if self.cluster_role(&new.email).await?.is_some() => {
                Err(StoreError::UserExists { email: new.email.clone() })
            }
            None => Err(StoreError::TooManyInvitations { most: INVITATIONS }),
        }
    }

    /// For a user of the cluster, by which he chooses another password and second factor. Until when it may be used. His identities are his no
    /// more: one of them may be a thief's.
    pub async fn create_user_reset(
        &self,
        email: &str,
        by: &str,
        link: &TokenDigest,
        lifetime: Duration,
    ) -> Result<OffsetDateTime, StoreError> {
        let query = sqlx::query!(
            r#"with person as (
                select id, email, cluster_role from users where email = $2 and cluster_role is not null
            ), unbound as (
                delete from user_identities i using person where i.user_id = person.id
            )
            insert into user_invitations (digest, email, role, resets, created_by, expires_at)
            select $1, email, cluster_role, true, $3, now() + make_interval(secs => $4) from person
            on conflict (email) do update set
                digest = excluded.digest, role = excluded.role, resets = excluded.resets, created_at = now(),
                created_by = excluded.created_by, expires_at = excluded.expires_at
            returning expires_at"#,
            &link[..],
            email,
            &storable(by),
            lifetime.as_secs_f64(),
        );
        let made = self.maybe("reset a user", query).await?;
        made.map(|row| row.expires_at).ok_or_else(|| no_user(email))
    }

    /// None of who is none of the cluster's.
    pub async fn cluster_role(&self, email: &str) -> Result<Option<roost_model::Role>, StoreError> {
        let query = sqlx::query!(
            r#"select cluster_role as "role?: Role" from users where email = $1 and cluster_role is not null"#,
            email
        );
        Ok(self.maybe("look a user up", query).await?.and_then(|row| row.role).map(Into::into))
    }

    /// Who has a role, and who is invited to one, in the order of their addresses.
    pub async fn list_users(&self, after: &str, limit: u32) -> Result<Vec<ClusterUser>, StoreError> {
        let query = sqlx::query!(
            r#"select coalesce(u.email, i.email) as "email!", coalesce(u.cluster_role, i.role) as "role!: Role",
                coalesce(u.cluster_role_by, i.created_by) as "given_by!", u.cluster_role_at as "since?",
                i.expires_at as "link_until?", f.user_id is not null as "has_second_factor!"
            from (select * from users where cluster_role is not null) u
            full join (select * from user_invitations where expires_at > now()) i on i.email = u.email
            left join second_factors f on f.user_id = u.id and f.confirmed_at is not null
            where coalesce(u.email, i.email) > $1 order by 1 limit $2"#,
            after,
            i64::from(limit),
        );
        let rows = self.all("list the users of the cluster", query).await?;
        let users = rows.into_iter().map(|row| ClusterUser {
            email: row.email,
            role: row.role.into(),
            given_by: row.given_by,
            since: row.since,
            link_until: row.link_until,
            has_second_factor: row.has_second_factor,
        });
        Ok(users.collect())
    }

    /// Another role from now on; each of his browsers is signed out.
    pub async fn set_user_role(
        &self,
        email: &str,
        role: roost_model::Role,
        by: &str,
    ) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with changed as (
                update users set cluster_role = $2, cluster_role_by = $3, cluster_role_at = now()
                where email = $1 and cluster_role is not null returning id
            ), signed_out as (
                delete from web_sessions s using changed where s.user_id = changed.id
            ), links as (
                delete from user_invitations i using changed where i.email = $1
            )
            select id from changed"#,
            email,
            Role::from(role) as Role,
            &storable(by),
        );
        self.maybe("give a user another role", query).await?.map(drop).ok_or_else(|| no_user(email))
    }

    /// Takes the role and the link, and signs each browser out. Who is of no business either is no user any more.
    pub async fn remove_user(&self, email: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with uninvited as (
                delete from user_invitations where email = $1 returning email
            ), person as (
                select id, exists(select from memberships m where m.user_id = u.id) as has_business
                from users u where email = $1 and cluster_role is not null for update
            ), signed_out as (
                delete from web_sessions s using person where s.user_id = person.id
            ), without_factor as (
                delete from second_factors f using person where f.user_id = person.id
            ), kept as (
                update users u set cluster_role = null, cluster_role_at = null, cluster_role_by = null
                from person where u.id = person.id and person.has_business
            ), gone as (
                delete from users u using person where u.id = person.id and not person.has_business
            )
            select exists(select from person) or exists(select from uninvited) as "was_there!""#,
            email,
        );
        match self.one("remove a user", query).await?.was_there {
            true => Ok(()),
            false => Err(no_user(email)),
        }
    }

    /// None when it was used, has lapsed, or never was.
    pub async fn user_link(&self, link: &TokenDigest) -> Result<Option<UserLink>, StoreError> {
        let query = sqlx::query!(
            r#"select i.email, i.role as "role: Role", i.resets, u.id is not null as "has_password!"
            from user_invitations i left join users u on u.email = i.email
            where i.digest = $1 and i.expires_at > now()"#,
            &link[..],
        );
        let row = self.maybe("look a user's link up", query).await?;
        Ok(row.map(|row| UserLink {
            email: row.email,
            role: row.role.into(),
            purpose: match (row.resets, row.has_password) {
                (true, _) => UserLinkPurpose::Reset,
                (false, true) => UserLinkPurpose::Join,
                (false, false) => UserLinkPurpose::SignUp,
            },
        }))
    }

    /// Uses a link up: makes its owner a user who signs in by this, with the link's role. It is not good where there is such a user already.
    pub async fn sign_up_user(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, StoreError> {
        let (password, issuer, subject) = login.columns();
        let query = sqlx::query!(
            r#"with used as (
                delete from user_invitations i where digest = $1 and expires_at > now() and not resets
                    and not exists(select from users u where u.email = i.email)
                returning email, role, created_by
            ), person as (
                insert into users (email, password, cluster_role, cluster_role_at, cluster_role_by)
                select email, $2, role, now(), created_by from used returning id
            ), bound as (
                insert into user_identities (issuer, subject, user_id) select $3, $4, id from person where $3::text is not null
            )
            select id from person"#,
            &link[..],
            password,
            issuer,
            subject,
        );
        LinkUse::of(self.maybe("make a user of the cluster", query).await.map(|row| row.map(|row| row.id)))
    }

    /// Uses a link up for a user who has proved that it is his. False when it is good no more. Each of his browsers is signed out.
    pub async fn join_cluster(&self, link: &TokenDigest, user: i64) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                delete from user_invitations i using users u
                where i.digest = $1 and i.expires_at > now() and not i.resets and u.id = $2 and u.email = i.email
                returning i.role, i.created_by
            ), signed_out as (
                delete from web_sessions where user_id = $2 and exists(select from used)
            ), never_confirmed as (
                delete from second_factors where user_id = $2 and confirmed_at is null and exists(select from used)
            )
            update users u set cluster_role = used.role, cluster_role_at = now(), cluster_role_by = used.created_by
            from used where u.id = $2 returning u.id"#,
            &link[..],
            user,
        );
        Ok(self.maybe("come into the cluster", query).await?.is_some())
    }

    /// Uses a reset up: its owner signs in by this alone from now on, has no second factor, and is signed in nowhere.
    pub async fn reset_user(&self, link: &TokenDigest, login: NewLogin<'_>) -> Result<LinkUse, StoreError> {
        let (password, issuer, subject) = login.columns();
        let query = sqlx::query!(
            r#"with used as (
                delete from user_invitations i using users u
                where i.digest = $1 and i.expires_at > now() and i.resets and u.email = i.email and u.cluster_role is not null
                returning u.id
            ), signed_out as (
                delete from web_sessions s using used where s.user_id = used.id
            ), without_factor as (
                delete from second_factors f using used where f.user_id = used.id
            ), unbound as (
                delete from user_identities i using used where i.user_id = used.id and i.issuer is distinct from $3::text
            ), bound as (
                insert into user_identities (issuer, subject, user_id) select $3, $4, id from used where $3::text is not null
                on conflict on constraint user_identities_one do update set subject = excluded.subject, created_at = now()
            )
            update users u set password = $2 from used where u.id = used.id returning u.id"#,
            &link[..],
            password,
            issuer,
            subject,
        );
        LinkUse::of(self.maybe("let a user come in anew", query).await.map(|row| row.map(|row| row.id)))
    }
}

fn no_user(email: &str) -> StoreError {
    StoreError::NotFound { kind: "user", id: email.to_owned() }
}
