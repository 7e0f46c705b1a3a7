//! Codes that are typed on the phone. The owner of the worker has its page ask WhatsApp; here it is asked for, and told to the caller.

use std::time::Duration;

use roost_model::ids::TenantId;
use roost_store::{
    DesiredState, PairingAnswer, PairingOrder, PairingProgress, SessionStatus, Store, StoreError,
};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use super::{App, Error, NoPairing, Refusal, watch::TenantWakeups};

/// A browser that has to be started first takes the most of it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(25);

/// For the caller and nobody else; what is logged of it is that it was asked for.
pub struct PairingCode {
    pub text: String,
    pub expires_at: OffsetDateTime,
    /// The number on whose phone it is typed.
    pub phone: String,
}

impl App {
    /// `phone` is the tenant's own, for whoever wants to be sure; where no codes are shown any more they are again.
    pub async fn pairing_code(&self, tenant: &TenantId, phone: Option<&str>) -> Result<PairingCode, Error> {
        let store = self.store()?;
        let own = store.get_tenant(tenant).await?.settings.phone.clone();
        let refused = |why| Error::from(Refusal::NoPairing { tenant: tenant.clone(), why });
        if let Some(given) = phone.filter(|given| **given != own) {
            return Err(refused(NoPairing::OtherPhone { given: given.to_owned(), own }));
        }
        let worker = store.get_worker(tenant).await?;
        if worker.desired == DesiredState::Stopped {
            return Err(refused(NoPairing::Stopped));
        }
        if worker.session_status == SessionStatus::Connected {
            return Err(refused(NoPairing::Linked));
        }
        let mut wakeups = TenantWakeups::of(store, Some(tenant.clone()));
        store.resume_linking(tenant).await?;
        let order = PairingOrder { id: Uuid::now_v7(), phone: own.trim_start_matches('+').to_owned() };
        store.request_pairing(tenant, &order).await?;
        tracing::info!(%tenant, "a code to be typed on the phone is asked for");
        match timeout(ANSWERED_WITHIN, answered(store, tenant, order.id, &mut wakeups)).await {
            Err(_elapsed) => {
                store.withdraw_pairing(tenant, order.id).await?;
                Err(refused(NoPairing::Overdue))
            }
            Ok(answer) => match answer? {
                Some(PairingAnswer::Code { text, expires_at }) if OffsetDateTime::now_utc() < expires_at => {
                    Ok(PairingCode { text, expires_at, phone: own })
                }
                Some(PairingAnswer::Code { .. }) => Err(refused(NoPairing::Overdue)),
                Some(PairingAnswer::Refused { reason }) => Err(refused(NoPairing::ByWhatsapp { reason })),
                None => Err(refused(NoPairing::Overtaken)),
            },
        }
    }
}

async fn answered(
    store: &Store,
    tenant: &TenantId,
    order: Uuid,
    wakeups: &mut TenantWakeups,
) -> Result<Option<PairingAnswer>, StoreError> {
    loop {
        match store.take_pairing(tenant, order).await? {
            PairingProgress::Answered(answer) => return Ok(Some(answer)),
            PairingProgress::Gone => return Ok(None),
            PairingProgress::Waiting => drop(wakeups.next().await),
        }
    }
}
