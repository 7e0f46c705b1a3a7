//! Operators' orders, before they are given: whether they make sense as things are, and what would come of them.
//!
//! Both look at a [`Survey`], one moment of the cluster. By the time that an order is carried out things may be different;
//! the plan of every pass takes care of that, and what must hold whatever happens in between (one operation on a node or
//! tenant) is the database's to refuse. What is refused here are orders that nobody means.

mod dry_run;
mod explain;
mod refusal;

use roost_cluster::controller::Survey;
use roost_model::ids::NodeId;
use roost_proto::error::ApiError;
use roost_store::PostgresLedger;

use crate::{
    backend::Backend,
    fault::{from_ledger, from_registry},
};

pub use dry_run::{drain as dry_drain, move_to as dry_move, rebalance as dry_rebalance};
pub use explain::explain;
pub use refusal::{Refusal, may_drain, may_move, may_open_window, may_pin};

/// The cluster as it is now.
pub async fn survey(backend: &Backend) -> Result<Survey, ApiError> {
    use roost_cluster::controller::SurveyError;
    // etcd first: without both there is no answer, and this one is found to be away sooner.
    let registry = backend.registry().as_ref();
    let ledger = PostgresLedger::new(backend.store()?.clone());
    roost_cluster::controller::survey(registry, &ledger).await.map_err(|error| match error {
        SurveyError::Registry(error) => from_registry(error),
        SurveyError::Ledger(error) => from_ledger(error),
    })
}

/// Whether anything is known of the node: it is live, tenants are placed there, or something is ordered of it.
pub fn is_known(survey: &Survey, node: &NodeId) -> bool {
    survey.nodes.contains_key(node)
        || survey.snapshot.tenants.iter().any(|tenant| tenant.last.as_ref() == Some(node))
        || survey.orders.nodes.iter().any(|order| order.node == *node)
}
