//! Businesses that are to be set up.

use std::collections::BTreeMap;

use roost_model::{
    BrowserSettings, DEFAULT_ANSWER_WITHIN, DEFAULT_REPLY_LIMIT, ResendPolicy, ResourceLimits,
    TimingOverrides, ids::TenantId,
};
use roost_store::{NewTenant, SetupRequest, SetupState, SetupVerdict, StoreError, WantedBusiness};

use super::members::LINK_LIFETIME;
use crate::app::{
    App, Error,
    access::{Caller, secret},
};

/// Of a business's name in the id that is made of it.
const NAME_IN_ID: usize = 40;

impl App {
    /// The secret of the link.
    pub async fn invite_applicant(&self, email: &str, by: &Caller) -> Result<String, Error> {
        let link = secret::new_secret();
        let digest = secret::digest(&link);
        self.store()?.invite_applicant(email, by.name(), &digest, LINK_LIFETIME).await?;
        tracing::info!("somebody is invited to ask for a business");
        Ok(link)
    }

    pub async fn submit_setup_request(
        &self,
        email: &str,
        wanted: &WantedBusiness,
    ) -> Result<SetupRequest, Error> {
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
        tracing::info!(setup_request = id, state = request.state.as_str(), "a setup request is judged");
        Ok(request)
    }

    /// Under an id of its name, unless one is given.
    pub async fn approve_setup_request(
        &self,
        id: i64,
        tenant: Option<TenantId>,
        by: &Caller,
    ) -> Result<SetupRequest, Error> {
        let store = self.store()?;
        let SetupRequest { state, wanted, .. } = store.get_setup_request(id).await?;
        // Before the id that is made of it is found to be taken, by itself.
        if !state.is_open() {
            return Err(StoreError::SetupRequestClosed { id, state: state.as_str() }.into());
        }
        let tenant = tenant.unwrap_or_else(|| id_of(&wanted.display_name, id));
        let request = store.approve_setup_request(id, &new_tenant(tenant, wanted), by.name()).await?;
        tracing::info!(setup_request = id, tenant = ?request.tenant, "a setup request is approved");
        Ok(request)
    }
}

fn new_tenant(id: TenantId, wanted: WantedBusiness) -> NewTenant {
    let WantedBusiness { display_name, phone, template, language, texts } = wanted;
    NewTenant {
        id,
        display_name,
        phone,
        template,
        language,
        texts,
        reply_limit_per_minute: DEFAULT_REPLY_LIMIT,
        answer_within: DEFAULT_ANSWER_WITHIN,
        resend_policy: ResendPolicy::default(),
        restart_schedule: None,
        qr_rotations: None,
        limits: ResourceLimits::default(),
        browser: BrowserSettings::default(),
        proxy: None,
        timing: TimingOverrides::default(),
        log_level: None,
        labels: BTreeMap::new(),
        metadata: BTreeMap::new(),
    }
}

/// `Duka la Mama Asha`, asked for by request 7: duka-la-mama-asha-7.
fn id_of(name: &str, request: i64) -> TenantId {
    let words: Vec<_> = name.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
    let name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let name: String = name.chars().take(NAME_IN_ID).collect::<String>().to_ascii_lowercase();
    let name = name.trim_end_matches('-');
    let id = if name.is_empty() { format!("tenant-{request}") } else { format!("{name}-{request}") };
    TenantId::new(&id).expect("letters, digits and dashes, begun by a letter or digit, 60 at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_a_name_in_whatever_script_it_is() {
        for (name, id) in [
            ("Duka la Mama Asha!", "duka-la-mama-asha-7"),
            ("  --Café  No. 1--", "caf-no-1-7"),
            ("مطعم", "tenant-7"),
            (&"a ".repeat(60), "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-7"),
        ] {
            assert_eq!(id_of(name, 7).as_str(), id);
        }
        id_of(&"x".repeat(200), i64::MAX);
    }
}
