//! Signing in, and the browsers that are signed in.

use std::time::Duration;

use roost_model::ids::TenantId;

use crate::{Store, StoreError, TokenDigest, columns::Role};

/// After which a browser that was not seen has to sign in again.
const IDLE: Duration = Duration::from_secs(12 * 3_600);
/// After which any has to.
pub const WEB_SESSION_AT_MOST: Duration = Duration::from_secs(7 * 86_400);
/// For which a browser may be between the password and the code.
const CODE_WITHIN: Duration = Duration::from_secs(10 * 60);
/// For which it may be between a link and the first code of a phone.
const ENROL_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Browsers of one user; with one more the one that was longest not seen is signed out.
pub(super) const BROWSERS: i64 = 20;

/// Whose password is to be compared with what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub user_id: i64,
    pub password: String,
    /// In the cluster.
    pub role: Option<roost_model::Role>,
    /// Whether a phone of his makes codes.
    pub has_second_factor: bool,
}

/// How far a browser has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "web_session_stage", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Stage {
    /// The password was right, and counts for nothing before the code is.
    AwaitsCode,
    /// The same of who comes by a link, whose phone makes no codes yet.
    Enrols,
    /// The password is all that it takes.
    Password,
}

/// Who a browser's cookie is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUser {
    pub email: String,
    /// In the cluster: of an admin and an operator only where a code was given, or an identity of his was proved.
    pub role: Option<roost_model::Role>,
    /// In the order of their ids.
    pub memberships: Vec<(TenantId, roost_model::Role)>,
}

impl Store {
    /// None when there is no such user.
    pub async fn login(&self, email: &str) -> Result<Option<Login>, StoreError> {
        let query = sqlx::query!(
            r#"select id, password, cluster_role as "role?: Role", f.user_id is not null as "has_second_factor!"
            from users u left join second_factors f on f.user_id = u.id and f.confirmed_at is not null
            where email = $1"#,
            email
        );
        let row = self.maybe("look a password up", query).await?;
        Ok(row.map(|row| Login {
            user_id: row.id,
            password: row.password,
            role: row.role.map(Into::into),
            has_second_factor: row.has_second_factor,
        }))
    }

    /// Signs a browser in, or on its way to that.
    pub async fn open_web_session(
        &self,
        user: i64,
        cookie: &TokenDigest,
        stage: Stage,
    ) -> Result<(), StoreError> {
        let lifetime = match stage {
            Stage::AwaitsCode => CODE_WITHIN,
            Stage::Enrols => ENROL_WITHIN,
            Stage::Password => WEB_SESSION_AT_MOST,
        };
        let query = sqlx::query!(
            r#"with over as (
                delete from web_sessions where digest in (
                    select digest from web_sessions where user_id = $1 order by seen_at desc offset $4)
            ), lapsed as (
                delete from web_sessions where digest in (select digest from web_sessions where expires_at < now() limit 100)
            )
            insert into web_sessions (digest, user_id, expires_at, stage)
            values ($2, $1, now() + make_interval(secs => $3), $5) returning user_id"#,
            user,
            &cookie[..],
            lifetime.as_secs_f64(),
            BROWSERS - 1,
            stage as Stage,
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
            select u.email, case
                    when s.stage in ('CODE', 'IDENTITY') then u.cluster_role
                    when u.cluster_role = 'VIEWER' and not exists(select from second_factors f where f.user_id = u.id)
                        then u.cluster_role
                end as "cluster_role?: Role", m.tenant_id as "tenant_id?", m.role as "role?: Role"
            from web_sessions s join users u on u.id = s.user_id
            left join (
                memberships m join tenants t on t.id = m.tenant_id and t.deleting_since is null
            ) on m.user_id = u.id
            where s.digest = $1 and s.expires_at > now() and s.seen_at > now() - make_interval(secs => $2)
                and s.stage in ('PASSWORD', 'CODE', 'IDENTITY')
            order by m.tenant_id"#,
            &cookie[..],
            IDLE.as_secs_f64(),
        );
        let rows = self.all("look a browser up", query).await?;
        user_of(rows.into_iter().map(|row| (row.email, row.cluster_role, row.tenant_id.zip(row.role))))
    }

    /// Who has this address.
    pub async fn person(&self, email: &str) -> Result<Option<WebUser>, StoreError> {
        let query = sqlx::query!(
            r#"select u.email, u.cluster_role as "cluster_role: Role", m.tenant_id as "tenant_id?", m.role as "role?: Role"
            from users u
            left join (
                memberships m join tenants t on t.id = m.tenant_id and t.deleting_since is null
            ) on m.user_id = u.id
            where u.email = $1 order by m.tenant_id"#,
            email,
        );
        let rows = self.all("look a person up", query).await?;
        user_of(rows.into_iter().map(|row| (row.email, row.cluster_role, row.tenant_id.zip(row.role))))
    }

    /// Makes this address a user's, if it is none's yet, who has no password: nothing typed is the hash of it.
    pub async fn know_person(&self, email: &str) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "insert into users (email, password) values ($1, '') on conflict (email) do nothing returning id",
            email,
        );
        self.maybe("make somebody a user", query).await.map(drop)
    }

    /// Of these cookies, those whose browsers are signed in.
    pub async fn web_sessions_that_count(
        &self,
        cookies: &[TokenDigest],
    ) -> Result<Vec<TokenDigest>, StoreError> {
        let cookies: Vec<Vec<u8>> = cookies.iter().map(|digest| digest.to_vec()).collect();
        let query = sqlx::query!(
            r#"select digest from web_sessions
            where digest = any($1) and expires_at > now() and seen_at > now() - make_interval(secs => $2)
                and stage in ('PASSWORD', 'CODE', 'IDENTITY')"#,
            &cookies,
            IDLE.as_secs_f64(),
        );
        let rows = self.all("look at the browsers of streams", query).await?;
        Ok(rows.into_iter().filter_map(|row| row.digest.try_into().ok()).collect())
    }
}

/// From a row for each membership; one without any has a row all the same.
fn user_of(
    rows: impl Iterator<Item = (String, Option<Role>, Option<(String, Role)>)>,
) -> Result<Option<WebUser>, StoreError> {
    let mut user = None;
    for (email, cluster_role, membership) in rows {
        let role = cluster_role.map(Into::into);
        let user: &mut WebUser = user.get_or_insert_with(|| WebUser { email, role, memberships: Vec::new() });
        if let Some((tenant, role)) = membership {
            let tenant = TenantId::new(&tenant).map_err(StoreError::corrupt_id)?;
            user.memberships.push((tenant, role.into()));
        }
    }
    Ok(user)
}
