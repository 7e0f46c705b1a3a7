//! Selectors: `plan=pro,!trial,status=error` chooses tenants by their labels, and by the status and the node of their workers.

use roost_model::ids::NodeId;
use roost_proto::error::ApiError;
use roost_store::{LabelSelector, WorkerFilter, WorkerStatus};

use crate::app::FleetOrder;

use super::{
    Checks,
    labels::{RESERVED, label},
};

const LONGEST: usize = 1_024;

/// All of what it says is to be true of a tenant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub labels: LabelSelector,
    pub status: Option<WorkerStatus>,
    pub node: Option<NodeId>,
}

impl Checks {
    /// An empty one chooses all.
    pub fn selector(&mut self, given: &str) -> Option<Selector> {
        self.take("selector", parse(given))
    }
}

/// The workers that an order is about, and the selector as the operation keeps it: empty for all.
pub struct OrderedWorkers {
    pub selector: String,
    pub filter: WorkerFilter,
}

impl Checks {
    /// An order on many workers.
    pub fn fleet_order(&mut self, action: i32, selector: &str, all: bool, node: &str) -> Option<FleetOrder> {
        let action = self.worker_action(action);
        let workers = self.ordered_workers(selector, all);
        let to = self.move_target(action, node);
        let OrderedWorkers { selector, filter } = workers?;
        Some(FleetOrder { action: action?, selector, filter, to: to? })
    }

    /// Of an order on many workers, for which all of them is said and not left out.
    pub fn ordered_workers(&mut self, given: &str, all: bool) -> Option<OrderedWorkers> {
        let given = given.trim();
        let told = match (given.is_empty(), all) {
            (true, false) => Err("is required; set all for every worker".to_owned()),
            (false, true) => Err("is given beside all; leave one out".to_owned()),
            (true, true) | (false, false) => parse(given),
        };
        let Selector { labels, status, node } = self.take("selector", told)?;
        Some(OrderedWorkers { selector: given.to_owned(), filter: WorkerFilter { node, status, labels } })
    }
}

impl Selector {
    /// Workers that it chooses among those that a request's own fields choose.
    pub fn of_workers(
        self,
        node: Option<NodeId>,
        status: Option<WorkerStatus>,
    ) -> Result<WorkerFilter, ApiError> {
        let mut checks = Checks::default();
        let twice = |field: &str| Err(format!("has {field}= beside the request's own field; leave one out"));
        if self.node.is_some() && node.is_some() {
            checks.take::<()>("selector", twice("node"));
        }
        if self.status.is_some() && status.is_some() {
            checks.take::<()>("selector", twice("status"));
        }
        if !checks.passed() {
            return Err(checks.refusal());
        }
        Ok(WorkerFilter { node: self.node.or(node), status: self.status.or(status), labels: self.labels })
    }
}

fn parse(given: &str) -> Result<Selector, String> {
    if given.chars().count() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters"));
    }
    let mut selector = Selector::default();
    if given.trim().is_empty() {
        return Ok(selector);
    }
    for term in given.split(',').map(str::trim) {
        selector.add(term).map_err(|why| format!("{term:?} {why}"))?;
    }
    Ok(selector)
}

impl Selector {
    fn add(&mut self, term: &str) -> Result<(), String> {
        if let Some((name, value)) = term.split_once("!=") {
            let (name, value) = label_term(name, value)?;
            self.labels.unequal.push((name, value));
        } else if let Some((name, value)) = term.split_once('=') {
            // As some write it.
            self.add_equal(name.trim(), value.trim_start_matches('=').trim())?;
        } else if let Some(name) = term.strip_prefix('!') {
            self.labels.absent.push(label_term(name, "")?.0);
        } else {
            self.labels.present.push(label_term(term, "")?.0);
        }
        Ok(())
    }

    fn add_equal(&mut self, name: &str, value: &str) -> Result<(), String> {
        let was_there = match name {
            "status" => self.status.replace(status(value)?).is_some(),
            "node" => {
                let node = NodeId::new(value).map_err(|error| format!("names no node: {error}"))?;
                self.node.replace(node).is_some()
            }
            _ => {
                let (name, value) = label_term(name, value)?;
                self.labels.equal.insert(name, value).is_some()
            }
        };
        if was_there {
            Err("comes after another term that gives the same a value".to_owned())
        } else {
            Ok(())
        }
    }
}

fn status(value: &str) -> Result<WorkerStatus, String> {
    match value {
        "running" => Ok(WorkerStatus::Running),
        "stopped" => Ok(WorkerStatus::Stopped),
        "error" => Ok(WorkerStatus::Error),
        _ => Err("is not running, stopped or error".to_owned()),
    }
}

fn label_term(name: &str, value: &str) -> Result<(String, String), String> {
    let (name, value) = (name.trim(), value.trim());
    if RESERVED.contains(&name) {
        return Err(format!("cannot be asked of {name}; use {name}=VALUE"));
    }
    label(name, "-_./").map_err(|why| format!("has no label's name: it {why}"))?;
    if !value.is_empty() {
        label(value, "-_.").map_err(|why| format!("has no label's value: it {why}"))?;
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &str) -> Selector {
        parse(given).unwrap_or_else(|why| panic!("{given}: {why}"))
    }

    #[test]
    fn every_kind_of_term_is_known() {
        let selector = parsed("plan=pro, zone!=east,vip , !trial,status=error,node=n1,team==a");
        let labels = LabelSelector {
            equal: [("plan", "pro"), ("team", "a")].map(|(name, value)| (name.into(), value.into())).into(),
            unequal: vec![("zone".into(), "east".into())],
            present: vec!["vip".into()],
            absent: vec!["trial".into()],
        };
        let node = Some(NodeId::new("n1").unwrap());
        assert_eq!(selector, Selector { labels, status: Some(WorkerStatus::Error), node });
        assert_eq!(parsed("  "), Selector::default());
    }

    #[test]
    fn what_is_no_term_is_refused_with_the_reason() {
        for (given, said) in [
            ("plan=pro,", "has no label's name"),
            ("plan=a,plan=b", "the same"),
            ("status=asleep", "running, stopped or error"),
            ("status!=error", "use status=VALUE"),
            ("!node", "use node=VALUE"),
            ("pl an=x", "letters, digits"),
            ("plan=-x", "both ends"),
            ("node=No Such", "names no node"),
        ] {
            let why = parse(given).unwrap_err();
            assert!(why.contains(said), "{given}: {why}");
        }
        assert!(parse(&"a,".repeat(600)).unwrap_err().contains("longer"));
    }

    #[test]
    fn an_order_names_a_selector_or_says_that_it_is_for_all_and_never_both() {
        let ordered = |given: &str, all| {
            let mut checks = Checks::default();
            checks.ordered_workers(given, all).ok_or_else(|| checks.refusal().violations[0].field.clone())
        };
        let some = ordered(" plan=pro,status=error ", false).unwrap_or_else(|field| panic!("{field}"));
        assert_eq!(
            (some.selector.as_str(), some.filter.status),
            ("plan=pro,status=error", Some(WorkerStatus::Error))
        );
        let all = ordered("", true).unwrap_or_else(|field| panic!("{field}"));
        assert_eq!((all.selector.as_str(), all.filter), ("", WorkerFilter::default()));
        for (given, all) in [("", false), ("  ", false), ("plan=pro", true), ("plan=,", false)] {
            assert_eq!(ordered(given, all).err().as_deref(), Some("selector"), "{given:?} {all}");
        }
    }

    #[test]
    fn a_field_of_the_request_and_the_selector_do_not_both_choose() {
        let error = parsed("node=n1").of_workers(Some(NodeId::new("n2").unwrap()), None).unwrap_err();
        assert_eq!(error.violations[0].field, "selector");
        let filter = parsed("plan=pro").of_workers(None, Some(WorkerStatus::Error)).unwrap();
        assert_eq!((filter.status, filter.labels.equal.len()), (Some(WorkerStatus::Error), 1));
    }
}
