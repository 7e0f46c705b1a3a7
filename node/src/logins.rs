//! Which tenants of this node have logged in last: to the worker of another one it says that WhatsApp lets pages in.

use parking_lot::Mutex;
use roost_model::ids::TenantId;
use tokio::time::Instant;

/// One of a process. Two logins are kept, of two tenants: for each there is then the last one of another.
#[derive(Debug, Default)]
pub struct Logins {
    last: Mutex<[Option<(TenantId, Instant)>; 2]>,
}

impl Logins {
    /// The tenant has logged in now.
    pub fn record(&self, tenant: &TenantId) {
        let mut last = self.last.lock();
        let [newest, before] = &mut *last;
        if newest.as_ref().is_some_and(|(of, _)| of != tenant) {
            *before = newest.take();
        }
        *newest = Some((tenant.clone(), Instant::now()));
    }

    /// Its connection has failed: it says nothing for WhatsApp any more. What a third one would say is not known then.
    pub fn withdraw(&self, tenant: &TenantId) {
        let mut last = self.last.lock();
        for slot in &mut *last {
            slot.take_if(|(of, _)| of == tenant);
        }
        let [newest, before] = &mut *last;
        if newest.is_none() {
            *newest = before.take();
        }
    }

    /// When the last tenant but this one has logged in.
    pub fn of_another(&self, tenant: &TenantId) -> Option<Instant> {
        let last = self.last.lock();
        last.iter().flatten().find(|(of, _)| of != tenant).map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_speaks_to_the_others_until_its_connection_fails() {
        let (logins, [acme, beta, gamma]) = (Logins::default(), ["acme", "beta", "gamma"].map(tenant));
        let second = async || {
            advance(Duration::from_secs(1)).await;
            Instant::now()
        };
        let first = second().await;
        logins.record(&acme);
        assert_eq!((logins.of_another(&acme), logins.of_another(&beta)), (None, Some(first)));
        let last = second().await;
        logins.record(&beta);
        assert_eq!((logins.of_another(&acme), logins.of_another(&beta)), (Some(last), Some(first)));
        assert_eq!(logins.of_another(&gamma), Some(last));
        logins.withdraw(&beta);
        assert_eq!((logins.of_another(&acme), logins.of_another(&gamma)), (None, Some(first)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_logs_in_again_and_again_does_not_hide_the_others() {
        let (logins, acme, beta) = (Logins::default(), tenant("acme"), tenant("beta"));
        let first = Instant::now();
        logins.record(&acme);
        for _ in 0..3 {
            advance(Duration::from_secs(1)).await;
            logins.record(&beta);
        }
        assert_eq!(logins.of_another(&beta), Some(first));
        logins.withdraw(&beta);
        assert_eq!(logins.of_another(&beta), Some(first));
    }
}
