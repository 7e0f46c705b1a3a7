//! How often a caller may call, and how much of what it has asked for may be under way: so that one of them leaves room for all others.
//!
//! The rate is that of a leaky bucket (GCRA) which holds a second's calls. What is under way is a call from its beginning to the last byte of
//! its answer, streams too, so a caller that does not read holds its own places and nobody else's.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use parking_lot::Mutex;

use super::Caller;

/// Callers above which those that have been quiet are forgotten.
const MANY: usize = 1_000;

/// How often each caller may call.
pub struct Rate {
    per_second: u32,
    /// None: as often as they like.
    limiter: Option<DefaultKeyedRateLimiter<String>>,
}

/// A caller has called more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften {
    pub per_second: u32,
    pub retry_after: Duration,
}

impl Rate {
    /// 0 a second is as often as they like.
    pub fn new(per_second: u32) -> Self {
        let limit = |per_second| RateLimiter::keyed(Quota::per_second(per_second));
        Self { per_second, limiter: NonZeroU32::new(per_second).map(limit) }
    }

    pub fn call(&self, caller: &str) -> Result<(), TooOften> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if limiter.len() > MANY {
            limiter.retain_recent();
        }
        limiter.check_key(&caller.to_owned()).map_err(|not_until| {
            let retry_after = not_until.wait_time_from(DefaultClock::default().now());
            TooOften { per_second: self.per_second, retry_after }
        })
    }
}

/// What callers of one kind may do.
pub struct Pace {
    rate: Rate,
    most: usize,
    under_way: Arc<Mutex<HashMap<String, usize>>>,
}

/// Why a call is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paced {
    TooOften(TooOften),
    TooMany { most: usize },
}

/// Of something that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay {
    caller: String,
    under_way: Arc<Mutex<HashMap<String, usize>>>,
}

impl Pace {
    pub fn new(per_second: u32, most: usize) -> Self {
        Self { rate: Rate::new(per_second), most, under_way: Arc::default() }
    }

    pub fn begin(&self, caller: &str) -> Result<UnderWay, Paced> {
        self.rate.call(caller).map_err(Paced::TooOften)?;
        let mut under_way = self.under_way.lock();
        let count = under_way.entry(caller.to_owned()).or_default();
        if *count >= self.most {
            return Err(Paced::TooMany { most: self.most });
        }
        *count += 1;
        Ok(UnderWay { caller: caller.to_owned(), under_way: self.under_way.clone() })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock();
        if let Some(count) = under_way.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.caller);
            }
        }
    }
}

/// Callers of the API.
pub struct Paces {
    cluster: Pace,
    tenant: Pace,
}

/// Streams and calls of one caller of the cluster: more than the streams that there are for all.
const MOST_OF_CLUSTER: usize = 1_024;
const MOST_OF_TENANT: usize = 64;

impl Paces {
    /// How often one caller of the whole cluster, and one of a tenant, may call in a second.
    pub fn new(of_cluster: u32, of_tenant: u32) -> Self {
        let (cluster, tenant) =
            (Pace::new(of_cluster, MOST_OF_CLUSTER), Pace::new(of_tenant, MOST_OF_TENANT));
        Self { cluster, tenant }
    }

    pub fn begin(&self, caller: &Caller) -> Result<UnderWay, Paced> {
        let pace = if caller.grant().tenant().is_some() { &self.tenant } else { &self.cluster };
        pace.begin(caller.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_calls_too_often_waits_and_nobody_else_does() {
        let pace = Pace::new(5, 100);
        for _ in 0..5 {
            pace.begin("asha").unwrap();
        }
        match pace.begin("asha").unwrap_err() {
            Paced::TooOften(TooOften { per_second: 5, retry_after }) => {
                assert!(retry_after <= Duration::from_millis(200), "{retry_after:?}");
            }
            other => panic!("{other:?}"),
        }
        pace.begin("juma").unwrap();
        let free = Pace::new(0, 100);
        assert!((0..100_000).all(|_| free.begin("asha").is_ok()));
    }

    #[test]
    fn what_is_under_way_is_bounded_until_it_ends() {
        let pace = Pace::new(0, 2);
        let [first, _second] = [(); 2].map(|()| pace.begin("asha").unwrap());
        assert_eq!(pace.begin("asha").unwrap_err(), Paced::TooMany { most: 2 });
        pace.begin("juma").unwrap();
        drop(first);
        pace.begin("asha").unwrap();
        assert_eq!(pace.under_way.lock().len(), 1, "who has nothing under way is not kept");
    }
}
