//! Who is of which business, remembered for a moment: front ends ask every second.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use roost_store::WebUser;

use crate::app::{App, Error};

/// For which who is of which business is believed: as long as a token is.
const BELIEVED: Duration = Duration::from_secs(2);
/// Remembered at most.
const MOST: usize = 10_000;

/// Who was looked up lately, for front ends ask every second.
#[derive(Default)]
pub struct People {
    known: Mutex<HashMap<String, (Instant, Arc<WebUser>)>>,
}

impl People {
    /// None: no user has this address.
    pub async fn get(&self, app: &App, email: &str) -> Result<Option<Arc<WebUser>>, Error> {
        let now = Instant::now();
        let known = self.known.lock().get(email).cloned();
        if let Some((_, user)) = known.filter(|(since, _)| now.duration_since(*since) < BELIEVED) {
            return Ok(Some(user));
        }
        let Some(user) = app.person(email).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.retain(|_, (since, _)| now.duration_since(*since) < BELIEVED);
        }
        if known.len() < MOST {
            known.insert(email.to_owned(), (now, user.clone()));
        }
        Ok(Some(user))
    }
}
