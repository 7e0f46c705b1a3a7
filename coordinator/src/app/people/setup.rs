//! Businesses that are to be set up.

use roost_store::{NewInvitation, NewTenant, SetupRequest, SetupState, SetupVerdict, Wanted};

use super::members::LINK_LIFETIME;
use crate::app::{
    App, Error,
    access::{Caller, secret},
};

impl App {
    /// The secret of the link.
    pub async fn invite_applicant(&self, email: String, by: &Caller) -> Result<String, Error> {
        let secret = secret::new_secret();
        let digest = secret::digest(&secret);
        let created_by = by.name().to_owned();
        let new = NewInvitation { business: None, email, created_by, digest, lifetime: LINK_LIFETIME };
        self.store()?.create_invitation(&new).await?;
        tracing::info!("somebody is invited to ask for a business");
        Ok(secret)
    }

    pub async fn submit_setup_request(&self, email: &str, wanted: &Wanted) -> Result<SetupRequest, Error> {
        let request = self.store()?.submit_setup_request(email, wanted).await?;
        tracing::info!(setup_request = request.id, "a business is asked for");
        Ok(request)
    }

    /// The newest of this user.
    pub async fn setup_request_of(&self, email: &str) -> Result<Option<SetupRequest>, Error> {
        Ok(self.store()?.setup_request_of(email).await?)
    }

    pub async fn get_setup_request(&self, id: i64) -> Result<SetupRequest, Error> {
        Ok(self.store()?.get_setup_request(id).await?)
    }

    pub async fn list_setup_requests(
        &self,
        state: Option<SetupState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SetupRequest>, Error> {
        Ok(self.store()?.list_setup_requests(state, before, limit).await?)
    }

    pub async fn judge_setup_request(
        &self,
        id: i64,
        verdict: &SetupVerdict,
        by: &Caller,
    ) -> Result<SetupRequest, Error> {
        let request = self.store()?.judge_setup_request(id, verdict, by.name()).await?;
        tracing::info!(setup_request = id, ?verdict, "a setup request is judged");
        Ok(request)
    }

    /// `tenant` as the request asks for it.
    pub async fn approve_setup_request(&self, id: i64, tenant: &NewTenant, by: &Caller) -> Result<SetupRequest, Error> {
        let request = self.store()?.approve_setup_request(id, tenant, by.name()).await?;
        tracing::info!(setup_request = id, tenant = %tenant.id, "a setup request is approved");
        Ok(request)
    }
}
