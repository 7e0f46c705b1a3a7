//! Who runs the cluster in this browser, and what that person may do.

use std::sync::Arc;

use axum::{extract::FromRequestParts, response::Response};
use http::request::Parts;
use minijinja::{Value, context};
use roost_model::{Grant, Role};
use roost_store::Requester;

use crate::{
    app::access::{Caller, calls, secret},
    portal::{
        problem::nothing_here,
        signed::{Signed, form_token},
        state::Portal,
    },
};

/// The parts of the console as its paths have them, each with the call by which it is decided who sees it.
const PARTS: [(&str, &str); 7] = [
    ("overview", "/roost.v1.ClusterService/GetClusterStatus"),
    ("nodes", "/roost.v1.NodeService/ListNodes"),
    ("tenants", "/roost.v1.WorkerService/ListWorkers"),
    ("operations", "/roost.v1.OperationService/ListOperations"),
    ("setups", "/roost.v1.SetupService/ListSetupRequests"),
    ("letters", "/roost.v1.MessageService/ListDeadLetters"),
    ("audit", "/roost.v1.AccessService/ListAuditEntries"),
];

/// A user of the cluster, who has given a code where the role takes one.
pub struct Operator {
    pub email: String,
    pub role: Role,
    /// What a form of this browser has to bring back.
    pub form_token: String,
    caller: Caller,
}

impl FromRequestParts<Arc<Portal>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, portal: &Arc<Portal>) -> Result<Self, Response> {
        let signed = Signed::from_request_parts(parts, portal).await?;
        Self::of(signed).ok_or_else(|| nothing_here(portal, &parts.headers))
    }
}

impl Operator {
    /// None: to this person there is no console.
    fn of(signed: Signed) -> Option<Self> {
        let role = signed.user.role?;
        let grant = Grant::new(role, None).ok()?;
        let caller = Caller::of_browser(&signed.user.email, grant, secret::digest(&signed.cookie));
        Some(Self { form_token: form_token(&signed.cookie), email: signed.user.email, role, caller })
    }

    /// By the one table of who may call what.
    pub fn may(&self, call: &str) -> bool {
        calls::find(call).is_some_and(|call| call.roles.contains(&self.role))
    }

    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// As orders have it in the history.
    pub fn requester(&self, reason: &str) -> Requester {
        let reason = reason.trim().chars().filter(|letter| !letter.is_control()).take(200).collect();
        Requester { name: self.caller.name().to_owned(), reason }
    }

    /// What every page has around what it shows.
    pub fn frame(&self, part: &'static str) -> Value {
        let seen = PARTS.iter().filter(|(_, call)| self.may(call));
        let parts: Vec<_> = seen.map(|(part, _)| *part).collect();
        let (email, role, form_token) = (&self.email, self.role.as_str(), &self.form_token);
        context! { email, role, form_token, part, parts }
    }
}
