//! The cluster as it is now, registry and ledger together: what orders are checked against.

use roost_cluster::controller::{Survey, SurveyError, survey};
use roost_store::PostgresLedger;

use super::{App, Error};

impl App {
    pub(super) async fn survey(&self) -> Result<Survey, Error> {
        // etcd first: without both there is no answer, and this one is found to be away sooner.
        let ledger = PostgresLedger::new(self.store()?.clone());
        survey(self.registry().as_ref(), &ledger).await.map_err(|error| match error {
            SurveyError::Registry(error) => error.into(),
            SurveyError::Ledger(error) => error.into(),
        })
    }
}
