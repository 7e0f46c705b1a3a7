//! A node proves itself: before it registers, when its work gives a reason to look, once in a while, and more often while
//! it is impaired.
//!
//! ```text
//!   symptoms, a minute --> look --> unwell --> look again, 3 s --> still --> impaired --+
//!                           ^                                                           | each 15 s
//!                           '------------------------- well <---------------------------+
//! ```
//!
//! What it finds is in its record in the registry; what follows is the controller's to say. A look costs the node one small
//! file, one object, one ping and one connection, whatever the number of its tenants. A browser is started only when
//! launches fail or none came up the last time.

#[cfg(test)]
mod bench;
mod checks;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::join_all;
use roost_cluster::records::ImpairmentKind;
use roost_model::ids::NodeId;

use self::checks::{Finding, check};
use super::{impairments::Impairments, worker_table::WorkerTable};
use crate::env::NodeEnv;

/// From one look to the next while nothing gives a reason to.
const EVERY: Duration = Duration::from_secs(60);
/// The same while the node is impaired: several looks before the controller acts upon it.
const EVERY_WHILE_IMPAIRED: Duration = Duration::from_secs(15);
/// From a first bad finding to the one that counts.
const CONFIRM_AFTER: Duration = Duration::from_secs(3);
/// From one page that is loaded anew to the next: each takes most of a core for a moment.
const RELOAD_EVERY: Duration = Duration::from_millis(500);
/// However many symptoms there are.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);

pub(super) struct SelfCheck {
    pub(super) env: Arc<NodeEnv>,
    pub(super) node: NodeId,
    /// Where a page is had from, each as `host:port`; none for an engine without browsers.
    pub(super) site: Option<Vec<String>>,
    pub(super) impairments: Impairments,
    pub(super) workers: WorkerTable,
}

impl SelfCheck {
    /// Before the node registers: what is found now counts at once. Bounded by its checks.
    pub(super) async fn before_registering(&self) {
        for (kind, finding) in self.look(&self.all()).await {
            self.take(kind, finding).await;
        }
    }

    /// Runs for as long as the process.
    pub(super) async fn run(self) {
        loop {
            let is_impaired = !self.impairments.present().is_empty();
            let pause = if is_impaired { EVERY_WHILE_IMPAIRED } else { EVERY };
            let suspected = tokio::select! {
                suspected = self.env.symptoms.suspected() => suspected,
                () = tokio::time::sleep(pause) => BTreeSet::new(),
            };
            let kinds = self.all().into_iter().filter(|&kind| {
                kind != ImpairmentKind::Browser || suspected.contains(&kind) || self.impairments.has(kind)
            });
            self.look_twice(&kinds.collect()).await;
            tokio::time::sleep(AT_MOST_EVERY).await;
        }
    }

    async fn look_twice(&self, kinds: &BTreeSet<ImpairmentKind>) {
        let mut doubtful = BTreeSet::new();
        for (kind, finding) in self.look(kinds).await {
            match finding {
                Finding::Unwell { .. } if !self.impairments.has(kind) => drop(doubtful.insert(kind)),
                finding => self.take(kind, finding).await,
            }
        }
        if !doubtful.is_empty() {
            tokio::time::sleep(CONFIRM_AFTER).await;
            for (kind, finding) in self.look(&doubtful).await {
                self.take(kind, finding).await;
            }
        }
    }

    /// All at once, but for a browser: where no file can be written none starts, and that is said by the directory.
    async fn look(&self, kinds: &BTreeSet<ImpairmentKind>) -> Vec<(ImpairmentKind, Finding)> {
        let site = self.site.as_deref().unwrap_or_default();
        let look = async |kind| (kind, check(kind, &self.env, &self.node, site).await);
        let cheap = kinds.iter().copied().filter(|kind| *kind != ImpairmentKind::Browser);
        let mut found = join_all(cheap.map(look)).await;
        let is_unwritable =
            |(kind, finding): &_| *kind == ImpairmentKind::StateDirectory && *finding != Finding::Well;
        if kinds.contains(&ImpairmentKind::Browser) && !found.iter().any(is_unwritable) {
            found.push(look(ImpairmentKind::Browser).await);
        }
        found
    }

    async fn take(&self, kind: ImpairmentKind, finding: Finding) {
        match finding {
            Finding::Well => {
                if self.impairments.is_over(kind) && kind == ImpairmentKind::StateDirectory {
                    self.reload_pages().await;
                }
            }
            Finding::Unwell { reason } => self.impairments.found(kind, &reason),
            Finding::Unknown => {}
        }
    }

    /// A page whose writes have failed is half broken for good, and says that it is connected.
    async fn reload_pages(&self) {
        let workers = self.workers.workers();
        tracing::info!(pages = workers.len(), "files can be written again: every page is loaded anew");
        for worker in workers {
            worker.reload();
            tokio::time::sleep(RELOAD_EVERY).await;
        }
    }

    fn all(&self) -> BTreeSet<ImpairmentKind> {
        let mut kinds = BTreeSet::from([
            ImpairmentKind::Database,
            ImpairmentKind::ObjectStore,
            ImpairmentKind::StateDirectory,
        ]);
        if self.site.is_some() {
            kinds.extend([ImpairmentKind::Browser, ImpairmentKind::Site]);
        }
        kinds
    }
}
