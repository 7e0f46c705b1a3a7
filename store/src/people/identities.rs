//! Users by who they are at a provider of OpenID Connect: which identity is whose, browsers that are on their way through the provider, and those
//! that have come back.
//!
//! An identity is an issuer with its name for somebody (the subject), and no address: those change hands.

use std::time::Duration;

use super::{
    second_factors::OPERATOR_SESSION_AT_MOST,
    web_sessions::{BROWSERS, WEB_SESSION_AT_MOST},
};
use crate::{
    Store, StoreError, TokenDigest,
    columns::{Role, storable},
};

/// For which a browser may be at the provider.
pub const IDENTITY_SIGN_IN_WITHIN: Duration = Duration::from_secs(10 * 60);
/// For which a browser may take an identity for its user after it has signed in: a cookie that is stolen later gives its thief no way back.
const BIND_WITHIN: Duration = Duration::from_secs(15 * 60);
/// That are at the provider at a time, for anybody may go there; with one more the oldest begins anew.
const UNDER_WAY: i64 = 10_000;

/// What violating them tells.
const OF_ONE: &str = "user_identities_of_one";
const ONE: &str = "user_identities_one";

/// Somebody, as a provider has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIdentity {
    pub issuer: String,
    /// At most 255 bytes.
    pub subject: String,
}

/// Why a browser goes to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPurpose {
    SignIn,
    /// To use this link up.
    UseLink(TokenDigest),
    /// To have the identity bound to the user of this cookie.
    Bind(TokenDigest),
}

/// Whose an identity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityUser {
    pub user_id: i64,
    pub email: String,
    /// In the cluster.
    pub role: Option<roost_model::Role>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    Bound,
    /// The identity is another user's.
    OfAnother,
    /// The user has another one of this issuer.
    HasAnother,
    /// Nobody is signed in with the cookie any more.
    SignedOut,
}

impl Store {
    /// False: its purpose is none, for the cookie is nobody's, or was signed in too long ago.
    pub async fn begin_identity_sign_in(
        &self,
        sign_in: &TokenDigest,
        purpose: &IdentityPurpose,
    ) -> Result<bool, StoreError> {
        let (link, session) = match purpose {
            IdentityPurpose::SignIn => (None, None),
            IdentityPurpose::UseLink(link) => (Some(&link[..]), None),
            IdentityPurpose::Bind(session) => (None, Some(&session[..])),
        };
        let query = sqlx::query!(
            r#"with over as (
                delete from identity_sign_ins where digest in (
                    select digest from identity_sign_ins order by expires_at desc offset $4)
            ), lapsed as (
                delete from identity_sign_ins
                where digest in (select digest from identity_sign_ins where expires_at < now() limit 100)
            )
            insert into identity_sign_ins (digest, link, session, expires_at)
            select $1, $2, $3, now() + make_interval(secs => $5)
            where $3::bytea is null or exists(
                select from web_sessions s join users u on u.id = s.user_id
                where s.digest = $3 and s.expires_at > now() and s.created_at > now() - make_interval(secs => $6)
                    and (s.stage in ('CODE', 'IDENTITY') or s.stage = 'PASSWORD' and (u.cluster_role is null
                        or u.cluster_role = 'VIEWER' and not exists(select from second_factors f where f.user_id = u.id))))
            returning digest"#,
            &sign_in[..],
            link,
            session,
            UNDER_WAY - 1,
            IDENTITY_SIGN_IN_WITHIN.as_secs_f64(),
            BIND_WITHIN.as_secs_f64(),
        );
        Ok(self.maybe("send a browser to the provider", query).await?.is_some())
    }

    /// Why this browser was sent there. None when it has come back already, was there too long, or never went.
    pub async fn take_identity_sign_in(
        &self,
        sign_in: &TokenDigest,
    ) -> Result<Option<IdentityPurpose>, StoreError> {
        let query = sqlx::query!(
            r#"with taken as (
                delete from identity_sign_ins where digest = $1 returning link, session, expires_at
            )
            select link, session from taken where expires_at > now()"#,
            &sign_in[..],
        );
        let Some(row) = self.maybe("take a browser back from the provider", query).await? else {
            return Ok(None);
        };
        let digest = |bytes: Vec<u8>| {
            let reason = |bytes: Vec<u8>| format!("{} bytes", bytes.len());
            TokenDigest::try_from(bytes)
                .map_err(|bytes| StoreError::Corrupt { what: "a digest", reason: reason(bytes) })
        };
        Ok(Some(match (row.link, row.session) {
            (Some(link), _) => IdentityPurpose::UseLink(digest(link)?),
            (None, Some(session)) => IdentityPurpose::Bind(digest(session)?),
            (None, None) => IdentityPurpose::SignIn,
        }))
    }

    /// None of one that is nobody's.
    pub async fn identity_user(&self, identity: &UserIdentity) -> Result<Option<IdentityUser>, StoreError> {
        let query = sqlx::query!(
            r#"select u.id, u.email, u.cluster_role as "role?: Role"
            from user_identities i join users u on u.id = i.user_id where i.issuer = $1 and i.subject = $2"#,
            &storable(&identity.issuer),
            &storable(&identity.subject),
        );
        let row = self.maybe("look an identity up", query).await?;
        let user =
            row.map(|row| IdentityUser { user_id: row.id, email: row.email, role: row.role.map(Into::into) });
        Ok(user)
    }

    /// Signs a browser in as whoever has this identity. False when nobody has. Users of the cluster stay for as long as after a code.
    pub async fn open_identity_session(
        &self,
        identity: &UserIdentity,
        cookie: &TokenDigest,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"with known as (
                select i.id, i.user_id, u.cluster_role is not null as is_of_cluster
                from user_identities i join users u on u.id = i.user_id where i.issuer = $1 and i.subject = $2
            ), over as (
                delete from web_sessions where digest in (
                    select s.digest from web_sessions s join known on known.user_id = s.user_id order by s.seen_at desc offset $4)
            ), lapsed as (
                delete from web_sessions where digest in (select digest from web_sessions where expires_at < now() limit 100)
            )
            insert into web_sessions (digest, user_id, expires_at, stage, identity_id)
            select $3, user_id, now() + make_interval(secs => case when is_of_cluster then $5::float8 else $6::float8 end), 'IDENTITY', id
            from known returning user_id"#,
            &storable(&identity.issuer),
            &storable(&identity.subject),
            &cookie[..],
            BROWSERS - 1,
            OPERATOR_SESSION_AT_MOST.as_secs_f64(),
            WEB_SESSION_AT_MOST.as_secs_f64(),
        );
        Ok(self.maybe("sign a browser in by an identity", query).await?.is_some())
    }

    /// Of the user who is signed in with this cookie.
    pub async fn bind_identity(
        &self,
        identity: &UserIdentity,
        cookie: &TokenDigest,
    ) -> Result<Binding, StoreError> {
        let query = sqlx::query!(
            r#"insert into user_identities (issuer, subject, user_id)
            select $1, $2, user_id from web_sessions
            where digest = $3 and expires_at > now() and stage in ('PASSWORD', 'CODE', 'IDENTITY')
            returning user_id"#,
            &storable(&identity.issuer),
            &storable(&identity.subject),
            &cookie[..],
        );
        match self.maybe("bind an identity", query).await {
            Ok(Some(_)) => Ok(Binding::Bound),
            Ok(None) => Ok(Binding::SignedOut),
            Err(error) => taken(error),
        }
    }

    /// Whether the user of this cookie has an identity of this issuer.
    pub async fn has_identity(&self, issuer: &str, cookie: &TokenDigest) -> Result<bool, StoreError> {
        let query = sqlx::query!(
            r#"select exists(
                select from user_identities i join web_sessions s on s.user_id = i.user_id
                where i.issuer = $1 and s.digest = $2
            ) as "has!""#,
            &storable(issuer),
            &cookie[..],
        );
        Ok(self.one("look for an identity", query).await?.has)
    }
}

/// What a refused binding says.
pub(super) fn taken(error: StoreError) -> Result<Binding, StoreError> {
    match error.unique_violation() {
        Some(OF_ONE) => Ok(Binding::OfAnother),
        Some(ONE) => Ok(Binding::HasAnother),
        _ => Err(error),
    }
}
