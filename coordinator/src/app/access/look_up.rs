//! From a token to its caller, as things are now.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use roost_store::{AuditEntry, TokenState};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{
    cache::TokenCache,
    caller::{Caller, Source},
    secret,
    streams::{LiveToken, LiveTokens},
    token_file::{Refusal, TokenFile},
};
use crate::app::{App, Error};

/// From one look at the tokens of open streams to the next.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a token lets nobody in.
#[derive(Debug)]
pub enum Unadmitted {
    Unknown,
    Lapsed {
        at: OffsetDateTime,
    },
    Revoked,
    /// The log says what is wrong with it.
    FileUnusable,
    /// It may be right: the database could not be asked.
    NotLookedUp(Error),
}

/// All that is known of callers.
pub struct Access {
    file: TokenFile,
    app: App,
    cache: TokenCache,
    live: Arc<LiveTokens>,
}

impl Access {
    pub fn new(file: TokenFile, app: App) -> Self {
        Self { file, app, cache: TokenCache::default(), live: Arc::default() }
    }

    /// Whose token it is.
    pub async fn caller(&self, token: &str, now: OffsetDateTime) -> Result<Caller, Unadmitted> {
        let digest = secret::digest(token);
        let refused = match self.file.check(&digest, now) {
            Ok(()) => return Ok(Caller::of_file(digest)),
            Err(Refusal::Lapsed { at }) => return Err(Unadmitted::Lapsed { at }),
            Err(Refusal::Unknown) => Unadmitted::Unknown,
            Err(Refusal::FileUnusable) => Unadmitted::FileUnusable,
        };
        if !secret::has_form(token) {
            return Err(refused);
        }
        let asked_at = Instant::now();
        let state = match self.cache.get(&digest, asked_at) {
            Some(state) => state,
            None => {
                let state = self.app.token_state(&digest).await.map_err(Unadmitted::NotLookedUp)?;
                self.cache.put(digest, asked_at, state.clone());
                state
            }
        };
        match state {
            None => Err(refused),
            Some(TokenState { is_revoked: true, .. }) => Err(Unadmitted::Revoked),
            Some(TokenState { expires_at: at, .. }) if at <= now => Err(Unadmitted::Lapsed { at }),
            Some(TokenState { name, grant, .. }) => Ok(Caller::of_database(&name, grant, digest)),
        }
    }

    /// A stream of this caller is open for as long as the answer is kept.
    pub fn open_stream(&self, caller: &Caller) -> LiveToken {
        self.live.open(caller.source())
    }

    /// Of a page that is open in a browser that is signed in, whoever it may be.
    pub fn open_page(&self, cookie: &roost_store::TokenDigest) -> LiveToken {
        self.live.open(Source::Browser(*cookie))
    }

    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        self.app.write_audit(entry).await
    }

    /// Ends the streams whose tokens count no more: one statement for all of a kind, and none while there are none.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pace = tokio::time::interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(pace.tick()).await.is_some() {
            let open = self.live.sources();
            if let Some(gone) = self.gone(&open).await {
                self.live.end(&gone);
            }
        }
    }

    /// None when that cannot be said just now: nobody can have revoked one then.
    async fn gone(&self, open: &[Source]) -> Option<HashSet<Source>> {
        let (mut tokens, mut cookies) = (Vec::new(), Vec::new());
        for source in open {
            match source {
                Source::Database(digest) => tokens.push(*digest),
                Source::Browser(digest) => cookies.push(*digest),
                Source::File(_) => {}
            }
        }
        let tokens =
            if tokens.is_empty() { tokens } else { self.app.tokens_that_count(&tokens).await.ok()? };
        let cookies = if cookies.is_empty() {
            cookies
        } else {
            self.app.web_sessions_that_count(&cookies).await.ok()?
        };
        let (tokens, cookies) = (HashSet::<_>::from_iter(tokens), HashSet::<_>::from_iter(cookies));
        let now = OffsetDateTime::now_utc();
        let is_gone = |source: &&Source| match source {
            Source::File(digest) => self.file.check(digest, now).is_err(),
            Source::Database(digest) => !tokens.contains(digest),
            Source::Browser(digest) => !cookies.contains(digest),
        };
        Some(open.iter().filter(is_gone).copied().collect())
    }
}
