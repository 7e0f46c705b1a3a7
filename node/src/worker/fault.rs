//! Whose fault it is that a worker does not work, and what follows from it. Only the tenant's own uses up its attempts and ends
//! in ERROR: what is everybody's comes back by itself, and nobody should have to start each tenant again by hand.
//!
//! A page that is offline, deaf or broken looks the same whether WhatsApp is away or this one session is spoilt. Another tenant
//! of the node tells them apart: one that has logged in since the failures began, and holds its connection still, shows that
//! WhatsApp and the node are well, so what fails is this tenant's own. Where nobody else logs in it is waited for.

use std::time::Duration;

use roost_store::ConditionKind;

/// What has failed, as far as it matters for whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The tenant's saved session is damaged, or somebody else uses it.
    Session,
    /// A store does not take or give it.
    Store,
    /// The node's disk, its lease, or its settings are in the way.
    Node,
    /// A browser did not start.
    Browser,
    /// It did not start in time.
    SlowBrowser,
    /// The tenant's own proxy does not take its browser to the site.
    ProxyAway,
    /// The site cannot be reached, or answers with an error of its own.
    SiteAway,
    /// The page is not let in: it is offline, or shows neither a session nor a code.
    NotLetIn,
    /// The page does not hold: it or its browser ended, or it is deaf, connected as it shows itself.
    PageFailed,
}

/// Who has to be waited for, or mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Tenant,
    Page,
    Node,
    Store,
    Site,
    Proxy,
}

/// What a worker sees of the node that it is on. Moments are counted from its beginning, as the state machine's are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The node's checks have found that it lacks something.
    pub is_impaired: bool,
    /// When another tenant has logged in that is connected still; none for one with a proxy of its own, whose way is another.
    pub other_login: Option<Duration>,
    /// How long the slowest page of late took to start.
    pub slowest_start: Duration,
}

impl Fault {
    /// Whose fault a failure is, of a series that began at `since`.
    pub fn of(failure: Failure, surroundings: &Surroundings, since: Duration) -> Self {
        let unless_others_log_in = |presumed| {
            let is_contradicted = surroundings.other_login.is_some_and(|login| login > since);
            if is_contradicted { Self::Tenant } else { presumed }
        };
        match failure {
            Failure::Session => Self::Tenant,
            Failure::Store => Self::Store,
            Failure::Node => Self::Node,
            Failure::Browser | Failure::SlowBrowser if surroundings.is_impaired => Self::Node,
            Failure::Browser => Self::Tenant,
            Failure::SlowBrowser => unless_others_log_in(Self::Node),
            Failure::SiteAway => Self::Site,
            Failure::ProxyAway => Self::Proxy,
            Failure::NotLetIn => unless_others_log_in(Self::Site),
            Failure::PageFailed => unless_others_log_in(Self::Page),
        }
    }

    pub fn condition(self) -> ConditionKind {
        match self {
            Self::Tenant | Self::Page => ConditionKind::Healing,
            Self::Node => ConditionKind::WaitingForNode,
            Self::Store => ConditionKind::WaitingForStore,
            Self::Site | Self::Proxy => ConditionKind::WaitingForWhatsapp,
        }
    }

    /// What is waited for, in words; nothing where it is only tried again.
    fn awaited(self) -> Option<&'static str> {
        match self {
            Self::Tenant => None,
            Self::Page => Some("the page to hold"),
            Self::Node => Some("the node"),
            Self::Store => Some("Postgres or the object store"),
            Self::Site => Some("WhatsApp"),
            Self::Proxy => Some("its proxy"),
        }
    }
}

/// The failures since the last good connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailureSeries {
    began: Duration,
    attempts: u32,
    own: u32,
    /// Whose the last one was, and since when they have been theirs without a break.
    last: Option<(Fault, Duration)>,
}

impl FailureSeries {
    /// One more has happened.
    pub fn add(&mut self, failure: Failure, surroundings: &Surroundings, now: Duration) -> Fault {
        if self.attempts == 0 {
            self.began = now;
        }
        let fault = Fault::of(failure, surroundings, self.began);
        self.attempts = self.attempts.saturating_add(1);
        self.own += u32::from(fault == Fault::Tenant);
        if self.last.is_none_or(|(last, _)| last != fault) {
            self.last = Some((fault, now));
        }
        fault
    }

    /// All of them, whosever fault: the back-off grows with them.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Those that were the tenant's own: it is given up over these alone.
    pub fn own(&self) -> u32 {
        self.own
    }

    /// What is being done about the last one: which attempt follows of those that there are, or what is waited for and for
    /// how long it has been.
    pub fn outlook(&self, limit: u32, now: Duration) -> String {
        let awaited =
            self.last.and_then(|(fault, since)| Some((fault.awaited()?, now.saturating_sub(since))));
        match awaited {
            None => format!("attempt {} of {limit} to reconnect", self.own),
            Some((awaited, waited)) if waited.as_secs() == 0 => format!("waiting for {awaited}"),
            Some((awaited, waited)) => {
                let waited = humantime::format_duration(Duration::from_secs(waited.as_secs()));
                format!("waiting for {awaited} for {waited}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Duration = Duration::from_secs(10);

    fn fault(failure: Failure, is_impaired: bool, other_login_secs: Option<u64>) -> Fault {
        let other_login = other_login_secs.map(Duration::from_secs);
        Fault::of(failure, &Surroundings { is_impaired, other_login, ..Surroundings::default() }, BEGAN)
    }

    #[test]
    fn what_is_everybodys_is_never_the_tenants() {
        for (failure, whose) in [
            (Failure::Store, Fault::Store),
            (Failure::Node, Fault::Node),
            (Failure::SiteAway, Fault::Site),
            (Failure::ProxyAway, Fault::Proxy),
        ] {
            for (impaired, login) in [(false, None), (true, None), (false, Some(11)), (true, Some(11))] {
                assert_eq!(fault(failure, impaired, login), whose, "{failure:?}");
            }
        }
        assert_eq!(fault(Failure::Session, true, None), Fault::Tenant);
    }

    #[test]
    fn what_may_be_the_tenants_is_so_only_if_another_has_logged_in_since() {
        for (failure, presumed) in [
            (Failure::NotLetIn, Fault::Site),
            (Failure::PageFailed, Fault::Page),
            (Failure::SlowBrowser, Fault::Node),
        ] {
            assert_eq!(fault(failure, false, None), presumed, "{failure:?}");
            assert_eq!(fault(failure, false, Some(10)), presumed, "it may be what began with that login");
            assert_eq!(fault(failure, false, Some(11)), Fault::Tenant, "{failure:?}");
        }
    }

    #[test]
    fn a_browser_that_does_not_start_is_the_tenants_unless_the_node_lacks_something() {
        assert_eq!(fault(Failure::Browser, false, None), Fault::Tenant);
        assert_eq!(fault(Failure::Browser, true, None), Fault::Node);
        assert_eq!(fault(Failure::SlowBrowser, true, Some(11)), Fault::Node);
    }

    #[test]
    fn it_is_said_what_is_waited_for_and_how_long_and_attempts_only_where_they_count() {
        let mut series = FailureSeries::default();
        let nobody = Surroundings::default();
        let mut told = |failure, at: u64| {
            let now = Duration::from_secs(at);
            series.add(failure, &nobody, now);
            series.outlook(10, now)
        };
        assert_eq!(told(Failure::NotLetIn, 5), "waiting for WhatsApp");
        assert_eq!(told(Failure::SiteAway, 255), "waiting for WhatsApp for 4m 10s");
        assert_eq!(told(Failure::Store, 300), "waiting for Postgres or the object store");
        assert_eq!(told(Failure::Session, 310), "attempt 1 of 10 to reconnect");
        assert_eq!((series.attempts(), series.own()), (4, 1));
    }
}
