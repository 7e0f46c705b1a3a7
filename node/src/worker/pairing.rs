//! A code that is typed on the phone: asked of the page, and told to whoever waits for it, through the database and nothing else.
//! It is in no log.

use roost_engine::{EngineError, PairingCode};
use roost_model::causes;
use roost_store::{PairingAnswer, PairingOrder};
use time::OffsetDateTime;
use tracing::{info, warn};

use super::{
    actor::{Actor, BackgroundOutcome},
    state::Event,
};

impl Actor {
    pub(super) fn ask_pairing_code(&mut self, order: PairingOrder) {
        let Some(browser) = &self.browser else { return };
        let page = browser.page.clone();
        self.background.push(Box::pin(async move {
            let given = page.pairing_code(&order.phone).await;
            BackgroundOutcome::PairingCode { order, given }
        }));
    }

    pub(super) fn pairing_code(
        &mut self,
        order: PairingOrder,
        given: Result<PairingCode, EngineError>,
    ) -> Vec<Event> {
        match given {
            Ok(PairingCode { text, expires_in }) => {
                info!("a code waits to be typed on the phone");
                let expires_at = OffsetDateTime::now_utc() + expires_in;
                self.answer_pairing(order, PairingAnswer::Code { text, expires_at });
                vec![Event::PairingCodeGiven { expires_in }]
            }
            Err(error) => {
                let reason = causes(&error).to_string();
                info!(reason, "there is no code to be typed on the phone");
                self.answer_pairing(order, PairingAnswer::Refused { reason });
                Vec::new()
            }
        }
    }

    /// Once: whoever waits does not for long. A write that is refused, for the tenant has another owner, is found out by others.
    pub(super) fn answer_pairing(&mut self, order: PairingOrder, answer: PairingAnswer) {
        let (store, fence) = (self.context.env.store.clone(), self.context.fence.clone());
        self.background.push(Box::pin(async move {
            if let Err(error) = store.answer_pairing(&fence, order.id, &answer).await {
                warn!(error = %causes(&error), "whoever waits for a code to type was not answered");
            }
            BackgroundOutcome::Done
        }));
    }
}
