//! The end of a worker, seen from outside of it: also of one that panicked.

use std::{any::Any, sync::Arc};

use roost_engine::Page;
use tokio::{sync::watch, task::JoinHandle};

use super::state::Ending;

/// How a worker came to its end. Its browser is dead either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerEnd {
    Ended(Ending),
    /// A fault in the code that its tenant brought to light.
    Panicked {
        reason: String,
    },
}

/// Waits for the worker's task, and tells. What a task that panicked was doing to its browser is dropped with it, which kills
/// the browser, but others may still hold the page; so it is seen to here (I1).
pub(super) async fn tell_end(
    task: JoinHandle<Ending>,
    page: watch::Receiver<Option<Arc<dyn Page>>>,
    told: watch::Sender<Option<WorkerEnd>>,
) {
    let end = match task.await {
        Ok(ending) => WorkerEnd::Ended(ending),
        Err(error) => {
            let page = page.borrow().clone();
            if let Some(page) = page {
                page.kill().await;
            }
            let reason = error.try_into_panic().map_or_else(|error| error.to_string(), words);
            WorkerEnd::Panicked { reason }
        }
    };
    told.send_replace(Some(end));
}

/// What a panic said.
fn words(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use roost_engine::{BrowserSetup, Engine, Launch, Versions, null::NullEngine};
    use roost_model::ids::TenantId;
    use tokio_util::sync::CancellationToken;

    use super::*;

    async fn end_of(
        work: impl Future<Output = Ending> + Send + 'static,
        page: Option<Arc<dyn Page>>,
    ) -> WorkerEnd {
        let (told, end) = watch::channel(None);
        let (_page, seen) = watch::channel(page);
        tell_end(tokio::spawn(work), seen, told).await;
        end.borrow().clone().unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_an_end_with_its_words_and_the_browser_is_dead() {
        let (engine, tenant, dir) =
            (NullEngine::default(), TenantId::new("acme").unwrap(), tempfile::tempdir().unwrap());
        let (profile, cancel) = (dir.path().to_owned(), CancellationToken::new());
        let launch = Launch {
            tenant: tenant.clone(),
            profile,
            setup: BrowserSetup::default(),
            local_storage: None,
            versions: Versions::default(),
            cancel,
        };
        let launched = engine.launch(launch).await.unwrap();
        let panicked = end_of(async { panic!("no such message: {}", 7) }, Some(launched.page)).await;
        assert_eq!(panicked, WorkerEnd::Panicked { reason: "no such message: 7".to_owned() });
        assert!(!engine.is_open(&tenant));
    }

    #[tokio::test]
    async fn an_end_in_order_is_what_the_worker_says() {
        assert_eq!(end_of(async { Ending::Expired }, None).await, WorkerEnd::Ended(Ending::Expired));
    }
}
