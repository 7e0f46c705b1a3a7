//! What comes in: every field of a request is checked before anything is done, and all that is wrong is told at once.
//!
//! [`Checks`] collects. Each check answers with the domain's value or None; a handler takes them apart with `let else`,
//! so it cannot go on with a value that was refused, and there is one answer for all of them.

use roost_model::ids::{NodeId, OperationId, TenantId};
use roost_proto::error::{ApiError, Violation};

mod access;
mod apply;
mod browser;
mod business_texts;
mod chat;
mod labels;
mod limits;
mod log_level;
mod member;
mod order;
pub mod page;
mod policy;
mod profile;
mod proxy;
mod replies;
mod restart_schedule;
mod selector;
mod settings_update;
mod setup;
mod template;
mod tenant;
mod text;
mod timing;
mod user;
mod version;

pub use access::new_token;
pub use apply::apply;
pub use chat::{Said, chat, said};
pub use member::{invited, member_key};
pub use order::MAX_CONCURRENT;
pub use page::List;
pub use policy::policy_patch;
pub use profile::profile_part;
pub use settings_update::{settings_undo, settings_update};
pub use setup::{rejected, setup_state, wanted_business};
pub use template::{preview, template_patch};
pub use tenant::{new_tenant, tenant_patch};
pub use text::Text;
pub use user::{new_user, user_role};
pub use version::{new_version, pin, planned_rollout, started_rollout, version_name};

/// Collects what is wrong with one request.
#[derive(Default)]
pub struct Checks {
    violations: Vec<Violation>,
}

impl Checks {
    /// The value, or None and a violation of `field`.
    pub fn take<T>(&mut self, field: &str, checked: Result<T, String>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(description) => {
                self.violations.push(Violation { field: field.to_owned(), description });
                None
            }
        }
    }

    /// A tenant's id, which must be given.
    pub fn tenant_id(&mut self, field: &str, given: &str) -> Option<TenantId> {
        self.take(field, required(given).and_then(|id| TenantId::new(id).map_err(|error| error.to_string())))
    }

    /// A tenant's id, or none when it is empty.
    pub fn optional_tenant_id(&mut self, field: &str, given: &str) -> Option<Option<TenantId>> {
        if given.is_empty() { Some(None) } else { self.tenant_id(field, given).map(Some) }
    }

    /// A node's id, which must be given.
    pub fn node_id(&mut self, field: &str, given: &str) -> Option<NodeId> {
        self.take(field, required(given).and_then(|id| NodeId::new(id).map_err(|error| error.to_string())))
    }

    /// A node's id, or none when it is empty.
    pub fn optional_node_id(&mut self, field: &str, given: &str) -> Option<Option<NodeId>> {
        if given.is_empty() { Some(None) } else { self.node_id(field, given).map(Some) }
    }

    /// A phone's number, or none when it is empty.
    pub fn optional_phone<'a>(&mut self, field: &str, given: &'a str) -> Option<Option<&'a str>> {
        if given.is_empty() {
            return Some(None);
        }
        self.take(field, text::check_phone(given).map(|()| Some(given)))
    }

    /// How many rows the page may have.
    pub fn page_size(&mut self, given: i32) -> Option<usize> {
        self.take("page_size", page::size(given))
    }

    /// How much from before the call a stream begins with.
    pub fn backlog(&mut self, given: i32, most: u32) -> Option<u32> {
        let backlog = u32::try_from(given).ok().filter(|backlog| *backlog <= most);
        self.take("backlog", backlog.ok_or_else(|| format!("{given} is not allowed: 0 to {most}")))
    }

    /// The key after which the page begins, read by `parse`; None inside for the first page.
    pub fn page_token<K>(
        &mut self,
        list: List,
        filter: &[&str],
        token: &str,
        parse: impl FnOnce(&str) -> Option<K>,
    ) -> Option<Option<K>> {
        let last = self.take("page_token", page::decode(list, filter, token))?;
        let Some(last) = last else { return Some(None) };
        let key = parse(&last).ok_or_else(|| "holds no key of this list; begin the list again".to_owned());
        self.take("page_token", key).map(Some)
    }

    /// An enum's value; UNSPECIFIED counts as not given.
    pub fn optional_enum<E>(&mut self, field: &str, given: i32) -> Option<Option<E>>
    where
        E: TryFrom<i32>,
    {
        if given == 0 {
            return Some(None);
        }
        let known = E::try_from(given).map_err(|_| format!("{given} is no value of this enum"));
        self.take(field, known).map(Some)
    }

    /// A text within its limits.
    pub fn text(&mut self, field: &str, limits: &Text, given: String) -> Option<String> {
        self.take(field, limits.check(&given).map(|()| given))
    }

    /// Whether nothing was wrong so far.
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// The answer to a request that is not valid.
    pub fn refusal(self) -> ApiError {
        ApiError::invalid(self.violations)
    }
}

/// The tenant's id of a request in which nothing else can be wrong.
pub fn tenant_id(field: &str, given: &str) -> Result<TenantId, ApiError> {
    let mut checks = Checks::default();
    checks.tenant_id(field, given).ok_or_else(|| checks.refusal())
}

/// The node's id of a request in which nothing else can be wrong.
pub fn node_id(field: &str, given: &str) -> Result<NodeId, ApiError> {
    let mut checks = Checks::default();
    checks.node_id(field, given).ok_or_else(|| checks.refusal())
}

/// The operation's id of a request in which nothing else can be wrong.
pub fn operation_id(given: i64) -> Result<OperationId, ApiError> {
    let mut checks = Checks::default();
    checks.operation_id(given).ok_or_else(|| checks.refusal())
}

fn required(given: &str) -> Result<&str, String> {
    if given.is_empty() { Err("is required".to_owned()) } else { Ok(given) }
}

#[cfg(test)]
mod tests {
    use roost_proto::{error::ErrorCode, v1};

    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_in_one_answer() {
        let mut checks = Checks::default();
        assert_eq!(checks.tenant_id("tenant_id", ""), None);
        assert_eq!(checks.optional_node_id("node_id", "No Such"), None);
        assert_eq!(checks.page_size(-5), None);
        assert_eq!(checks.page_token(List::Workers, &[], "junk", |key| Some(key.len())), None);
        assert_eq!(checks.optional_enum::<v1::WorkerStatus>("status", 77), None);
        let error = checks.refusal();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        let fields: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["tenant_id", "node_id", "page_size", "page_token", "status"]);
        for field in fields {
            assert!(error.message.contains(field), "{field} is not in {:?}", error.message);
        }
        assert!(!error.message.contains('\n'));
    }

    #[test]
    fn what_is_not_given_is_no_error_where_it_may_be_left_out() {
        let mut checks = Checks::default();
        assert_eq!(checks.optional_tenant_id("tenant_id", ""), Some(None));
        assert_eq!(checks.optional_node_id("node_id", ""), Some(None));
        assert_eq!(checks.optional_enum::<v1::WorkerStatus>("status", 0), Some(None));
        assert_eq!(checks.page_token(List::Nodes, &[], "", |_| Some(())), Some(None));
        assert!(checks.passed());
    }
}
