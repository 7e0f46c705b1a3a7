//! Codes beside the password: the secret of each user, which are on their way through a sign-in, and that each code counts once.

use crate::{Store, StoreError, TokenDigest, columns::Role};

/// After which a browser that has given a code has to sign in again.
pub const OPERATOR_SESSION_AT_MOST: std::time::Duration = std::time::Duration::from_secs(12 * 3_600);

/// A browser between the password and the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfSignedIn {
    pub user_id: i64,
    pub email: String,
    pub role: Option<roost_model::Role>,
    /// Came by a link, and may choose the secret.
    pub enrols: bool,
    /// Sealed; none where none was made.
    pub secret: Option<Vec<u8>>,
}

impl Store {
    /// None when it has lapsed, or never was.
    pub async fn half_signed_in(&self, cookie: &TokenDigest) -> Result<Option<HalfSignedIn>, StoreError> {
        let query = sqlx::query!(
            r#"select u.id, u.email, u.cluster_role as "role?: Role", s.stage = 'ENROLS' as "enrols!", f.secret as "secret?"
            from web_sessions s join users u on u.id = s.user_id left join second_factors f on f.user_id = u.id
            where s.digest = $1 and s.expires_at > now() and s.stage in ('AWAITS_CODE', 'ENROLS')"#,
            &cookie[..],
        );
        let row = self.maybe("look a half-signed-in browser up", query).await?;
        Ok(row.map(|row| HalfSignedIn {
            user_id: row.id,
            email: row.email,
            role: row.role.map(Into::into),
            enrols: row.enrols,
            secret: row.secret,
        }))
    }

    /// A secret for who has none yet. One that is confirmed stays; so does one that was made a moment ago, for its code may be on a phone.
    pub async fn offer_second_factor(&self, user: i64, sealed: &[u8]) -> Result<(), StoreError> {
        let query = sqlx::query!(
            "insert into second_factors (user_id, secret) values ($1, $2) on conflict (user_id) do nothing returning user_id",
            user,
            sealed,
        );
        self.maybe("offer a second factor", query).await.map(drop)
    }

    /// Signs a browser in whose code was right, under another cookie. False when a code of this step or a later one has counted already, or
    /// the browser is not half signed in any more.
    pub async fn take_code(
        &self,
        half: &TokenDigest,
        cookie: &TokenDigest,
        step: i64,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with half as (
                select user_id, stage from web_sessions
                where digest = $1 and expires_at > now() and stage in ('AWAITS_CODE', 'ENROLS')
            ), counted as (
                update second_factors f set last_step = $3, confirmed_at = coalesce(f.confirmed_at, now())
                from half where f.user_id = half.user_id and f.last_step < $3
                    and (f.confirmed_at is not null or half.stage = 'ENROLS')
                returning f.user_id
            ), over as (
                delete from web_sessions s using counted where s.digest = $1
            )
            insert into web_sessions (digest, user_id, expires_at, stage)
            select $2, user_id, now() + make_interval(secs => $4), 'CODE' from counted returning user_id"#,
            &half[..],
            &cookie[..],
            step,
            OPERATOR_SESSION_AT_MOST.as_secs_f64(),
        );
        Ok(self.maybe("take a code", query).await?.is_some())
    }
}
