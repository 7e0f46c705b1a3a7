//! Whose business it is: the front end shows its key and says who its user is.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, StatusCode, request::Parts};
use roost_model::{Role, ids::TenantId};
use roost_store::WebUser;

use super::{failure::Failure, state::Legacy};
use crate::{app::access::calls, http::peer::Peer};

/// Says who: an e-mail address, as the portal knows its users.
const USER: &str = "x-user-email";
/// Says which business is meant by a user of several.
const TENANT: &str = "x-tenant-id";

/// A user of the front end.
pub struct Person {
    pub user: Arc<WebUser>,
    wanted: Option<String>,
}

impl FromRequestParts<Arc<Legacy>> for Person {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, legacy: &Arc<Legacy>) -> Result<Self, Failure> {
        let email = email(parts, legacy)?;
        let user = legacy.people.get(&legacy.app, &email).await?;
        let user = user.unwrap_or_else(|| Arc::new(WebUser { email, role: None, memberships: Vec::new() }));
        Ok(Self { user, wanted: said(&parts.headers, TENANT).map(str::to_owned) })
    }
}

/// The user's address, if the front end may say it.
fn email(parts: &Parts, legacy: &Legacy) -> Result<String, Failure> {
    let Some(key) = &legacy.key else { return Err(Failure::nothing_here()) };
    let from = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(from))| *from);
    let Some(key) = from.and_then(|from| key.shown(&parts.headers, from)) else {
        tracing::warn!(?from, "somebody asks for the portal's paths without a key that counts there");
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "show the portal's key, in x-portal-key, from an address for which it counts",
        ));
    };
    let email = said(&parts.headers, USER).map(|email| email.trim().to_lowercase());
    let email = email.filter(|email| email.contains('@') && email.len() <= 254);
    tracing::debug!(key, ?email, path = parts.uri.path(), "a front end asks for its user");
    email.ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, "say who the user is, in x-user-email"))
}

fn said<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Person {
    /// Nor asks for one's that is not his.
    pub fn has_no_business(&self) -> bool {
        self.user.memberships.is_empty() && self.wanted.is_none()
    }

    /// The business that is meant, if this person may make this call of it.
    pub fn tenant_for(&self, call: &str) -> Result<&TenantId, Failure> {
        let mut own = self.user.memberships.iter();
        let meant = match &self.wanted {
            Some(wanted) => own.find(|(tenant, _)| tenant.as_str() == wanted),
            None => own.next(),
        };
        let may = |role: Role| calls::find(call).is_some_and(|call| call.roles.contains(&role));
        meant.filter(|(_, role)| may(*role)).map(|(tenant, _)| tenant).ok_or_else(Failure::nothing_here)
    }
}
