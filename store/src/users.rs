//! People who use the portal, of which businesses they are, and the browsers that they are signed in with.

use std::time::Duration;

use roost_model::ids::TenantId;
use time::OffsetDateTime;

use crate::{
    Store, StoreError, TokenDigest,
    columns::{Role, storable},
};

/// After which a browser that was not seen has to sign in again, and after which any has to.
pub const IDLE: Duration = Duration::from_secs(12 * 3_600);
pub const AT_MOST: Duration = Duration::from_secs(7 * 86_400);
/// Browsers of one user; with one more the one that was longest not seen is signed out.
const BROWSERS: i64 = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// In lower case.
    pub email: String,
    pub display_name: String,
    pub tenant: TenantId,
    /// OWNER or STAFF.
    pub role: roost_model::Role,
    pub created_by: String,
    /// Of the link by which a password is set, and for how long it may be.
    pub link: TokenDigest,
    pub link_lifetime: Duration,
}

/// Of one business: a user of several is listed with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub user_id: i64,
    pub email: String,
    pub display_name: String,
    pub tenant: TenantId,
    pub role: roost_model::Role,
    pub created_at: OffsetDateTime,
    /// Has set a password.
    pub has_signed_up: bool,
    pub is_disabled: bool,
}

/// Whose password is to be compared with what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user_id: i64,
    pub password: String,
}

/// Who a browser's cookie is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUser {
    pub user_id: i64,
    pub email: String,
    pub display_name: String,
    /// In the order of their ids.
    pub memberships: Vec<(TenantId, roost_model::Role)>,
}

impl Store {
    /// Makes the user, if there is none of this address, and a member of the business. An answer of `None` is that there is no such tenant.
    /// Of a user who has a password the link lets it be set anew.
    pub async fn add_member(&self, new: &NewUser) -> Result<Member, StoreError> {
        let query = sqlx::query!(
            r#"with known as (
                select id from tenants where id = $3 and deleting_since is null for key share
            ), person as (
                insert into users (email, display_name, created_by) select $1, $2, $5 where exists(select from known)
                on conflict (email) do update set disabled_at = null
                returning id, email, display_name, password
            ), member as (
                insert into memberships (user_id, tenant_id, role, created_by)
                select person.id, known.id, $4, $5 from person, known
                on conflict (user_id, tenant_id) do update set role = excluded.role
                returning created_at
            ), link as (
                insert into sign_in_links (digest, user_id, expires_at)
                select $6, id, now() + make_interval(secs => $7) from person
                on conflict (user_id) do update
                    set digest = excluded.digest, created_at = now(), expires_at = excluded.expires_at
            )
            select person.id, person.email, person.display_name, member.created_at, person.password is not null as "has_password!"
            from person, member"#,
            new.email,
            storable(&new.display_name),
            new.tenant.as_str(),
            Role::from(new.role) as Role,
            storable(&new.created_by),
            &new.link[..],
            f64::from(u32::try_from(new.link_lifetime.as_secs()).unwrap_or(u32::MAX)),
        );
        let added = self.maybe("add a member", query).await?.ok_or_else(|| StoreError::no_tenant(&new.tenant))?;
        Ok(Member {
            user_id: added.id,
            email: added.email,
            display_name: added.display_name,
            tenant: new.tenant.clone(),
            role: new.role,
            created_at: added.created_at,
            has_signed_up: added.has_password,
            is_disabled: false,
        })
    }

    /// Of one business, in the order of their addresses.
    pub async fn list_members(&self, tenant: &TenantId) -> Result<Vec<Member>, StoreError> {
        let query = sqlx::query!(
            r#"select u.id, u.email, u.display_name, m.role as "role: Role", m.created_at,
                u.password is not null as "has_password!", u.disabled_at is not null as "is_disabled!"
            from memberships m join users u on u.id = m.user_id
            where m.tenant_id = $1 order by u.email limit 1000"#,
            tenant.as_str(),
        );
        let rows = self.all("list the members of a tenant", query).await?;
        let members = rows.into_iter().map(|row| Member {
            user_id: row.id,
            email: row.email,
            display_name: row.display_name,
            tenant: tenant.clone(),
            role: row.role.into(),
            created_at: row.created_at,
            has_signed_up: row.has_password,
            is_disabled: row.is_disabled,
        });
        Ok(members.collect())
    }

    /// Whoever is of no other business is signed out everywhere.
    pub async fn remove_member(&self, tenant: &TenantId, email: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with gone as (
                delete from memberships m using users u
                where u.id = m.user_id and m.tenant_id = $1 and u.email = $2 returning m.user_id
            ), signed_out as (
                delete from web_sessions s using gone where s.user_id = gone.user_id
            ), unlinked as (
                delete from sign_in_links l using gone where l.user_id = gone.user_id
            )
            select user_id from gone"#,
            tenant.as_str(),
            email,
        );
        let gone = self.maybe("remove a member", query).await?;
        gone.map(drop).ok_or_else(|| StoreError::NotFound { kind: "member", id: email.to_owned() })
    }

    /// Whose link this is; none when it was used, has lapsed, or never was.
    pub async fn sign_in_link(&self, link: &TokenDigest) -> Result<Option<String>, StoreError> {
        let query = sqlx::query!(
            r#"select u.email from sign_in_links l join users u on u.id = l.user_id
            where l.digest = $1 and l.expires_at > now() and u.disabled_at is null"#,
            &link[..],
        );
        Ok(self.maybe("look a sign-in link up", query).await?.map(|row| row.email))
    }

    /// Uses the link up: its owner has this password from now on, and is signed in nowhere. Whose it is, if it was good.
    pub async fn set_password(&self, link: &TokenDigest, password: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query!(
            r#"with used as (
                delete from sign_in_links l using users u
                where l.digest = $1 and l.expires_at > now() and u.id = l.user_id and u.disabled_at is null
                returning l.user_id
            ), signed_out as (
                delete from web_sessions s using used where s.user_id = used.user_id
            )
            update users u set password = $2 from used where u.id = used.user_id returning u.id"#,
            &link[..],
            password,
        );
        Ok(self.maybe("set a password", query).await?.map(|row| row.id))
    }

    /// None when nobody is let in under this address.
    pub async fn login(&self, email: &str) -> Result<Option<Login>, StoreError> {
        let query = sqlx::query!(
            r#"select id, password as "password!" from users
            where email = $1 and password is not null and disabled_at is null"#,
            email,
        );
        let found = self.maybe("look a password up", query).await?;
        Ok(found.map(|row| Login { user_id: row.id, password: row.password }))
    }

    /// Signs a browser in.
    pub async fn open_web_session(&self, user: i64, cookie: &TokenDigest) -> Result<(), StoreError> {
        let query = sqlx::query!(
            r#"with over as (
                delete from web_sessions where digest in (
                    select digest from web_sessions where user_id = $1 order by seen_at desc offset $4)
            ), lapsed as (
                delete from web_sessions where digest in (select digest from web_sessions where expires_at < now() limit 100)
            )
            insert into web_sessions (digest, user_id, expires_at) values ($2, $1, now() + make_interval(secs => $3))
            returning user_id"#,
            user,
            &cookie[..],
            f64::from(u32::try_from(AT_MOST.as_secs()).unwrap_or(u32::MAX)),
            BROWSERS - 1,
        );
        self.one("sign a browser in", query).await.map(drop)
    }

    pub async fn close_web_session(&self, cookie: &TokenDigest) -> Result<(), StoreError> {
        let query = sqlx::query!("delete from web_sessions where digest = $1 returning user_id", &cookie[..]);
        self.maybe("sign a browser out", query).await.map(drop)
    }

    /// Who is signed in with this cookie, as things are now. That the browser was seen is written every five minutes.
    pub async fn web_user(&self, cookie: &TokenDigest) -> Result<Option<WebUser>, StoreError> {
        let query = sqlx::query!(
            r#"with seen as (
                update web_sessions set seen_at = now()
                where digest = $1 and seen_at < now() - interval '5 minutes' and seen_at > now() - make_interval(secs => $2)
            )
            select u.id, u.email, u.display_name, m.tenant_id as "tenant_id?", m.role as "role?: Role"
            from web_sessions s join users u on u.id = s.user_id
            left join (
                memberships m join tenants t on t.id = m.tenant_id and t.deleting_since is null
            ) on m.user_id = u.id
            where s.digest = $1 and s.expires_at > now() and s.seen_at > now() - make_interval(secs => $2)
                and u.disabled_at is null
            order by m.tenant_id"#,
            &cookie[..],
            f64::from(u32::try_from(IDLE.as_secs()).unwrap_or(u32::MAX)),
        );
        let rows = self.all("look a browser up", query).await?;
        let mut user = None;
        for row in rows {
            let user: &mut WebUser = user.get_or_insert_with(|| WebUser {
                user_id: row.id,
                email: row.email,
                display_name: row.display_name,
                memberships: Vec::new(),
            });
            if let Some((tenant, role)) = row.tenant_id.zip(row.role) {
                let tenant = TenantId::new(&tenant).map_err(StoreError::corrupt_id)?;
                user.memberships.push((tenant, role.into()));
            }
        }
        Ok(user)
    }
}
