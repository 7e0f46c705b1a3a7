//! Who is signed in, and what that person may do.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use roost_model::{Grant, Role, ids::TenantId};
use roost_store::{Requester, WebUser};
use sha2::{Digest, Sha256};

use super::{
    problem::{failed, too_often},
    state::Portal,
};
use crate::{
    app::access::{Caller, calls, pace::TooOften, secret},
    http::ordered::Asked,
};

/// The prefix has browsers take it from this host alone, over a secure line, for every path.
const COOKIE: &str = "__Host-roost";

/// A browser whose cookie is somebody's.
pub struct Signed {
    pub user: WebUser,
    pub cookie: String,
}

/// A person in one of his businesses.
pub struct Member {
    pub user: WebUser,
    pub tenant: TenantId,
    pub role: Role,
    /// What a form of this browser has to bring back.
    pub form_token: String,
    caller: Caller,
}

impl FromRequestParts<Arc<Portal>> for Signed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Arc<Portal>) -> Result<Self, Response> {
        let to_sign_in = || Redirect::to("/sign-in").into_response();
        let cookie = cookie(&parts.headers).ok_or_else(to_sign_in)?;
        if let Err(TooOften { retry_after, .. }) = portal.rate.call(cookie) {
            return Err(too_often(portal, &parts.headers, retry_after));
        }
        match portal.sign_ins.user(cookie).await {
            Ok(Some(user)) => Ok(Self { user, cookie: cookie.to_owned() }),
            Ok(None) => Err(to_sign_in()),
            Err(error) => Err(failed(portal, &parts.headers, &error)),
        }
    }
}

impl Signed {
    /// None: this person has nothing to do with it, whether there is such a business or not.
    pub fn member_of(self, tenant: &str) -> Option<Member> {
        let (tenant, role) = self.user.memberships.iter().find(|(own, _)| own.as_str() == tenant).cloned()?;
        let grant = Grant::new(role, Some(tenant.clone())).ok()?;
        let form_token = form_token(&self.cookie);
        let caller = Caller::of_browser(&self.user.email, grant, secret::digest(&self.cookie));
        Some(Member { user: self.user, tenant, role, form_token, caller })
    }

    /// None as well of a member who may not make this call.
    pub fn member_who_may(self, call: &str, tenant: &str) -> Option<Member> {
        self.member_of(tenant).filter(|member| member.may(call))
    }
}

impl Member {
    /// By the one table of who may call what.
    pub fn may(&self, call: &str) -> bool {
        calls::find(call).is_some_and(|call| call.roles.contains(&self.role))
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What he orders of his business.
    pub fn asks<'a>(&'a self, portal: &'a Portal, call: &'a str, origin: IpAddr) -> Asked<'a> {
        let (access, caller) = (portal.access.as_ref(), &self.caller);
        let (tenant, by) = (Some(&self.tenant), Requester::default());
        Asked { access, caller, origin, call, tenant, node: None, by }
    }
}

/// Known to nobody who does not have the cookie, and of no use for making one.
pub fn form_token(cookie: &str) -> String {
    let digest = Sha256::new().chain_update(b"form\0").chain_update(cookie).finalize();
    hex::encode(&digest[..16])
}

pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// None signs it out. Until when it counts the database says.
pub fn set_cookie(secret: Option<&str>) -> HeaderValue {
    let (value, age) = match secret {
        Some(secret) => (secret, roost_store::WEB_SESSION_AT_MOST.as_secs()),
        None => ("", 0),
    };
    let cookie = format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age}");
    // A secret of ours has no other characters.
    HeaderValue::from_str(&cookie).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_by_its_whole_name() {
        let headers = |cookies: &'static str| {
            HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookies))])
        };
        assert_eq!(cookie(&headers("a=1; __Host-roost=secret; b=2")), Some("secret"));
        for none in ["", "roost=secret", "x__Host-roost=secret", "__Host-roost2=secret"] {
            assert_eq!(cookie(&headers(none)), None, "{none}");
        }
    }

    #[test]
    fn the_token_of_a_form_is_its_browsers_own() {
        assert_ne!(form_token("one"), form_token("other"));
        assert_eq!(form_token("one").len(), 32);
    }
}
